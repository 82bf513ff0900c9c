//! Which namespaces a cluster-scoped resource is open to, and of which a router takes routes or a virtual node lets itself be
//! retired, in the shape of the Gateway API's `allowedRoutes.namespaces`. Pure.

use std::collections::BTreeMap;

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::{add_rule, plain_enum};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_core::{ParseExpressionError, Selector, SelectorExt};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) const SELECTOR_GIVEN: Rule = Rule {
    cel: "has(self.selector) == (has(self.from) && self.from == 'Selector')",
    message: "selector must be set when from is Selector, and only then",
};
pub(crate) const OPERATOR_VALUES: Rule = Rule {
    cel: "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0 : !has(self.values) || self.values.size() == 0",
    message: "values must be set for the operators In and NotIn, and only for them",
};

fn rules(schema: &mut Schema) {
    add_rule(schema, &SELECTOR_GIVEN);
}

/// Kubernetes' own LabelSelector type has no bounds; a CRD can refuse at once what a selector cannot mean.
fn selector_bounds(schema: &mut Schema) {
    let Some(expressions) = schema.pointer_mut("/properties/matchExpressions") else { return };
    expressions["maxItems"] = json!(20);
    let Some(expression) = expressions.get_mut("items") else { return };
    if let Some(operator) = expression.pointer_mut("/properties/operator") {
        operator["enum"] = json!(["In", "NotIn", "Exists", "DoesNotExist"]);
    }
    if let Some(values) = expression.pointer_mut("/properties/values") {
        values["maxItems"] = json!(100);
    }
    if let Ok(expression) = <&mut Schema>::try_from(expression) {
        add_rule(expression, &OPERATOR_VALUES);
    }
}

/// Which namespaces the resource is open to: may put virtual nodes, routers, routes and services into the mesh, or may
/// name the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
pub struct AllowedNamespaces {
    /// All of them, or those that `selector` selects.
    #[serde(default)]
    pub from: NamespacesFrom,
    /// The labels of the namespaces, when `from` is Selector. Every namespace has the label
    /// `kubernetes.io/metadata.name` with its own name, so namespaces can be listed by name, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector_bounds)]
    pub selector: Option<LabelSelector>,
}

/// From which namespaces resources are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum NamespacesFrom {
    /// From every namespace.
    #[default]
    All,
    /// From the namespaces whose labels the selector matches.
    Selector,
}

impl AllowedNamespaces {
    /// Whether the resource is open to a namespace with these labels. `All` allows a namespace of any labels;
    /// `Selector` without a selector, which the API server refuses, allows none.
    ///
    /// # Errors
    /// The selector has an operator that Kubernetes does not know, which the API server refuses too.
    pub fn allows(&self, labels: &BTreeMap<String, String>) -> Result<bool, ParseExpressionError> {
        match (self.from, &self.selector) {
            (NamespacesFrom::All, _) => Ok(true),
            (NamespacesFrom::Selector, None) => Ok(false),
            (NamespacesFrom::Selector, Some(selector)) => {
                Ok(Selector::try_from(selector.clone())?.matches(labels))
            }
        }
    }
}

/// The routes that a resource gives a right to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllowedRoutes {
    /// The namespaces whose routes have the right; the resource's own when absent.
    #[serde(default)]
    pub namespaces: RouteNamespaces,
}

/// Of which namespaces routes are allowed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
pub struct RouteNamespaces {
    /// The resource's own, all of them, or those that `selector` selects. The own one is always allowed.
    #[serde(default)]
    pub from: RoutesFrom,
    /// The labels of the namespaces, when `from` is Selector. Every namespace has the label
    /// `kubernetes.io/metadata.name` with its own name, so namespaces can be listed by name, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = selector_bounds)]
    pub selector: Option<LabelSelector>,
}

/// From which namespaces routes are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum RoutesFrom {
    /// From the resource's own namespace.
    #[default]
    Same,
    /// From every namespace.
    All,
    /// From the namespaces whose labels the selector matches.
    Selector,
}

impl AllowedRoutes {
    /// Whether routes of another namespace, which has these labels, have the right. A selector that is absent or cannot
    /// be read, which the API server refuses, allows none.
    pub fn allows_other(&self, labels: &BTreeMap<String, String>) -> bool {
        match (self.namespaces.from, &self.namespaces.selector) {
            (RoutesFrom::All, _) => true,
            (RoutesFrom::Same, _) | (RoutesFrom::Selector, None) => false,
            (RoutesFrom::Selector, Some(selector)) => {
                Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_other_namespaces_are_refused_until_they_are_allowed() {
        let allows = |yaml: &str, label: &str| {
            let allowed: AllowedRoutes = serde_saphyr::from_str(yaml).expect("an allowedRoutes");
            allowed.allows_other(&BTreeMap::from([("team".to_owned(), label.to_owned())]))
        };
        assert!(!allows("{}", "a"));
        assert!(!allows("{namespaces: {from: Same}}", "a"));
        assert!(allows("{namespaces: {from: All}}", "a"));
        let selected = "{namespaces: {from: Selector, selector: {matchLabels: {team: a}}}}";
        assert!(allows(selected, "a"));
        assert!(!allows(selected, "b"));
        assert!(!allows("{namespaces: {from: Selector}}", "a"));
    }

    fn allowed(yaml: &str, labels: &[(&str, &str)]) -> bool {
        let allowed: AllowedNamespaces = serde_saphyr::from_str(yaml).expect("an allowedNamespaces");
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        allowed.allows(&labels).expect("a valid selector")
    }

    #[test]
    fn the_default_allows_every_namespace() {
        assert!(allowed("{}", &[]));
        assert!(allowed("from: All", &[("team", "a")]));
    }

    #[test]
    fn a_selector_allows_what_it_selects() {
        let by_label = "{from: Selector, selector: {matchLabels: {team: a}}}";
        assert!(allowed(by_label, &[("team", "a"), ("tier", "web")]));
        assert!(!allowed(by_label, &[("team", "b")]));
        let by_name = "{from: Selector, selector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [apps, shop]}]}}";
        assert!(allowed(by_name, &[("kubernetes.io/metadata.name", "shop")]));
        assert!(!allowed(by_name, &[("kubernetes.io/metadata.name", "other")]));
        assert!(!allowed("from: Selector", &[("team", "a")]));
    }
}
