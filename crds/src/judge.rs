//! The rules that CEL says to the API server, in Rust, for whoever has no API server to ask. Each is worded once, as a [`Rule`]
//! beside its type; bounds and unions are in the schemas and are not looked at here. Pure.

use fleetmesh_api::tags::TAG_PREFIX;
use fleetmesh_model::rule::{Rule, Violation, Violations};
use fleetmesh_model::service_discovery::ServiceDiscovery;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::canary::Canary;
use crate::definition::name_fixed;
use crate::fleet::{self, Fleet, Rollout};
use crate::fleet_class::{self, FleetClassSpec};
use crate::gateway_fleet::{self, GatewayFleet};
use crate::gateway_route::GatewayRouteResourceSpec;
use crate::http::{self, Http, MAX_TAGS_WITH_HTTP};
use crate::iam::{self, Iam};
use crate::identity::{GATEWAY_NAME_FIXED, MESH_NAME_FIXED, ROUTER_NAME_FIXED};
use crate::management::{self, Management};
use crate::mesh::{self, MeshManagement, MeshResourceSpec};
use crate::namespaces::{self, AllowedNamespaces, AllowedRoutes, NamespacesFrom, RoutesFrom};
use crate::provider::{MetricProviderSpec, WebhookProviderSpec};
use crate::resource::MeshResource;
use crate::route::{self, RouteResourceSpec};
use crate::route_action::{self, RouteActionSpec, Verb};
use crate::virtual_gateway::VirtualGatewayResourceSpec;
use crate::virtual_node::{self, VirtualNodeResourceSpec};
use crate::virtual_router::VirtualRouterResourceSpec;
use crate::virtual_service::VirtualServiceResourceSpec;

mod canary;
mod once;

/// Every rule that a spec by itself may break.
pub const RULES: [&Rule; 31] = [
    &mesh::OBSERVED_AS_IT_IS,
    &management::TAG_KEY_LENGTH,
    &management::TAG_KEY_RESERVED,
    &iam::NO_BOUNDARY,
    &iam::NO_PATH,
    &route::TCP_HAS_NO_REQUESTS,
    &http::ROOM_FOR_HTTP,
    &route_action::STEP_NAMED,
    &fleet::LAUNCH_NEEDS,
    &fleet::ENROLL_ALONE,
    &gateway_fleet::ENROLL_ALONE,
    &fleet::SOME_MOVE,
    &fleet::TYPES_ONCE,
    &fleet::SUBNETS_ONCE,
    &fleet::GROUPS_ONCE,
    &fleet_class::TAG_KEYS_FREE,
    &fleet_class::NAMESPACE_WITHIN,
    &namespaces::SELECTOR_GIVEN,
    &namespaces::OPERATOR_VALUES,
    &virtual_node::FLEET_NEEDS_IAM,
    &virtual_node::ATTRIBUTES_FREE,
    &crate::canary::analysis::SOME_BOUND,
    &crate::canary::analysis::BOUNDS_IN_ORDER,
    &crate::canary::analysis::ABORT_BELOW_MIN,
    &crate::canary::analysis::PERCENT,
    &crate::canary::duration::UP_TO_30_DAYS,
    &crate::canary::duration::UP_TO_10_MINUTES,
    &crate::canary::duration::UP_TO_1_MINUTE,
    &crate::canary::step::INCREASING,
    &crate::canary::webhook::NAMES_ONCE,
    &crate::canary::webhook::PATH_OF_A_PROVIDER,
];

/// A spec, and the rules beyond bounds that it may break.
pub trait Judged {
    /// Records what the spec breaks, at paths that begin with `spec`.
    fn judge(&self, found: &mut Violations);

    /// Records what a change of the spec breaks that is `before` now: what never changes. Nothing by default.
    fn judge_change(&self, before: &Self, found: &mut Violations) {
        let _ = (before, found);
    }

