//! The objects of the reconcile benchmark: nodes, routers with two routes each, services. Pure data.

use serde_json::{Value, json};

/// The mesh, the namespace and the label of everything the benchmark makes.
pub const MESH: &str = "bench";
/// The virtual service that the simulated proxies call.
pub const CALLED_SERVICE: &str = "service-000.bench.local";
/// The route whose weights are changed.
pub const CHANGED_ROUTE: &str = "route-000-b";

/// How many of each kind.
#[derive(Clone, Copy, Debug)]
pub struct ObjectCounts {
    /// Virtual nodes; at least two for each router.
    pub nodes: usize,
    /// Virtual routers, each with two routes and one virtual service.
    pub routers: usize,
    /// The nodes that call [`CALLED_SERVICE`]; a simulated proxy runs for each.
    pub callers: usize,
}

impl ObjectCounts {
    /// App Mesh objects besides the mesh.
    pub fn total(self) -> usize {
        self.nodes + self.routers * 4
    }
}

/// The name of node `index`.
pub fn node_name(index: usize) -> String {
    format!("node-{index:03}")
}

/// The mesh.
pub fn mesh() -> Value {
    json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh",
        "metadata": { "name": MESH },
        "spec": {},
    })
}

/// All objects in the mesh, referents first.
pub fn objects(counts: ObjectCounts) -> Vec<Value> {
    let mut objects = Vec::with_capacity(counts.total());
    objects.extend((0..counts.nodes).map(|index| node(index, counts.callers)));
    objects.extend((0..counts.routers).map(router));
    for index in 0..counts.routers {
        let first = (2 * index) % counts.nodes;
        objects.push(route(index, "a", "/a", first));
        objects.push(route(index, "b", "/", first));
    }
    objects.extend((0..counts.routers).map(service));
    objects
}

/// An object in the benchmark's namespace.
pub fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": kind,
        "metadata": { "name": name, "namespace": MESH },
        "spec": spec,
    })
}

/// An object of the benchmark's mesh.
pub fn in_mesh(kind: &str, name: &str, mut spec: Value) -> Value {
    if let Some(members) = spec.as_object_mut() {
        members.insert("meshName".into(), json!(MESH));
    }
    object(kind, name, spec)
}

fn node(index: usize, callers: usize) -> Value {
    let name = node_name(index);
    let mut spec = json!({
        "listeners": [{ "portMapping": { "port": 80, "protocol": "http2" } }],
        "serviceDiscovery": { "dns": { "hostname": format!("{name}.bench.local") } },
    });
    if index < callers {
        spec["backends"] = json!([{ "virtualService": { "virtualServiceName": CALLED_SERVICE } }]);
    }
    in_mesh("VirtualNode", &name, spec)
}

fn router(index: usize) -> Value {
    let listeners = json!([{ "portMapping": { "port": 80, "protocol": "http2" } }]);
    in_mesh("VirtualRouter", &format!("router-{index:03}"), json!({ "listeners": listeners }))
}

fn route(router: usize, suffix: &str, prefix: &str, first: usize) -> Value {
    let spec = json!({
        "virtualRouterName": format!("router-{router:03}"),
        "http2Route": { "match": { "prefix": prefix }, "action": { "weightedTargets": [
            { "virtualNode": node_name(first), "weight": 75 },
            { "virtualNode": node_name(first + 1), "weight": 25 },
        ] } },
    });
    in_mesh("Route", &format!("route-{router:03}-{suffix}"), spec)
}

fn service(index: usize) -> Value {
    let spec = json!({
        "virtualServiceName": format!("service-{index:03}.bench.local"),
        "provider": { "virtualRouter": { "virtualRouterName": format!("router-{index:03}") } },
    });
    in_mesh("VirtualService", &format!("service-{index:03}"), spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issue_counts_1500_objects() {
        let counts = ObjectCounts { nodes: 500, routers: 250, callers: 100 };
        assert_eq!(counts.total(), 1500);
        assert_eq!(objects(counts).len(), 1500);
    }
}
