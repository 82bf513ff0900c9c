//! The control plane alone: the AWS CLI makes the scenario's mesh and real Envoys carry the traffic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use fleetmesh_testbed::app::{AppLoad, LoadOptions};
use fleetmesh_testbed::aws::AppMesh;
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::dns::{self, Zone};
use fleetmesh_testbed::host::{Host, HostBackend, HostOptions};
use fleetmesh_testbed::netns::Network;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::userns;
use serde_json::json;

/// The scenario's requests, in its order, with serviceBv2 getting nothing yet.
async fn make_mesh(aws: &AppMesh) {
    let node = |name: &str, host: &str, backends: serde_json::Value| {
        json!({"meshName": "apps", "virtualNodeName": name, "spec": {
            "backends": backends,
            "listeners": [{"portMapping": {"port": 80, "protocol": "http2"}}],
            "serviceDiscovery": {"dns": {"hostname": host}}}})
    };
    let router = json!({"meshName": "apps", "virtualRouterName": "serviceB",
        "spec": {"listeners": [{"portMapping": {"port": 80, "protocol": "http2"}}]}});
    let service = json!({"meshName": "apps", "virtualServiceName": "serviceb.apps.local",
        "spec": {"provider": {"virtualRouter": {"virtualRouterName": "serviceB"}}}});
    let backend = json!([{"virtualService": {"virtualServiceName": "serviceb.apps.local"}}]);
    aws.run(&["create-mesh", "--mesh-name", "apps"]).await.unwrap();
    for (operation, input) in [
        ("create-virtual-node", node("serviceB", "serviceB.apps.local", json!([]))),
        ("create-virtual-node", node("serviceBv2", "serviceBv2.apps.local", json!([]))),
        ("create-virtual-router", router),
        ("create-route", route(100, 0)),
        ("create-virtual-service", service),
        ("create-virtual-node", node("serviceA", "servicea.apps.local", backend)),
    ] {
        aws.call(operation, &input).await.unwrap();
    }
}

fn route(one: u32, two: u32) -> serde_json::Value {
    json!({"meshName": "apps", "routeName": "serviceB", "virtualRouterName": "serviceB", "spec": {"http2Route": {
        "match": {"prefix": "/"},
        "action": {"weightedTargets": [
            {"virtualNode": "serviceB", "weight": one}, {"virtualNode": "serviceBv2", "weight": two}]}}}})
}

#[tokio::test]
async fn the_cli_shifts_traffic_and_a_dead_control_plane_fails_no_request() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("cli").unwrap();
    let mut control_plane = ControlPlane::start(&run).await.unwrap();
    let aws = AppMesh::new(&control_plane.endpoint());
    make_mesh(&aws).await;

    let mut network = Network::new(&run).await.unwrap();
    let socket = format!("unix:{}", control_plane.ads_socket().display());
    // Names mean something before anybody asks: Envoy remembers for seconds that one did not.
    let mut zone = Zone::default();
    let mut instances = Vec::new();
    for node in ["serviceA", "serviceB", "serviceBv2"] {
        let instance = network.instance(node, &run).await.unwrap();
        zone.add(&format!("{}.apps.local", node.to_lowercase()), instance.ipv4());
        instances.push(instance);
    }
    let _dns = dns::start(&network, "apps.local", &zone, &run).await.unwrap();
    let mut hosts = Vec::new();
    for instance in instances {
        let options = HostOptions::new("apps", instance.name(), HostBackend::Nft);
        hosts.push(Host::start(instance, &options, &socket, &run).await.unwrap());
    }
    for host in &mut hosts {
        host.ready().await.unwrap();
    }

    let limit = Duration::from_secs(60);
    let options = LoadOptions { rate: 500, ..LoadOptions::new("http://serviceb.apps.local") };
    let mut load = AppLoad::start(&options, "one", &hosts[0].instance, &run).await.unwrap();
    load.until("serviceB answers", limit, |tally| tally.answered() > 1000).await.unwrap();
    aws.call("update-route", &route(0, 1)).await.unwrap();
    load.until("serviceBv2 answers", limit, |tally| tally.phase("one").by("serviceBv2") > 1000)
        .await
        .unwrap();

    load.phase("without control plane").await.unwrap();
    control_plane.kill();
    load.until("traffic goes on", limit, |tally| tally.phase("without control plane").answered() > 1000)
        .await
        .unwrap();
    control_plane.restart(&run).await.unwrap();
    load.phase("with its successor").await.unwrap();
    aws.call("update-route", &route(1, 0)).await.unwrap();
    load.until("the successor shifts back", limit, |tally| {
        tally.phase("with its successor").by("serviceB") > 1000
    })
    .await
    .unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    let dead = tally.phase("without control plane");
    assert_eq!(dead.answered(), dead.by("serviceBv2"), "the last configuration stays: {dead:?}");
}