    /// What the spec breaks, in the order of the rules.
    fn violations(&self) -> Vec<Violation> {
        let mut found = Violations::default();
        self.judge(&mut found);
        found.into_vec()
    }

    /// What the spec breaks by itself or as a change of `before`.
    fn violations_after(&self, before: &Self) -> Vec<Violation> {
        let mut found = Violations::default();
        self.judge(&mut found);
        self.judge_change(before, &mut found);
        found.into_vec()
    }
}

impl Judged for MeshResourceSpec {
    fn judge(&self, found: &mut Violations) {
        let given = [
            ("egressFilter", self.app_mesh.egress_filter.is_some()),
            ("serviceDiscovery", self.app_mesh.service_discovery.is_some()),
            ("tags", !self.management.tags.is_empty()),
        ];
        if self.mode == MeshManagement::Observe
            && let Some((member, _)) = given.into_iter().find(|(_, given)| *given)
        {
            found.broken("spec", &mesh::OBSERVED_AS_IT_IS, member);
        }
        tags(&self.management, found);
        self.allowed_namespaces.iter().for_each(|allowed| allowed_namespaces(allowed, found));
    }
}

impl Judged for VirtualNodeResourceSpec {
    fn judge(&self, found: &mut Violations) {
        if self.fleet.is_some() && self.iam.is_none() {
            found.broken("spec", &virtual_node::FLEET_NEEDS_IAM, "fleet alone");
        }
        if let Some(key) = self.reserved_attribute() {
            found.broken("spec", &virtual_node::ATTRIBUTES_FREE, key);
        }
        room_for_http(self.http, &self.management, found);
        tags(&self.management, found);
        self.iam.iter().for_each(|identity| identity_members(identity, found));
        self.fleet.iter().for_each(|fleet| fleet_members(fleet, found));
        self.allowed_retirement
            .iter()
            .for_each(|allowed| allowed_routes("spec.allowedRetirement", allowed, found));
    }

    fn judge_change(&self, before: &Self, found: &mut Violations) {
        same_mesh(&self.mesh_name, &before.mesh_name, found);
        same_role(self.iam.as_ref(), before.iam.as_ref(), found);
    }
}

impl VirtualNodeResourceSpec {
    /// The first attribute in Cloud Map that the operator sets for each instance that it launches.
    fn reserved_attribute(&self) -> Option<&str> {
        self.fleet.as_ref()?.replicas?;
        let Some(ServiceDiscovery::AwsCloudMap(service)) = &self.app_mesh.service_discovery else {
            return None;
        };
        let keys = service.attributes.iter().flatten().map(|attribute| attribute.key.as_str());
        keys.into_iter().find(|key| key.starts_with("AWS_") || key.starts_with(TAG_PREFIX))
    }
}

impl Judged for VirtualRouterResourceSpec {
    fn judge(&self, found: &mut Violations) {
        tags(&self.management, found);
        self.allowed_routes.iter().for_each(|allowed| allowed_routes("spec.allowedRoutes", allowed, found));
    }

    fn judge_change(&self, before: &Self, found: &mut Violations) {
        same_mesh(&self.mesh_name, &before.mesh_name, found);
    }
}

impl Judged for RouteResourceSpec {
    fn judge(&self, found: &mut Violations) {
        tags(&self.management, found);
        self.canary.iter().for_each(|rollout| canary::judge(rollout, found));
        if let Some(counted) = self.canary.as_ref().and_then(Canary::counts_requests)
            && self.app_mesh.tcp_route.is_some()
        {
            found.broken("spec", &route::TCP_HAS_NO_REQUESTS, counted);
        }
    }

    fn judge_change(&self, before: &Self, found: &mut Violations) {
        same_mesh(&self.mesh_name, &before.mesh_name, found);
        if self.virtual_router_name != before.virtual_router_name {
            found.broken("spec.virtualRouterName", &ROUTER_NAME_FIXED, &self.virtual_router_name);
        }
    }
}

