//! With the operator between: a bad Route says in its status what Envoy said, and says Ready again once it is mended.

use fleetmesh_testbed::app::Protocol;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::stack::Stack;
use fleetmesh_testbed::{userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT};
use crate::spec::{backends, listeners, targets};

const URL: &str = "http://shop.apps.local/";

/// The custom resource of a kind: `members` are those of its spec.
pub fn object(kind: &str, name: &str, mut members: Value) -> Value {
    let mut metadata = json!({ "name": name });
    if kind != "Mesh" {
        metadata["namespace"] = json!("default");
        members["meshName"] = json!("apps");
    }
    json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": members })
}

fn red_route(matcher: &Value) -> Value {
    let http2 = json!({ "match": matcher, "action": targets(&[("red", 8001, 1)]) });
    object("Route", "all", json!({ "virtualRouterName": "shop", "http2Route": http2 }))
}

/// `kubectl apply` of these.
pub async fn apply(kubectl: &Kubectl, bed: &Bed, objects: &[Value]) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let file = bed.run.join("objects.json");
    std::fs::write(&file, list.to_string()).unwrap();
    kubectl.apply(&file).await.unwrap();
}

/// Awaits that condition `Programmed` of the route has this reason for its newest generation; returns the condition.
async fn programmed(kubectl: &Kubectl, reason: &str) -> Value {
    wait::until(&format!("the reason of the route's Programmed is {reason}"), LIMIT, async || {
        let route = kubectl.json(&["get", "routes.fleetmesh.dev", "all"]).await?;
        let conditions = route["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = conditions.into_iter().find(|condition| condition["type"] == "Programmed");
        let found = found.unwrap_or_default();
        let current = found["observedGeneration"] == route["metadata"]["generation"];
        anyhow::ensure!(current && found["reason"] == reason, "{found}");
        Ok(Some(found))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn the_route_says_what_envoy_said() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("status").unwrap();
    let Stack { operator, control_plane, cluster, kubectl } = Stack::start(&run).await.unwrap();
    let (mut bed, [client, red]) = Bed::around(control_plane, run, ["client", "red"]).await;
    // Dropped before the bed, which has their files.
    let _kubernetes = (operator, cluster);
    bed.names(&[&client, &red], &["shop.apps.local"]).await;
    let dns = json!({ "dns": { "hostname": "red.apps.local" } });
    let everything = json!({ "prefix": "/" });
    apply(
        &kubectl,
        &bed,
        &[
            object("Mesh", "apps", json!({})),
            object(
                "VirtualNode",
                "red",
                json!({ "listeners": listeners(&[("http2", 8001)]), "serviceDiscovery": dns }),
            ),
            object("VirtualRouter", "shop", json!({ "listeners": listeners(&[("http2", 80)]) })),
            red_route(&everything),
            object(
                "VirtualService",
                "shop.apps.local",
                json!({ "provider": { "virtualRouter": { "virtualRouterName": "shop" } } }),
            ),
            object("VirtualNode", "client", json!({ "backends": backends(&["shop.apps.local"]) })),
        ],
    )
    .await;
    kubectl.run(&["wait", "--for=condition=Ready", "--timeout=60s", "fleetmesh", "--all"]).await.unwrap();
    let _red = bed.join(red, &[(Protocol::Http2, 8001)]).await;
    let client = bed.join_with_small_regexes(client, &[]).await;
    assert_eq!(client.get(Protocol::Http2, URL).await.outcome(), Ok("red".to_owned()));

    apply(&kubectl, &bed, &[red_route(&json!({ "path": { "regex": "/[a-z]{120}" } }))]).await;
    let condition = programmed(&kubectl, "ProxyRejected").await;
    assert_eq!(condition["status"], "False", "{condition}");
    let message = condition["message"].as_str().unwrap();
    assert!(message.contains("program size") && message.contains("virtualNode/client"), "{condition}");
    assert_eq!(client.get(Protocol::Http2, URL).await.outcome(), Ok("red".to_owned()), "traffic goes on");

    apply(&kubectl, &bed, &[red_route(&everything)]).await;
    let condition = programmed(&kubectl, "Programmed").await;
    assert_eq!(condition["status"], "True", "{condition}");
    assert!(condition["message"].as_str().unwrap().contains("1 of 1"), "{condition}");
}
