//! Specs as the App Mesh API takes them, and the identities of what tests make.

use fleetmesh_model::ResourceId;
use serde_json::{Value, json};

/// The one mesh of each test.
pub const MESH: &str = "apps";

pub fn mesh() -> ResourceId {
    ResourceId::mesh(MESH)
}

pub fn node(name: &str) -> ResourceId {
    ResourceId::virtual_node(MESH, name)
}

pub fn router(name: &str) -> ResourceId {
    ResourceId::virtual_router(MESH, name)
}

pub fn route(router: &str, name: &str) -> ResourceId {
    ResourceId::route(MESH, router, name)
}

pub fn gateway(name: &str) -> ResourceId {
    ResourceId::virtual_gateway(MESH, name)
}

pub fn gateway_route(gateway: &str, name: &str) -> ResourceId {
    ResourceId::gateway_route(MESH, gateway, name)
}

pub fn service(name: &str) -> ResourceId {
    ResourceId::virtual_service(MESH, name)
}

/// A virtual node that listens on these ports and is found as `NAME.apps.local`.
pub fn server(name: &str, ports: &[(&str, u16)]) -> (ResourceId, Value) {
    let dns = json!({ "dns": { "hostname": format!("{name}.apps.local") } });
    (node(name), json!({ "listeners": listeners(ports), "serviceDiscovery": dns }))
}

/// A virtual node that only calls these virtual services.
pub fn caller(name: &str, services: &[&str]) -> (ResourceId, Value) {
    (node(name), json!({ "backends": backends(services) }))
}

/// A virtual router that listens on these ports.
pub fn router_on(name: &str, ports: &[(&str, u16)]) -> (ResourceId, Value) {
    (router(name), json!({ "listeners": listeners(ports) }))
}

/// A virtual service that a virtual router provides.
pub fn routed(name: &str, router: &str) -> (ResourceId, Value) {
    (service(name), json!({ "provider": { "virtualRouter": { "virtualRouterName": router } } }))
}

/// An empty mesh.
pub fn empty_mesh() -> (ResourceId, Value) {
    (mesh(), json!({}))
}

pub fn listeners(ports: &[(&str, u16)]) -> Value {
    let mappings = ports.iter().map(|(protocol, port)| mapping(protocol, *port));
    mappings.map(|mapping| json!({ "portMapping": mapping })).collect()
}

pub fn mapping(protocol: &str, port: u16) -> Value {
    json!({ "port": port, "protocol": protocol })
}

pub fn backends(services: &[&str]) -> Value {
    services.iter().map(|name| json!({ "virtualService": { "virtualServiceName": name } })).collect()
}

/// A route's action: `(virtual node, port, weight)` each.
pub fn targets(targets: &[(&str, u16, u32)]) -> Value {
    let targets: Value = targets
        .iter()
        .map(|(node, port, weight)| json!({ "virtualNode": node, "port": port, "weight": weight }))
        .collect();
    json!({ "weightedTargets": targets })
}

/// An http2 route for everything.
pub fn http2_route(action: &Value) -> Value {
    json!({ "http2Route": { "match": { "prefix": "/" }, "action": action } })
}