impl Judged for VirtualServiceResourceSpec {
    fn judge(&self, found: &mut Violations) {
        tags(&self.management, found);
    }

    fn judge_change(&self, before: &Self, found: &mut Violations) {
        same_mesh(&self.mesh_name, &before.mesh_name, found);
    }
}

impl Judged for VirtualGatewayResourceSpec {
    fn judge(&self, found: &mut Violations) {
        if self.fleet.is_some() && self.iam.is_none() {
            found.broken("spec", &virtual_node::FLEET_NEEDS_IAM, "fleet alone");
        }
        room_for_http(self.http, &self.management, found);
        tags(&self.management, found);
        self.iam.iter().for_each(|identity| identity_members(identity, found));
        self.fleet.iter().for_each(|fleet| gateway_fleet_members(fleet, found));
        self.allowed_routes.iter().for_each(|allowed| allowed_routes("spec.allowedRoutes", allowed, found));
    }

    fn judge_change(&self, before: &Self, found: &mut Violations) {
        same_mesh(&self.mesh_name, &before.mesh_name, found);
        same_role(self.iam.as_ref(), before.iam.as_ref(), found);
    }
}

impl Judged for GatewayRouteResourceSpec {
    fn judge(&self, found: &mut Violations) {
        tags(&self.management, found);
    }

    fn judge_change(&self, before: &Self, found: &mut Violations) {
        same_mesh(&self.mesh_name, &before.mesh_name, found);
        if self.virtual_gateway_name != before.virtual_gateway_name {
            found.broken("spec.virtualGatewayName", &GATEWAY_NAME_FIXED, &self.virtual_gateway_name);
        }
    }
}

impl Judged for RouteActionSpec {
    fn judge(&self, found: &mut Violations) {
        if matches!(self.verb, Verb::Promote | Verb::SkipStep) && self.step_index.is_none() {
            found.broken("spec", &route_action::STEP_NAMED, "no stepIndex");
        }
    }

    fn judge_change(&self, before: &Self, found: &mut Violations) {
        if self != before {
            found.broken("spec", &route_action::FIXED, "a change");
        }
    }
}

impl Judged for FleetClassSpec {
    fn judge(&self, found: &mut Violations) {
        if let Some(key) = self.tag_keys.iter().find(|key| is_reserved(key)) {
            found.broken("spec.tagKeys", &fleet_class::TAG_KEYS_FREE, key);
        }
        once::each("spec.instanceTypes", &self.instance_types, &fleet::TYPES_ONCE, found);
        once::networked("spec.network", self.network.as_ref(), found);
        let in_all = self.limits.instances;
        if let Some(of_one) = self.limits.instances_per_namespace.filter(|of_one| *of_one > in_all) {
            found.broken("spec.limits", &fleet_class::NAMESPACE_WITHIN, format!("{of_one} of {in_all}"));
        }
        self.allowed_namespaces.iter().for_each(|allowed| allowed_namespaces(allowed, found));
    }
}

impl Judged for MetricProviderSpec {
    fn judge(&self, found: &mut Violations) {
        allowed_namespaces(&self.allowed_namespaces, found);
    }
}

impl Judged for WebhookProviderSpec {
    fn judge(&self, found: &mut Violations) {
        allowed_namespaces(&self.allowed_namespaces, found);
    }
}

/// What a change of a resource that is `before` now breaks beside its spec: the name in effect, which `metadata.name` stands for
/// when the spec has none, never changes.
pub fn renamed<K: MeshResource>(resource: &K, before: &K) -> Option<Violation> {
    let (now, former) = (resource.resource_id(), before.resource_id());
    let field = K::KIND.info().member;
    let message = || format!("{} (found {})", name_fixed(field), now.name());
    (now.name() != former.name()).then(|| Violation::new(format!("spec.{field}"), message()))
}

fn room_for_http(http: Option<Http>, management: &Management, found: &mut Violations) {
    let count = management.tags.len();
    if http.is_some() && count > MAX_TAGS_WITH_HTTP {
        found.broken("spec", &http::ROOM_FOR_HTTP, format!("{count} tags"));
    }
}

