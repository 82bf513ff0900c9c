//! The operator against a control plane of another host: it trusts its CA, signs with its key, and takes a new key in while
//! it runs.

use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::{stack, userns, wait};
use fleetmesh_tests::app_mesh::AppMeshRequests;
use serde_json::{Value, json};

use crate::bed::{LIMIT, TlsBed, create_key, fleetmesh};

fn objects(nodes: &[&str]) -> Value {
    let node = |name: &&str| {
        json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "VirtualNode",
            "metadata": { "name": name, "namespace": "default" }, "spec": { "meshName": "apps" } })
    };
    let mesh = json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh", "metadata": { "name": "apps" }, "spec": {} });
    let items: Vec<Value> = std::iter::once(mesh).chain(nodes.iter().map(node)).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items })
}

#[tokio::test]
async fn the_operator_converges_with_a_key_and_a_ca_and_takes_a_new_key_in() {
    if !userns::wanted() {
        return;
    }
    let mut bed = TlsBed::start("operator-tls").await;
    let (data_dir, file) = (bed.control_plane.data_dir(), bed.run.join("key.json"));
    let key = create_key(&data_dir, &file).await;
    let cluster = Cluster::start(&bed.run).await.unwrap();
    let kubectl = cluster.kubectl().unwrap();
    stack::install_crds(&kubectl, &bed.run).await.unwrap();
    let (ca, key_file) = (bed.ca(), file.display().to_string());
    let arguments = ["--app-mesh-ca-file", &ca, "--app-mesh-access-key-file", &key_file, "--log=trace"];
    let kubeconfig = cluster.admin_kubeconfig();
    let mut operator =
        Operator::launch(&kubeconfig, &bed.endpoint, &bed.run, Launch::with(arguments)).await.unwrap();

    let list = bed.run.join("objects.json");
    let apply = async |nodes: &[&str]| {
        std::fs::write(&list, objects(nodes).to_string()).unwrap();
        kubectl.apply(&list).await.unwrap();
    };
    let ready = async |node: &str| {
        let object = format!("virtualnode/{node}");
        kubectl.run(&["wait", &object, "--for=condition=Ready", "--timeout=60s"]).await.unwrap();
    };
    apply(&["red"]).await;
    ready("red").await;
    // How many proxies run it comes from a signed poll.
    wait::until("the status shows proxies", LIMIT, async || {
        let red = kubectl.json(&["get", "virtualnode/red"]).await?;
        anyhow::ensure!(red["status"]["proxies"].is_object(), "{}", red["status"]);
        Ok(Some(()))
    })
    .await
    .unwrap();

    let next = create_key(&data_dir, &file).await;
    let revoke = ["control-plane", "keys", "revoke", "--data-dir", data_dir.to_str().unwrap()];
    fleetmesh(&[&revoke[..], &[&key.access_key_id]].concat()).await;
    apply(&["red", "blue"]).await;
    ready("blue").await;
    let plain = AppMeshRequests::new(&bed.control_plane.endpoint());
    let again =
        plain.try_create(&fleetmesh_model::ResourceId::virtual_node("apps", "blue"), &json!({})).await;
    assert_eq!(again.unwrap().status(), 409, "the operator made it");

    let log = std::fs::read_to_string(operator.process().log()).unwrap();
    assert!(log.contains("TRACE"), "everything is logged");
    for key in [&key, &next] {
        assert!(!log.contains(&key.secret_access_key), "a secret is in the operator's log");
        bed.no_log_holds(key);
    }
}
