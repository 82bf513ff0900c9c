//! TLS for a whole mesh: what a Mesh asks for is in the App Mesh requests of its nodes, a step at a time and back again, and shown.

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::bed::{ClusterBed, LIMIT};
use crate::space::{KubernetesSpace, node, version, with};

/// Awaits that the Mesh reports this of its TLS.
async fn reports(space: &KubernetesSpace, tls: Value) {
    wait::until(&format!("the Mesh reports {tls}"), LIMIT, async || {
        let mesh = space.get(&format!("mesh/{}", space.mesh)).await;
        anyhow::ensure!(mesh["status"]["tls"] == tls, "{}", mesh["status"]);
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_tls_of_a_mesh_is_written_into_its_nodes_step_by_step_and_shown() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("mutual").await;
    let own = json!({ "mode": "DISABLED", "certificate": { "sds": { "secretName": "own" } } });
    let mut listens_itself = node("blue.local");
    listens_itself["listeners"][0]["tls"] = own.clone();
    let objects = [
        space.mesh(),
        space.object("VirtualNode", "red", node("red.local")),
        space.object("VirtualNode", "blue", listens_itself),
    ];
    space.apply(&objects).await;
    space.ready(&["mesh/mutual", "virtualnode/red", "virtualnode/blue"]).await;
    let before = space.describe("virtual-node", "red").await;

    let tls = json!({ "spec": { "tls": { "mode": "STRICT", "certificates": "Fleetmesh" } } });
    space.apply(&[with(space.mesh(), tls)]).await;
    reports(&space, json!({ "stage": "Strict" })).await;
    space.ready(&["mesh/mutual", "virtualnode/red", "virtualnode/blue"]).await;
    let red = space.describe("virtual-node", "red").await;
    let sds = |name: &str| json!({ "sds": { "secretName": name } });
    let validation = json!({ "trust": sds("fleetmesh-ca") });
    assert_eq!(
        red["spec"]["listeners"][0]["tls"],
        json!({ "mode": "STRICT", "certificate": sds("fleetmesh"), "validation": validation })
    );
    let policy = json!({ "certificate": sds("fleetmesh"), "validation": validation });
    assert_eq!(red["spec"]["backendDefaults"], json!({ "clientPolicy": { "tls": policy } }));
    assert_eq!(version(&red), version(&before) + 3, "listeners, clients, then nothing but TLS");
    let added = space.get("virtualnode/red").await["status"]["tls"].clone();
    assert_eq!(added, json!({ "listeners": "STRICT", "backends": "Required" }));
    let blue = space.describe("virtual-node", "blue").await;
    assert_eq!(blue["spec"]["listeners"][0]["tls"], own, "what a node says itself stays");
    assert_eq!(space.get("virtualnode/blue").await["status"]["tls"], json!({ "backends": "Required" }));

    // A node that is new begins there, and the way back ends where it began.
    space.apply(&[space.object("VirtualNode", "green", node("green.local"))]).await;
    space.ready(&["virtualnode/green"]).await;
    let green = space.describe("virtual-node", "green").await;
    assert_eq!((&green["spec"]["listeners"][0]["tls"]["mode"], version(&green)), (&json!("STRICT"), 1));
    space.run(&["patch", "mesh/mutual", "--type=merge", "-p", r#"{"spec":{"tls":null}}"#]).await;
    reports(&space, Value::Null).await;
    wait::until("the node is as before", LIMIT, async || {
        let red = space.describe("virtual-node", "red").await;
        anyhow::ensure!(red["spec"] == before["spec"], "{red}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    assert_eq!(space.events("red", "DriftMended").await, [""; 0], "nobody else changed anything");
}