fn same_mesh(now: &str, before: &str, found: &mut Violations) {
    if now != before {
        found.broken("spec.meshName", &MESH_NAME_FIXED, now);
    }
}

fn same_role(now: Option<&Iam>, before: Option<&Iam>, found: &mut Violations) {
    if let (Some(now), Some(before)) = (now, before)
        && now.role_name != before.role_name
    {
        found.broken("spec.iam", &iam::NAME_FIXED, shown(now.role_name.as_deref()));
    }
}

fn shown(text: Option<&str>) -> &str {
    text.unwrap_or("none")
}

/// Whether a tag's key is AWS's or Fleetmesh's.
fn is_reserved(key: &str) -> bool {
    key.starts_with("aws:") || key.starts_with(TAG_PREFIX)
}

fn tags(given: &Management, found: &mut Violations) {
    let keys = || given.tags.keys();
    if let Some(key) = keys().find(|key| !(1..=128).contains(&key.chars().count())) {
        found.broken("spec.tags", &management::TAG_KEY_LENGTH, format!("{} characters", key.chars().count()));
    }
    if let Some(key) = keys().find(|key| is_reserved(key)) {
        found.broken("spec.tags", &management::TAG_KEY_RESERVED, key);
    }
}

fn identity_members(given: &Iam, found: &mut Violations) {
    if let Some(boundary) = &given.permissions_boundary {
        found.broken("spec.iam", &iam::NO_BOUNDARY, boundary);
    }
    if let Some(path) = &given.path {
        found.broken("spec.iam", &iam::NO_PATH, path);
    }
}

fn fleet_members(given: &Fleet, found: &mut Violations) {
    if given.replicas.is_some() && given.app.is_none() {
        found.broken("spec.fleet", &fleet::LAUNCH_NEEDS, "no app");
    }
    let beside = [
        ("app", given.app.is_some()),
        ("capacity", given.capacity.is_some()),
        ("image", given.image.is_some()),
        ("network", given.network.is_some()),
        ("proxy", given.proxy.is_some()),
        ("rollout", given.rollout.is_some()),
    ];
    if given.enroll.is_some() {
        alone(&fleet::ENROLL_ALONE, &beside, found);
    }
    once::launched(given.capacity.as_ref(), given.network.as_ref(), found);
    some_move(given.rollout, found);
}

fn gateway_fleet_members(given: &GatewayFleet, found: &mut Violations) {
    let beside = [
        ("capacity", given.capacity.is_some()),
        ("image", given.image.is_some()),
        ("network", given.network.is_some()),
        ("proxy", given.proxy.is_some()),
        ("rollout", given.rollout.is_some()),
    ];
    if given.enroll.is_some() {
        alone(&gateway_fleet::ENROLL_ALONE, &beside, found);
    }
    once::launched(given.capacity.as_ref(), given.network.as_ref(), found);
    some_move(given.rollout, found);
}

/// Nothing of `beside` may be given.
fn alone(rule: &Rule, beside: &[(&str, bool)], found: &mut Violations) {
    if let Some((member, _)) = beside.iter().find(|(_, given)| *given) {
        found.broken("spec.fleet", rule, member);
    }
}

fn some_move(rollout: Option<Rollout>, found: &mut Violations) {
    if rollout.is_some_and(|rollout| rollout.max_surge == 0 && rollout.max_unavailable == 0) {
        found.broken("spec.fleet.rollout", &fleet::SOME_MOVE, 0);
    }
}

fn allowed_namespaces(allowed: &AllowedNamespaces, found: &mut Violations) {
    let selects = allowed.from == NamespacesFrom::Selector;
    selector("spec.allowedNamespaces", selects, allowed.selector.as_ref(), found);
}

