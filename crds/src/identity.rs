//! Schemas of the fields that identify an App Mesh resource: App Mesh's `ResourceName` bounds, a character rule that
//! keeps ARNs unambiguous, and immutability. Pure functions over schemas.

use fleetmesh_model::hostname::SERVICE_NAME;
use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::add_rule;
use schemars::Schema;
use serde_json::json;

/// The longest name of an App Mesh resource, in characters (App Mesh `ResourceName`).
pub const MAX_NAME_LENGTH: u64 = 255;

/// Names end up in ARNs (`mesh/NAME/virtualNode/NAME`) and in URLs: a slash or a blank would make them ambiguous.
const NAME_PATTERN: &str = r"^[^/\s]+$";

pub(crate) const MESH_NAME_FIXED: Rule = Rule {
    cel: "self == oldSelf",
    message: "meshName is immutable: delete the resource and create it in the other mesh",
};
pub(crate) const ROUTER_NAME_FIXED: Rule = Rule {
    cel: "self == oldSelf",
    message: "virtualRouterName is immutable: delete the route and create it in the other virtual router",
};

pub(crate) const GATEWAY_NAME_FIXED: Rule = Rule {
    cel: "self == oldSelf",
    message: "virtualGatewayName is immutable: delete the gateway route and create it in the other virtual gateway",
};

/// Bounds of a name. Whether the kind's own name may change is a rule at the root (see `definition`), because the
/// name in effect may be `metadata.name`.
pub fn name(schema: &mut Schema) {
    schema.insert("minLength".into(), json!(1));
    schema.insert("maxLength".into(), json!(MAX_NAME_LENGTH));
    schema.insert("pattern".into(), json!(NAME_PATTERN));
}

/// The name of a virtual service, which requests have as their host.
pub fn service_name(schema: &mut Schema) {
    name(schema);
    add_rule(schema, &SERVICE_NAME);
}

/// The mesh that a resource is in: a name that never changes.
pub fn mesh_name(schema: &mut Schema) {
    name(schema);
    add_rule(schema, &MESH_NAME_FIXED);
}

/// The virtual router that a route is in: a name that never changes.
pub fn parent_router_name(schema: &mut Schema) {
    name(schema);
    add_rule(schema, &ROUTER_NAME_FIXED);
}

/// The virtual gateway that a gateway route is in: a name that never changes.
pub fn parent_gateway_name(schema: &mut Schema) {
    name(schema);
    add_rule(schema, &GATEWAY_NAME_FIXED);
}
