//! The services of single cases: a virtual service with a router, routes, and versions that are found by name and port. Each
//! case has nodes of its own, because loads are reported by virtual node.

use fleetmesh_testbed::scenario::MESH;
use serde_json::{Value, json};

/// A target of a route: virtual node and weight.
pub type ServiceTarget<'a> = (&'a str, u32);

/// A service and what there is at first.
pub struct ServedService {
    /// `NAME.apps.local`, and the router's name.
    pub name: &'static str,
    /// The port of the first version; the next have the next.
    port: u16,
    nodes: &'static [&'static str],
    routes: &'static [Path],
}

/// A route and its targets at first.
struct Path {
    name: &'static str,
    prefix: &'static str,
    targets: &'static [ServiceTarget<'static>],
}

/// Two versions share the requests, a third one comes.
pub const SHOP: ServedService = ServedService {
    name: "shop",
    port: 8001,
    nodes: &["shop-v1", "shop-v2", "shop-v3"],
    routes: &[Path { name: "shop", prefix: "/", targets: &[("shop-v1", 60), ("shop-v2", 40)] }],
};

/// Two routes of one router.
pub const DESK: ServedService = ServedService {
    name: "desk",
    port: 8011,
    nodes: &["desk-in-v1", "desk-in-v2", "desk-out-v1", "desk-out-v2"],
    routes: &[
        Path { name: "desk-in", prefix: "/in", targets: &[("desk-in-v1", 100)] },
        Path { name: "desk-out", prefix: "/out", targets: &[("desk-out-v1", 100)] },
    ],
};

/// Somebody is asked.
pub const BANK: ServedService = ServedService {
    name: "bank",
    port: 8021,
    nodes: &["bank-v1", "bank-v2"],
    routes: &[Path { name: "bank", prefix: "/", targets: &[("bank-v1", 100)] }],
};

/// All of them.
pub const SERVICES: [ServedService; 3] = [SHOP, DESK, BANK];

impl ServedService {
    /// The name that callers use.
    pub fn host(&self) -> String {
        format!("{}.apps.local", self.name)
    }

    /// The virtual nodes and their ports.
    pub fn nodes(&self) -> impl Iterator<Item = (&'static str, u16)> {
        self.nodes.iter().copied().zip(self.port..)
    }

    /// Everything that there is at first.
    pub fn objects(&self) -> Vec<Value> {
        let nodes = self.nodes().map(|(name, port)| {
            let mapping = json!({ "port": port, "protocol": "http2" });
            let dns = json!({ "dns": { "hostname": "versions.apps.local" } });
            object(
                "VirtualNode",
                name,
                json!({ "listeners": [{ "portMapping": mapping }], "serviceDiscovery": dns }),
            )
        });
        let mapping = json!({ "port": 80, "protocol": "http2" });
        let router = object("VirtualRouter", self.name, json!({ "listeners": [{ "portMapping": mapping }] }));
        let provider = json!({ "virtualRouter": { "virtualRouterName": self.name } });
        let service = object("VirtualService", &self.host(), json!({ "provider": provider }));
        let routes = self.routes.iter().map(|route| self.route(route.name, route.targets, None));
        nodes.chain([router, service]).chain(routes).collect()
    }

    /// A route of the service as it is applied.
    pub fn route(&self, name: &str, targets: &[ServiceTarget<'_>], canary: Option<Value>) -> Value {
        let prefix = self.routes.iter().find(|route| route.name == name).map(|route| route.prefix);
        let targets: Vec<Value> =
            targets.iter().map(|(node, weight)| json!({ "virtualNode": node, "weight": weight })).collect();
        let mut spec = json!({
            "virtualRouterName": self.name,
            "http2Route": { "match": { "prefix": prefix }, "action": { "weightedTargets": targets } },
        });
        if let Some(canary) = canary {
            spec["canary"] = canary;
        }
        object("Route", name, spec)
    }
}

/// Targets for people to read, those without requests left out, in the order of their names.
pub fn in_words(targets: &[ServiceTarget<'_>]) -> String {
    let mut serving: Vec<&ServiceTarget<'_>> = targets.iter().filter(|(_, weight)| *weight > 0).collect();
    serving.sort();
    serving.iter().map(|(node, weight)| format!("{node}={weight}")).collect::<Vec<_>>().join(" ")
}

fn object(kind: &str, name: &str, mut spec: Value) -> Value {
    spec["meshName"] = json!(MESH);
    json!({
        "apiVersion": "fleetmesh.dev/v1alpha1",
        "kind": kind,
        "metadata": { "namespace": MESH, "name": name },
        "spec": spec,
    })
}