fn allowed_routes(at: &str, allowed: &AllowedRoutes, found: &mut Violations) {
    let selects = allowed.namespaces.from == RoutesFrom::Selector;
    selector(&format!("{at}.namespaces"), selects, allowed.namespaces.selector.as_ref(), found);
}

fn selector(at: &str, selects: bool, given: Option<&LabelSelector>, found: &mut Violations) {
    if selects != given.is_some() {
        found.broken(at, &namespaces::SELECTOR_GIVEN, if selects { "none" } else { "one" });
    }
    let expressions = given.and_then(|given| given.match_expressions.as_ref());
    for (index, expression) in expressions.into_iter().flatten().enumerate() {
        let valued = expression.values.as_ref().is_some_and(|values| !values.is_empty());
        if valued != matches!(expression.operator.as_str(), "In" | "NotIn") {
            let at = format!("{at}.selector.matchExpressions[{index}]");
            found.broken(&at, &namespaces::OPERATOR_VALUES, &expression.operator);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::VirtualRouter;

    fn changed<S: DeserializeOwned + Judged>(before: Value, now: Value) -> Vec<String> {
        let read = |spec| serde_json::from_value::<S>(spec).expect("a spec");
        let found = read(now).violations_after(&read(before));
        found.into_iter().map(|violation| violation.path).collect()
    }

    #[test]
    fn what_never_changes_is_judged_by_the_change() {
        let none: [&str; 0] = [];
        let node = |role: Value| json!({ "meshName": "apps", "iam": { "roleName": role } });
        assert_eq!(changed::<VirtualNodeResourceSpec>(node(json!("a")), node(json!("a"))), none);
        for other in [json!("b"), Value::Null] {
            assert_eq!(changed::<VirtualNodeResourceSpec>(node(json!("a")), node(other)), ["spec.iam"]);
        }
        // An identity that goes may come back with another name.
        assert_eq!(changed::<VirtualNodeResourceSpec>(node(json!("a")), json!({ "meshName": "apps" })), none);
        let route = |mesh: &str, router: &str| json!({ "meshName": mesh, "virtualRouterName": router });
        let both = ["spec.meshName", "spec.virtualRouterName"];
        assert_eq!(changed::<RouteResourceSpec>(route("apps", "a"), route("apps", "a")), none);
        assert_eq!(changed::<RouteResourceSpec>(route("apps", "a"), route("shop", "b")), both);
        let route = |mesh: &str, gateway: &str| {
            let target = json!({ "virtualService": { "virtualServiceName": "s" } });
            json!({ "meshName": mesh, "virtualGatewayName": gateway,
                "httpRoute": { "match": {}, "action": { "target": target } } })
        };
        let both = ["spec.meshName", "spec.virtualGatewayName"];
        assert_eq!(changed::<GatewayRouteResourceSpec>(route("apps", "a"), route("apps", "a")), none);
        assert_eq!(changed::<GatewayRouteResourceSpec>(route("apps", "a"), route("shop", "b")), both);
        let action = |verb: &str| json!({ "rolloutId": "r", "routeName": "a", "verb": verb });
        assert_eq!(changed::<RouteActionSpec>(action("Pause"), action("Pause")), none);
        assert_eq!(changed::<RouteActionSpec>(action("Pause"), action("Resume")), ["spec"]);
    }

    #[test]
    fn the_name_in_effect_never_changes() {
        let router = |name: &str, spec: Value| {
            let resource = json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualRouter",
                "metadata": { "name": name }, "spec": spec });
            serde_json::from_value::<VirtualRouter>(resource).expect("a router")
        };
        let plain = router("a", json!({ "meshName": "apps" }));
        let named = |name: &str| router("a", json!({ "meshName": "apps", "virtualRouterName": name }));
        assert_eq!(renamed(&named("a"), &plain), None, "metadata.name stands for it");
        let broken = renamed(&named("b"), &plain).expect("another name");
        assert!(
            broken.to_string().starts_with("spec.virtualRouterName: virtualRouterName is immutable"),
            "{broken}"
        );
    }
}
