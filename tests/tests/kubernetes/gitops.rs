//! What GitOps tools need of us: nothing of a spec is ever written by the operator, so that `kubectl diff` stays empty and
//! several managers share an object by server-side apply.

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::bed::{ClusterBed, LIMIT, TIMEOUT};
use crate::space::{KubernetesSpace, node, route, router, service, with};

/// As Flux calls itself.
const GIT: &str = "kustomize-controller";

fn objects(space: &KubernetesSpace, weights: &[(&str, u32)], more: Value) -> Vec<Value> {
    let route = with(route(weights), json!({ "virtualRouterName": "shop" }));
    vec![
        space.mesh(),
        space.object("VirtualNode", "red", node("red.local")),
        space.object("VirtualNode", "blue", node("blue.local")),
        space.object("VirtualRouter", "shop", router()),
        space.object("Route", "shop", with(route, more)),
        space.object("VirtualService", "shop.local", service("shop")),
    ]
}

/// Writes the objects to a file, as Git has them.
fn committed(bed: &ClusterBed, space: &KubernetesSpace, objects: Vec<Value>) -> String {
    let file = bed.run.join(format!("{}-git.json", space.name));
    std::fs::write(&file, json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string())
        .unwrap();
    file.to_str().unwrap().to_owned()
}

/// `kubectl diff`, which ends with 0 when there is nothing to show.
async fn differs(space: &KubernetesSpace, file: &str, options: &[&str]) -> Option<String> {
    let diff = space.kubectl.capture(&[&["diff", "-f", file], options].concat()).await.unwrap();
    match diff.status.code() {
        Some(0) => None,
        Some(1) => Some(diff.stdout),
        _ => panic!("{diff:?}"),
    }
}

async fn versions(space: &KubernetesSpace, file: &str) -> Vec<Value> {
    let found = space.kubectl.json(&["get", "-f", file]).await.unwrap();
    found["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["resourceVersion"].clone())
        .collect()
}

/// Looks at `kubectl diff` again and again until `done`: it must be empty each time. Gives how often it looked at something
/// that had changed since.
async fn quiet_until(
    space: &KubernetesSpace,
    file: &str,
    options: &[&str],
    done: impl AsyncFn(&KubernetesSpace) -> bool,
) -> usize {
    let (mut seen, mut looks) = (Vec::new(), 0);
    wait::until("the operator is done", LIMIT, async || {
        let over = done(space).await;
        let now = versions(space, file).await;
        if let Some(difference) = differs(space, file, options).await {
            panic!("the operator's writes show in kubectl diff:\n{difference}");
        }
        looks += usize::from(now != seen);
        seen = now;
        Ok(over.then_some(()))
    })
    .await
    .unwrap();
    looks
}

async fn ready(space: &KubernetesSpace) -> bool {
    let found = space.get("virtualservice/shop.local").await;
    let route = space.get("route/shop").await;
    [found, route].iter().all(|object| {
        let conditions = object["status"]["conditions"].as_array();
        conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Ready" && one["status"] == "True"))
    })
}

async fn promoted(space: &KubernetesSpace) -> bool {
    let found = space.get("route/shop").await;
    let status = &found["status"];
    status["observedGeneration"] == found["metadata"]["generation"] && status["phase"] == "Promoted"
}

/// Who has written `member`. The API server notes it at every write, so this is about all of them.
fn owners(object: &Value, member: &str) -> Vec<String> {
    let managers = object["metadata"]["managedFields"].as_array();
    let managers = managers.unwrap_or_else(|| panic!("no managers: {object}")).iter();
    let owners = managers.filter(|entry| entry["fieldsV1"].get(member).is_some());
    let mut owners: Vec<String> = owners.map(|entry| entry["manager"].as_str().unwrap().to_owned()).collect();
    owners.sort();
    owners
}

/// Whether the rollout waits for a promotion at this step.
async fn waits_at(space: &KubernetesSpace, step: i64) -> bool {
    let status = space.get("route/shop").await["status"].take();
    status["phase"] == "Paused" && status["rollout"]["stepIndex"] == step
}

/// Promotes the rollout beyond this step, as `fleetmesh canary promote` does.
async fn promote(space: &KubernetesSpace, step: i64) {
    let rollout = space.get("route/shop").await["status"]["rollout"].take();
    let action = json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "RouteAction",
        "metadata": { "name": format!("promote-{step}"), "namespace": space.name },
        "spec": { "routeName": "shop", "verb": "Promote", "rolloutId": rollout["id"], "stepIndex": step },
    });
    space.apply(&[action]).await;
}

