//! Parts that die and come back: the operator, the API server, the control plane. Nothing is lost, nothing is written
//! twice, and what happened meanwhile is caught up with.

use std::time::{Duration, Instant};

use fleetmesh_testbed::{http, wait};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::bed::{ClusterBed, LIMIT, TIMEOUT};
use crate::space::{KubernetesSpace, node, route, router, service, version, with};

/// The design's bound after an API server's return.
const RECONVERGED: Duration = Duration::from_secs(35);
/// A counter of calls to App Mesh.
const CALLS: &str = "calls_total{service=\"appmesh\"";
/// Looks at each object that must not write.
const RESYNCS: u64 = 100;
/// Nodes that are applied while the operator is killed.
const NODES: usize = 40;
/// Times that it is killed.
const KILLS: usize = 4;

fn weighted(space: &KubernetesSpace, red: u32) -> Value {
    space.object(
        "Route",
        "shop",
        with(route(&[("red", red), ("blue", 1)]), json!({ "virtualRouterName": "shop" })),
    )
}

async fn applied(bed: &ClusterBed, name: &str) -> KubernetesSpace {
    let space = bed.space(name).await;
    space
        .apply(&[
            space.mesh(),
            space.object("VirtualNode", "red", node("red.local")),
            space.object("VirtualNode", "blue", node("blue.local")),
            space.object("VirtualRouter", "shop", router()),
            weighted(&space, 1),
            space.object("VirtualService", "shop.local", service("shop")),
        ])
        .await;
    space.ready(&["fleetmesh", "--all"]).await;
    space
}

