//! Each action of App Mesh is needed: without it a resource stops with a condition that names it. No IAM decides here, but
//! a stand-in (`gate`).

use std::collections::BTreeSet;

use fleetmesh_model::Kind;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::stack::Stack;
use fleetmesh_tests::objects::Objects;
use serde_json::{Value, json};

use super::gate::Gate;
use super::generated;
use super::walk::PermissionWalk;
use crate::bed::{CLUSTER, TIMEOUT};

const NAME: &str = "gate";

/// A kind and two specs of it, in the order in which they can be made.
fn kinds() -> [(&'static str, Value, Value); Kind::ALL.len()] {
    let route = |weight: i32| {
        let targets = json!([{ "virtualNode": NAME, "weight": weight }]);
        json!({ "virtualRouterName": NAME, "httpRoute": { "match": { "prefix": "/" }, "action": { "weightedTargets": targets } } })
    };
    let node = |hostname: &str| {
        let port = json!([{ "portMapping": { "port": 80, "protocol": "http" } }]);
        json!({ "listeners": port, "serviceDiscovery": { "dns": { "hostname": hostname } } })
    };
    let router =
        |port: i32| json!({ "listeners": [{ "portMapping": { "port": port, "protocol": "http" } }] });
    let gateway_route = |prefix: &str| {
        let target = json!({ "virtualService": { "virtualServiceName": NAME } });
        json!({ "virtualGatewayName": NAME, "httpRoute": { "match": { "prefix": prefix }, "action": { "target": target } } })
    };
    let provider = json!({ "virtualRouter": { "virtualRouterName": NAME } });
    [
        ("Mesh", json!({}), json!({ "egressFilter": { "type": "ALLOW_ALL" } })),
        ("VirtualNode", node("one.local"), node("two.local")),
        ("VirtualRouter", router(80), router(81)),
        ("Route", route(1), route(2)),
        ("VirtualService", json!({}), json!({ "provider": { "virtualRouter": provider["virtualRouter"] } })),
        ("VirtualGateway", router(80), router(81)),
        ("GatewayRoute", gateway_route("/"), gateway_route("/api")),
    ]
}

fn object(kind: &str, spec: &Value, tags: &Value) -> Value {
    let mut spec = spec.clone();
    spec["tags"] = tags.clone();
    spec["meshName"] = json!(NAME);
    json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": kind,
        "metadata": { "name": NAME, "namespace": NAME }, "spec": spec })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_one_action_of_app_mesh_the_operator_is_refused_just_that() {
    let run = RunDir::new("gate").unwrap();
    let policy = generated().await;
    let gate = Gate::start(&policy).await;
    let control_plane = ControlPlane::start(&run).await.unwrap();
    let endpoint = gate.before(&control_plane.endpoint());
    let arguments = ["--drift-interval", "1s", "--cluster-name", CLUSTER];
    let stack = Stack::builder()
        .control_plane(control_plane)
        .app_mesh(&endpoint)
        .operator(Launch::with(arguments))
        .start(&run)
        .await
        .unwrap();
    stack.kubectl.run(&["create", "namespace", NAME]).await.unwrap();
    let mut walk = PermissionWalk {
        policy: &policy,
        gate: &gate,
        moto: None,
        kubectl: &stack.kubectl,
        objects: Objects::of(&stack.kubectl),
        namespace: NAME,
        refused: BTreeSet::new(),
    };
    for (kind, first, second) in kinds() {
        lives(&mut walk, &run, kind, &first, &second).await;
    }
    for (kind, ..) in kinds().iter().rev() {
        let (of, action) = (format!("{}/{NAME}", kind.to_lowercase()), format!("appmesh:Delete{kind}"));
        let kubectl = &stack.kubectl;
        let delete = async || {
            kubectl.run(&["--namespace", NAME, "delete", &of, "--wait=false"]).await.unwrap();
        };
        walk.meets_when(&of, &action, delete).await;
        walk.lacks_nothing().await;
        walk.run(&["wait", "--for=delete", &of, TIMEOUT]).await;
    }
    walk.is_complete(|action| action.starts_with("appmesh:"));
}

/// One resource is made, tagged otherwise, and changed.
async fn lives(walk: &mut PermissionWalk<'_>, run: &RunDir, kind: &str, first: &Value, second: &Value) {
    let of = format!("{}/{NAME}", kind.to_lowercase());
    let tagged = |spec: &Value, tags: Value| object(kind, spec, &tags);
    let (kubectl, file) = (walk.kubectl, run.join("object.json"));
    let apply = async |object: Value| {
        std::fs::write(&file, object.to_string()).unwrap();
        kubectl.apply(&file).await.unwrap();
    };
    let action = |verb: &str| format!("appmesh:{verb}{kind}");
    let plain = tagged(first, json!({}));
    walk.meets_when(&of, &action("Create"), async || apply(plain).await).await;
    walk.meets(&of, &action("Describe")).await;
    walk.meets(&of, "appmesh:ListTagsForResource").await;
    let more = tagged(first, json!({ "team": "mesh" }));
    walk.meets_when(&of, "appmesh:TagResource", async || apply(more).await).await;
    walk.lacks_nothing().await;
    walk.run(&["wait", "--for=condition=Programmed", &of, TIMEOUT]).await;
    let plain = tagged(first, json!({}));
    walk.meets_when(&of, "appmesh:UntagResource", async || apply(plain).await).await;
    let changed = tagged(second, json!({}));
    walk.meets_when(&of, &action("Update"), async || apply(changed).await).await;
    walk.lacks_nothing().await;
}
