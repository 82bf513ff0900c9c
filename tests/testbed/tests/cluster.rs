//! A cluster comes up, knows its users, and survives the death of its API server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use fleetmesh_testbed::cluster::{Cluster, ClusterOptions, User};
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;

#[tokio::test]
async fn api_server_has_rbac_audit_and_a_second_life() {
    let run = RunDir::new("cluster").unwrap();
    let nobody = User::named("nobody");
    let options = ClusterOptions { users: vec![nobody.clone()], audit: true, ..ClusterOptions::default() };
    let mut cluster = Cluster::start_with(&run, options).await.unwrap();
    let kubectl = cluster.kubectl().unwrap();
    kubectl.run(&["create", "namespace", "apps"]).await.unwrap();

    let stranger = Kubectl::new(&cluster.kubeconfig(&nobody).unwrap()).unwrap();
    let refused = stranger.capture(&["get", "namespaces"]).await.unwrap();
    assert!(refused.stderr.contains("Forbidden"), "{refused:?}");

    cluster.kill_api_server();
    assert!(!kubectl.capture(&["get", "namespaces"]).await.unwrap().status.success());
    cluster.restart_api_server(&run).await.unwrap();
    let namespace = kubectl.json(&["get", "namespace", "apps"]).await.unwrap();
    assert_eq!(namespace["metadata"]["name"], "apps");
    let audit = std::fs::read_to_string(cluster.audit_log()).unwrap();
    assert!(audit.contains("\"username\":\"nobody\""));
}