#[tokio::test]
async fn kubectl_diff_is_empty_after_every_write_of_the_operator() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("diff").await;
    // Each step waits until it was looked at.
    let canary = json!({ "canary": {
        "steps": [{ "setWeight": 50, "pause": {} }, { "setWeight": 100, "pause": {} }],
        "analysis": { "metrics": [], "interval": "1s" },
        "drain": { "scaleDownDelaySeconds": 0, "timeoutSeconds": 0 },
    } });
    let file = committed(&bed, &space, objects(&space, &[("red", 1)], canary.clone()));
    space.run(&["apply", "-f", &file]).await;
    let looks = quiet_until(&space, &file, &[], ready).await;

    let file = committed(&bed, &space, objects(&space, &[("blue", 1)], canary));
    space.run(&["apply", "-f", &file]).await;
    let mut during = 0;
    for step in [1, 2] {
        during += quiet_until(&space, &file, &[], async |space| waits_at(space, step).await).await;
        promote(&space, step).await;
    }
    during += quiet_until(&space, &file, &[], promoted).await;
    println!("kubectl diff was empty at {looks} states on the way to Ready and {during} of a rollout");
    let found = space.kubectl.json(&["get", "--show-managed-fields", "-f", &file]).await.unwrap();
    for object in found["items"].as_array().unwrap() {
        assert_eq!(owners(object, "f:spec"), ["kubectl-client-side-apply"], "{object}");
        assert!(!owners(object, "f:status").is_empty(), "the operator wrote: {object}");
    }
}

#[tokio::test]
async fn two_managers_share_an_object_with_the_operator() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("managers").await;
    let apply = |file: &str, manager: &str| {
        let (file, manager) = (file.to_owned(), format!("--field-manager={manager}"));
        let kubectl = space.kubectl.clone();
        async move { kubectl.capture(&["apply", "--server-side", &manager, "-f", &file]).await.unwrap() }
    };
    let file = committed(&bed, &space, objects(&space, &[("red", 1)], json!({})));
    apply(&file, GIT).await.success().unwrap();
    space.run(&["wait", "--for=condition=Ready", TIMEOUT, "route/shop"]).await;

    // Another manager owns one member, as an autoscaler owns replicas.
    let other = bed.run.join("managers-other.json");
    let route = |spec: Value| {
        let mut route = space.object("Route", "shop", json!({}));
        route["spec"] = spec;
        std::fs::write(&other, route.to_string()).unwrap();
        other.to_str().unwrap().to_owned()
    };
    apply(&route(json!({ "priority": 7 })), "somebody").await.success().unwrap();
    let file = committed(&bed, &space, objects(&space, &[("red", 3), ("blue", 1)], json!({})));
    apply(&file, GIT).await.success().unwrap();
    wait::until("the new weights are in force", LIMIT, async || {
        let status = space.get("route/shop").await["status"].take();
        Ok((status["weights"] == "red=3 blue=1" && ready(&space).await).then_some(()))
    })
    .await
    .unwrap();
    let get = ["--namespace", &space.name, "get", "--show-managed-fields", "route/shop"];
    let found = space.kubectl.json(&get).await.unwrap();
    assert_eq!(found["spec"]["priority"], 7, "Git does not name it, so it stays");
    assert_eq!(space.describe("route", "shop").await["spec"]["priority"], 7);

    assert_eq!(owners(&found, "f:spec"), [GIT, "somebody"], "the operator owns nothing of the spec");
    let options = ["--server-side", &format!("--field-manager={GIT}")];
    assert_eq!(differs(&space, &file, &options).await, None);

    // That the API server would report a conflict at all.
    let refused =
        apply(&route(json!({ "http2Route": { "match": { "prefix": "/other" } } })), "somebody").await;
    assert!(!refused.status.success() && refused.stderr.contains(GIT), "{refused:?}");
}