/// The sum of a counter of the operator over the lines that hold all of `words`.
async fn count(bed: &ClusterBed, words: &[&str]) -> u64 {
    let page = http::get(&format!("{}/metrics", bed.stack.operator.health_url())).await.unwrap();
    let lines = page.lines().filter(|line| words.iter().all(|word| line.contains(word)));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Writes to App Mesh and to Kubernetes so far.
async fn writes(bed: &ClusterBed) -> [u64; 2] {
    let mut calls = 0;
    for verb in ["Create", "Update", "Delete", "TagResource", "UntagResource"] {
        calls += count(bed, &[CALLS, &format!("operation=\"{verb}")]).await;
    }
    [calls, count(bed, &["kubernetes_writes_total"]).await]
}

async fn weight_shown(space: &KubernetesSpace) -> i64 {
    let described = space.describe("route", "shop").await;
    described["spec"]["http2Route"]["action"]["weightedTargets"][0]["weight"].as_i64().unwrap()
}

#[tokio::test]
async fn a_hundred_resyncs_and_a_restart_write_nothing() {
    let mut bed = ClusterBed::start("resync", &[]).await;
    let space = applied(&bed, "rest").await;
    let file = Kubeconfig::read_from(bed.stack.cluster.admin_kubeconfig()).unwrap();
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    let client = kube::Client::try_from(config).unwrap();
    let before = writes(&bed).await;
    let shown = space.describe("route", "shop").await;
    let kinds = [
        ("VirtualNode", "red"),
        ("VirtualRouter", "shop"),
        ("Route", "shop"),
        ("VirtualService", "shop.local"),
    ];
    for resync in 0..RESYNCS {
        let looks = count(&bed, &["rounds_total", "plan=\"in_step\""]).await;
        for (kind, name) in kinds {
            let group = kube::api::GroupVersionKind::gvk("fleetmesh.dev", "v1alpha1", kind);
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), "rest", &ApiResource::from_gvk(&group));
            // An annotation asks for a look; it changes no spec.
            let patch = json!({ "metadata": { "annotations": { "example.com/look": resync.to_string() } } });
            api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        }
        wait::until("each was looked at", LIMIT, async || {
            let now = count(&bed, &["rounds_total", "plan=\"in_step\""]).await;
            Ok((now >= looks + kinds.len() as u64).then_some(()))
        })
        .await
        .unwrap();
    }
    let looked = count(&bed, &[CALLS, "operation=\"Describe"]).await;
    assert!(looked >= RESYNCS * kinds.len() as u64, "the endpoint was asked {looked} times");
    assert_eq!(writes(&bed).await, before, "writes to [App Mesh, Kubernetes]");
    let ClusterBed { stack, run } = &mut bed;
    stack.operator.restart(run).await.unwrap();
    wait::until("everything was looked at again", LIMIT, async || {
        Ok((count(&bed, &["rounds_total", "plan=\"in_step\""]).await >= kinds.len() as u64 + 2).then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(writes(&bed).await, [0, 0], "a restart remembers nothing and writes nothing");
    assert_eq!(space.describe("route", "shop").await, shown);
}

#[tokio::test]
async fn whatever_dies_comes_back_and_catches_up() {
    // Short, so that an object at rest soon notices that the endpoint is gone.
    let mut bed = ClusterBed::start("outages", &["--drift-interval", "2s"]).await;
    let space = applied(&bed, "outages").await;
    the_operator_dies_while_it_works(&mut bed, &space).await;
    the_operator_stops_in_good_order(&mut bed, &space).await;
    the_api_server_dies(&mut bed, &space).await;
    the_control_plane_dies(&mut bed, &space).await;
}

async fn the_operator_dies_while_it_works(bed: &mut ClusterBed, space: &KubernetesSpace) {
    let nodes: Vec<Value> =
        (0..NODES).map(|index| space.object("VirtualNode", &format!("n{index}"), node("n.local"))).collect();
    for (kill, nodes) in nodes.chunks(NODES / KILLS).enumerate() {
        space.apply(nodes).await;
        let wanted = kill * 3;
        // At another moment each time: somewhere within the work, wherever that is by then.
        wait::until("some work is done", LIMIT, async || {
            Ok((count(bed, &[CALLS, "CreateVirtualNode"]).await >= wanted as u64).then_some(()))
        })
        .await
        .unwrap();
        bed.stack.operator.kill();
        bed.stack.operator.restart(&bed.run).await.unwrap();
    }
    space.ready(&["virtualnode", "--all"]).await;
    let listed = space.aws.run(&["list-virtual-nodes", "--mesh-name", "outages"]).await.unwrap();
    let listed = listed["virtualNodes"].as_array().unwrap();
    assert_eq!(listed.len(), NODES + 2, "red, blue and each node once");
    for one in listed {
        assert_eq!(one["version"], 1, "written once: {one}");
    }
}

async fn the_operator_stops_in_good_order(bed: &mut ClusterBed, space: &KubernetesSpace) {
    let status = bed.stack.operator.stop().await.unwrap();
    assert!(status.success(), "{status}");
    let tampered = json!({ "meshName": "outages", "virtualNodeName": "red", "spec": node("evil.local") });
    space.aws.call("update-virtual-node", &tampered).await.unwrap();
    space.apply(&[weighted(space, 2)]).await;
    bed.stack.operator.restart(&bed.run).await.unwrap();
    space.run(&["wait", "virtualnode/red", "--for=jsonpath={.status.version}=3", TIMEOUT]).await;
    let [event] = &space.events("red", "DriftMended").await[..] else { panic!("one Event") };
    assert!(event.contains("evil.local") && event.contains("red.local"), "{event}");
    space.run(&["wait", "route/shop", "--for=jsonpath={.status.version}=2", TIMEOUT]).await;
    assert_eq!(weight_shown(space).await, 2);
}

async fn the_api_server_dies(bed: &mut ClusterBed, space: &KubernetesSpace) {
    bed.stack.cluster.kill_api_server();
    let shown = space.describe("virtual-node", "red").await;
    let deleted =
        ["delete-virtual-service", "--mesh-name", "outages", "--virtual-service-name", "shop.local"];
    space.aws.run(&deleted).await.unwrap();
    bed.stack.operator.process().ensure_running().unwrap();
    let ClusterBed { stack, run } = bed;
    stack.cluster.restart_api_server(run).await.unwrap();
    let start = Instant::now();
    space.apply(&[weighted(space, 3)]).await;
    space.run(&["wait", "route/shop", "--for=jsonpath={.status.version}=3", TIMEOUT]).await;
    wait::until("the service is there again", RECONVERGED, async || {
        Ok(space.try_describe("virtual-service", "shop.local").await.ok())
    })
    .await
    .unwrap();
    space.ready(&["fleetmesh", "--all"]).await;
    assert!(start.elapsed() < RECONVERGED, "{:?}", start.elapsed());
    assert_eq!(weight_shown(space).await, 3);
    assert_eq!(space.describe("virtual-node", "red").await, shown, "nobody touched it");
}

async fn the_control_plane_dies(bed: &mut ClusterBed, space: &KubernetesSpace) {
    bed.stack.control_plane.kill();
    space.apply(&[weighted(space, 4)]).await;
    let changed = space.message("route/shop", "Programmed", "EndpointUnreachable").await;
    for words in ["version 3", "--app-mesh-endpoint"] {
        assert!(changed.contains(words), "{changed}");
    }
    let at_rest = space.message("virtualnode/blue", "Ready", "EndpointUnreachable").await;
    assert!(at_rest.contains("version 1"), "{at_rest}");
    // To delete what cannot be asked about waits, too.
    space.run(&["delete", "--wait=false", "virtualnode/n0"]).await;
    let message = space.message("virtualnode/n0", "Ready", "EndpointUnreachable").await;
    assert!(message.contains("fleetmesh.dev/orphan"), "{message}");

    let ClusterBed { stack, run } = bed;
    stack.control_plane.restart(run).await.unwrap();
    space.run(&["wait", "--for=delete", "virtualnode/n0", TIMEOUT]).await;
    space.run(&["wait", "route/shop", "--for=jsonpath={.status.version}=4", TIMEOUT]).await;
    space.ready(&["fleetmesh", "--all"]).await;
    assert_eq!(weight_shown(space).await, 4);
    let events = space.events("shop", "DriftMended").await;
    assert_eq!(events, [""; 0], "the route was changed here, and written late");
    assert_eq!(version(&space.describe("virtual-node", "blue").await), 1, "nothing was written anew");
    let listed = space.aws.run(&["list-virtual-nodes", "--mesh-name", "outages"]).await.unwrap();
    assert_eq!(listed["virtualNodes"].as_array().unwrap().len(), NODES + 1);
}
