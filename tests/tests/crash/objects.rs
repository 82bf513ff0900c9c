//! The five objects, one of each kind, and the three phases of their lives.

use fleetmesh_crds::{Mesh, Route, VirtualNode, VirtualRouter, VirtualService};
use kube::api::ApiResource;
use serde_json::{Value, json};

/// What is done to the objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectPhase {
    Create,
    Change,
    Delete,
}

impl ObjectPhase {
    /// In the order of a life.
    pub const ALL: [Self; 3] = [Self::Create, Self::Change, Self::Delete];
}

/// One object of the test.
pub struct CrashKind {
    pub api: ApiResource,
    pub namespaced: bool,
    /// The object's path below its mesh in the App Mesh API.
    path: &'static str,
    spec: fn(changed: bool) -> Value,
}

impl CrashKind {
    /// One of each kind.
    pub fn all() -> [Self; 5] {
        let kind = |api, path, spec| Self { api, namespaced: true, path, spec };
        [
            Self { namespaced: false, ..kind(ApiResource::erase::<Mesh>(&()), "", mesh) },
            kind(ApiResource::erase::<VirtualNode>(&()), "/virtualNodes/crash", node),
            kind(ApiResource::erase::<VirtualRouter>(&()), "/virtualRouters/crash", router),
            kind(ApiResource::erase::<Route>(&()), "/virtualRouter/crash/routes/crash", route),
            kind(ApiResource::erase::<VirtualService>(&()), "/virtualServices/crash", service),
        ]
    }

    /// A mesh with a node, a router and a route, of which the last three change so that none of them can without the others.
    pub fn blocking() -> [Self; 4] {
        let [mesh, node, router, route, _] = Self::all();
        [
            mesh,
            Self { spec: moving_node, ..node },
            Self { spec: other_router, ..router },
            Self { spec: other_route, ..route },
        ]
    }

    /// The name of the resource of the lane `lane`.
    pub fn name<'a>(&self, lane: &'a str) -> &'a str {
        if self.namespaced { "crash" } else { lane }
    }

    /// Its path below `meshes/` in the App Mesh API.
    pub fn path(&self, lane: &str) -> String {
        format!("{lane}{}", self.path)
    }

    /// The manifest in the lane `lane`, as it is created or as it is changed to.
    pub fn manifest(&self, lane: &str, changed: bool) -> Value {
        let mut manifest = json!({
            "apiVersion": self.api.api_version,
            "kind": self.api.kind,
            "metadata": {"name": self.name(lane)},
            "spec": (self.spec)(changed),
        });
        if self.namespaced {
            manifest["metadata"]["namespace"] = json!(lane);
            manifest["spec"]["meshName"] = json!(lane);
        }
        manifest
    }
}

fn mesh(changed: bool) -> Value {
    json!({"egressFilter": {"type": if changed { "ALLOW_ALL" } else { "DROP_ALL" }}, "tags": {"team": "crash"}})
}

fn node(changed: bool) -> Value {
    json!({
        "listeners": [{"portMapping": {"port": 80, "protocol": "http2"}}],
        "serviceDiscovery": {"dns": {"hostname": if changed { "b.local" } else { "a.local" }}},
    })
}

fn router(changed: bool) -> Value {
    let listener = |port: u16| json!({"portMapping": {"port": port, "protocol": "http2"}});
    json!({"listeners": if changed { vec![listener(80), listener(81)] } else { vec![listener(80)] }})
}

fn route(changed: bool) -> Value {
    let weight = if changed { 75 } else { 100 };
    json!({
        "virtualRouterName": "crash",
        "http2Route": {
            "match": {"prefix": "/"},
            "action": {"weightedTargets": [{"virtualNode": "crash", "weight": weight}]},
        },
    })
}

fn service(changed: bool) -> Value {
    if changed {
        json!({"provider": {"virtualRouter": {"virtualRouterName": "crash"}}})
    } else {
        json!({"provider": {"virtualNode": {"virtualNodeName": "crash"}}})
    }
}

fn moving_node(changed: bool) -> Value {
    let port = if changed { 81 } else { 80 };
    json!({
        "listeners": [{"portMapping": {"port": port, "protocol": "http2"}}],
        "serviceDiscovery": {"dns": {"hostname": "a.local"}},
    })
}

fn other_router(changed: bool) -> Value {
    let protocol = if changed { "tcp" } else { "http2" };
    json!({"listeners": [{"portMapping": {"port": 80, "protocol": protocol}}]})
}

fn other_route(changed: bool) -> Value {
    let target =
        |port: u16| json!({"weightedTargets": [{"virtualNode": "crash", "weight": 1, "port": port}]});
    if changed {
        json!({"virtualRouterName": "crash", "tcpRoute": {"action": target(81)}})
    } else {
        json!({"virtualRouterName": "crash", "http2Route": {"match": {"prefix": "/"}, "action": target(80)}})
    }
}
