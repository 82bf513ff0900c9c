//! The objects of the canary benchmark. Pure data.

use serde_json::{Value, json};

use crate::objects::{in_mesh, object};

/// How many services each caller calls.
const CALLED: usize = 50;

/// The name of a caller's node.
pub fn caller(index: usize) -> String {
    format!("caller-{index:03}")
}

/// How many callers `routes` routes have.
pub fn callers(routes: usize) -> usize {
    routes.div_ceil(CALLED)
}

/// The name of a route.
pub fn route_name(index: usize) -> String {
    format!("route-{index:05}")
}

/// The stable node of a route, or the one that it goes to.
pub fn node_name(index: usize, new: bool) -> String {
    format!("{}-{index:05}", if new { "new" } else { "old" })
}

/// `routes` routers with a route and a service each, two nodes for each route, and the callers. Referents first.
pub fn services(routes: usize, canary: &Value) -> Vec<Value> {
    let mut objects = Vec::new();
    for index in 0..routes {
        objects.extend([false, true].map(|new| node(&node_name(index, new), json!([]))));
    }
    for index in 0..callers(routes) {
        let called = index * CALLED..routes.min((index + 1) * CALLED);
        objects.push(node(&caller(index), called.map(backend).collect()));
    }
    objects.extend((0..routes).map(|index| router(&router_name(index))));
    objects.extend(
        (0..routes).map(|index| route(index, &router_name(index), "/", &node_name(index, false), canary)),
    );
    objects.extend((0..routes).map(service));
    objects
}

/// One route, called by `callers` nodes.
pub fn called_by(callers: usize, canary: &Value) -> Vec<Value> {
    let mut objects: Vec<Value> =
        [false, true].map(|new| node(&node_name(0, new), json!([]))).into_iter().collect();
    objects.extend((0..callers).map(|index| node(&caller(index), json!([backend(0)]))));
    objects.push(router(&router_name(0)));
    objects.push(route(0, &router_name(0), "/", &node_name(0, false), canary));
    objects.push(service(0));
    objects
}

/// `routes` routes to one node, a hundred in each router.
pub fn resting(routes: usize, canary: &Value) -> Vec<Value> {
    let mut objects = vec![node(&node_name(0, false), json!([]))];
    objects.extend((0..routes.div_ceil(100)).map(|index| router(&router_name(index))));
    objects.extend((0..routes).map(|index| {
        let prefix = format!("/{index}");
        route(index, &router_name(index / 100), &prefix, &node_name(0, false), canary)
    }));
    objects
}

/// What makes the route `index` go to its new node.
pub fn release(index: usize) -> Value {
    let targets = json!([{ "virtualNode": node_name(index, true), "weight": 100 }]);
    json!({ "spec": { "http2Route": { "action": { "weightedTargets": targets } } } })
}

/// A RouteAction.
pub fn action(name: &str, verb: &str, rollout: &Value) -> Value {
    object(
        "RouteAction",
        name,
        json!({
            "routeName": route_name(0), "verb": verb,
            "rolloutId": rollout["id"], "stepIndex": rollout["stepIndex"],
        }),
    )
}

fn router_name(index: usize) -> String {
    format!("router-{index:05}")
}

fn service_name(index: usize) -> String {
    format!("service-{index:05}.bench.local")
}

fn backend(index: usize) -> Value {
    json!({ "virtualService": { "virtualServiceName": service_name(index) } })
}

fn node(name: &str, backends: Value) -> Value {
    let mut spec = json!({
        "listeners": [{ "portMapping": { "port": 80, "protocol": "http2" } }],
        "serviceDiscovery": { "dns": { "hostname": format!("{name}.bench.local") } },
    });
    if backends != json!([]) {
        spec["backends"] = backends;
    }
    in_mesh("VirtualNode", name, spec)
}

fn router(name: &str) -> Value {
    let listeners = json!([{ "portMapping": { "port": 80, "protocol": "http2" } }]);
    in_mesh("VirtualRouter", name, json!({ "listeners": listeners }))
}

fn route(index: usize, router: &str, prefix: &str, target: &str, canary: &Value) -> Value {
    let spec = json!({
        "virtualRouterName": router,
        "http2Route": { "match": { "prefix": prefix }, "action": { "weightedTargets": [
            { "virtualNode": target, "weight": 100 },
        ] } },
        "canary": canary,
    });
    in_mesh("Route", &route_name(index), spec)
}

fn service(index: usize) -> Value {
    let spec = json!({
        "virtualServiceName": service_name(index),
        "provider": { "virtualRouter": { "virtualRouterName": router_name(index) } },
    });
    in_mesh("VirtualService", &format!("service-{index:05}"), spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_is_called_and_the_issue_counts_a_thousand_routes() {
        let objects = services(1000, &json!({}));
        assert_eq!(objects.len(), 5 * 1000 + 20);
        let called: usize =
            objects.iter().filter_map(|object| object["spec"]["backends"].as_array()).map(Vec::len).sum();
        assert_eq!(called, 1000);
        assert_eq!(resting(10_000, &json!({})).len(), 10_000 + 100 + 1);
    }
}
