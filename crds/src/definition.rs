//! The CustomResourceDefinitions: kube's derive, made strict. Pure.

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool, ValidationRule,
};
use kube_core::CustomResourceExt as _;

use crate::{
    FleetClass, Kind, MeshResource, MetricProvider, ReferenceGrant, RouteAction, WebhookProvider, with_kind,
};
use crate::{columns, fleet_class, provider, reference, reference_grant, route_action};

/// The member of a status that says which generation it is about.
const OBSERVED_GENERATION: &str = "observedGeneration";

/// Where the definitions are checked in, from the root of the repository.
pub const YAML_FOLDER: &str = "crds/yaml";

/// Where the chart's copies are checked in, from the root of the repository. Not in the chart's `crds/`: what is there Helm
/// installs once and never upgrades.
pub const CHART_FOLDER: &str = "charts/fleetmesh/files/crds";

/// Where the reference is checked in, from the root of the repository.
pub const REFERENCE_FOLDER: &str = "docs/reference";

/// The definitions of all kinds, a referent before what refers to it.
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut all = vec![fleet_class()];
    all.extend(Kind::ALL.map(|kind| with_kind!(kind, K => definition::<K>())));
    all.extend([
        route_action(),
        strict(MetricProvider::crd(), &provider::metric_columns(), |_| {}),
        strict(WebhookProvider::crd(), &provider::webhook_columns(), |_| {}),
        strict(ReferenceGrant::crd(), &reference_grant::columns(), |_| {}),
    ]);
    all
}

/// `definition` as YAML, with a line on top that says where it comes from.
///
/// # Errors
/// serde-saphyr's; none is known for these types.
pub fn to_yaml(definition: &CustomResourceDefinition) -> Result<String, serde_saphyr::ser::Error> {
    let yaml = serde_saphyr::to_string(definition)?;
    Ok(format!("# Generated from crds/src and model/src by `cargo xtask crds`. Do not edit.\n{yaml}"))
}

/// Every generated file of the repository with its path from the root: per kind its definition, the chart's copy of it
/// and its reference, and the reference of the conditions.
///
/// # Errors
/// As [`to_yaml`].
pub fn generated_files() -> Result<Vec<(PathBuf, String)>, serde_saphyr::ser::Error> {
    let mut files = vec![(Path::new(REFERENCE_FOLDER).join("conditions.md"), reference::conditions())];
    for definition in all() {
        let name = &definition.spec.names.plural;
        let yaml = to_yaml(&definition)?;
        files.push((Path::new(CHART_FOLDER).join(format!("{name}.yaml")), yaml.clone()));
        files.push((Path::new(YAML_FOLDER).join(format!("{name}.yaml")), yaml));
        files.push((Path::new(REFERENCE_FOLDER).join(format!("{name}.md")), reference::page(&definition)));
    }
    Ok(files)
}

fn definition<K: MeshResource>() -> CustomResourceDefinition {
    strict(K::crd(), &columns::of::<K>(), |root| {
        fix_name::<K>(root);
        if K::KIND == Kind::Mesh {
            keep_empty_spec(root);
        }
    })
}

fn fleet_class() -> CustomResourceDefinition {
    strict(FleetClass::crd(), &fleet_class::columns(), |_| {})
}

fn route_action() -> CustomResourceDefinition {
    strict(RouteAction::crd(), &route_action::columns(), |_| {})
}

fn strict(
    mut definition: CustomResourceDefinition,
    columns: &[CustomResourceColumnDefinition],
    edit: impl Fn(&mut JSONSchemaProps),
) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        version.additional_printer_columns = Some(columns.to_vec());
        let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else {
            continue;
        };
        refuse_null(root);
        edit(root);
        await_first_report(root);
    }
    definition
}

/// An optional member may be absent, but never null: the API server then drops a null, and a rule's `has()` and App
/// Mesh's own JSON agree on what is set.
fn refuse_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| !value.0.is_null());
    }
    for member in schema.properties.iter_mut().flatten() {
        refuse_null(member.1);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        refuse_null(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        refuse_null(values);
    }
}

/// Until the operator's first report the API server shows a status about no generation. kstatus takes an object without a
/// status for done, and Flux would go on before the operator has looked at it.
fn await_first_report(root: &mut JSONSchemaProps) {
    let status = root.properties.as_mut().and_then(|members| members.get_mut("status"));
    let Some(status) = status else { return };
    if status.properties.as_ref().is_some_and(|members| members.contains_key(OBSERVED_GENERATION)) {
        status.default = Some(JSON(serde_json::json!({ OBSERVED_GENERATION: -1 })));
    }
}

/// A spec of which nothing has to be said is an object all the same. After a client-side apply of `spec: {}` the manager of that
/// apply has the defaults beside it, too; a server-side apply by the same manager, which says none of them, takes all of them away,
/// and the API server makes that null, which no spec may be. With a default it is `{}` again, and gets its own defaults.
fn keep_empty_spec(root: &mut JSONSchemaProps) {
    if let Some(spec) = root.properties.as_mut().and_then(|members| members.get_mut("spec")) {
        spec.default = Some(JSON(serde_json::json!({})));
    }
}

/// The name in effect never changes, whether it is set or taken from `metadata.name`: only a rule at the root sees
/// both, and it also holds when the field is added or removed later.
fn fix_name<K: MeshResource>(root: &mut JSONSchemaProps) {
    let field = K::KIND.info().member;
    let effective = |of: &str| format!("(has({of}.spec.{field}) ? {of}.spec.{field} : {of}.metadata.name)");
    root.x_kubernetes_validations.get_or_insert_default().push(ValidationRule {
        rule: format!("{} == {}", effective("self"), effective("oldSelf")),
        message: Some(name_fixed(field)),
        field_path: Some(format!(".spec.{field}")),
        ..ValidationRule::default()
    });
}

/// What is demanded of the App Mesh name in effect, of which `field` is the member.
pub(crate) fn name_fixed(field: &str) -> String {
    format!(
        "{field} is immutable (metadata.name stands for it when absent): delete the resource and create it under the other name"
    )
}
