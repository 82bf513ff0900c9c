//! The resources: a fleet with user data, a node that Cloud Map knows, a route whose rollout asks webhooks and a
//! Prometheus.

use serde_json::{Value, json};

const MESH: &str = "apps";

fn object(kind: &str, name: &str, mut spec: Value) -> Value {
    let mut metadata = json!({ "name": name });
    if !["Mesh", "WebhookProvider", "MetricProvider"].contains(&kind) {
        spec["meshName"] = json!(MESH);
        metadata["namespace"] = json!("default");
    }
    json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec })
}

fn list(items: Vec<Value>) -> Value {
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

fn listener() -> Value {
    json!([{ "portMapping": { "port": 80, "protocol": "http2" } }])
}

/// The mesh and its nodes. One has a fleet whose user data starts the application, one is found by Cloud Map.
pub fn nodes(user_data: &str) -> Value {
    let dns = json!({ "dns": { "hostname": "red.apps.local" } });
    let script = format!("#!/bin/sh\nexport PASSWORD={user_data}\n");
    let fleet = json!({
        "replicas": 1,
        "capacity": { "instanceTypes": ["t3.small"] },
        "image": { "id": "ami-12c6146b" },
        "app": { "port": 8000, "userData": [{ "contentType": "text/x-shellscript", "content": script }] },
    });
    let launched = json!({ "listeners": listener(), "serviceDiscovery": dns, "iam": {}, "fleet": fleet });
    let cloud_map = json!({ "awsCloudMap": { "namespaceName": "apps.local", "serviceName": "green" } });
    list(vec![
        object("Mesh", MESH, json!({})),
        object("VirtualNode", "red", launched),
        object("VirtualNode", "green", json!({ "listeners": listener(), "serviceDiscovery": cloud_map })),
    ])
}

/// The providers `outside`.
pub fn providers(webhook: Value, prometheus: Value) -> Value {
    list(vec![object("WebhookProvider", "outside", webhook), object("MetricProvider", "outside", prometheus)])
}

/// A router and its route, whose targets are `old` and `new` with these weights.
pub fn route(webhook: impl Fn(&str) -> Value, prometheus: Value, weights: [u32; 2]) -> Value {
    let nodes = ["old", "new"].map(|name| {
        let dns = json!({ "dns": { "hostname": "red.apps.local" } });
        object("VirtualNode", name, json!({ "listeners": listener(), "serviceDiscovery": dns }))
    });
    let targets: Vec<Value> = ["old", "new"]
        .into_iter()
        .zip(weights)
        .filter(|(_, weight)| *weight > 0)
        .map(|(node, weight)| json!({ "virtualNode": node, "weight": weight }))
        .collect();
    let second = json!({ "duration": "1s" });
    let canary = json!({
        "steps": [{ "setWeight": 50, "pause": second }, { "setWeight": 100, "pause": second }],
        "analysis": { "interval": "1s", "metrics": [
            { "name": "p99", "source": { "prometheus": prometheus }, "thresholdRange": { "max": 500 } }] },
        "webhooks": [webhook("confirm-rollout"), webhook("event")],
    });
    let spec = json!({
        "virtualRouterName": "shop",
        "http2Route": { "match": { "prefix": "/" }, "action": { "weightedTargets": targets } },
        "canary": canary,
    });
    let router = object("VirtualRouter", "shop", json!({ "listeners": listener() }));
    list([&nodes[..], &[router, object("Route", "shop", spec)]].concat())
}
