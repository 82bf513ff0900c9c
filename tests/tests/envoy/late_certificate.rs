//! A listener begins to take TLS with a certificate that is not there yet: its callers go on in plaintext, also when the control plane
//! restarts, and use TLS when the file is there; nothing has to be restarted for that.

use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::{userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::certificates::{Folder, TestAuthority};
use crate::spec::{caller, empty_mesh, server, service};

const SERVICE: &str = "one.apps.local";
const PORT: u16 = 8001;
/// Requests after a change that show how it goes.
const REQUESTS: u64 = 200;

/// Awaits that a proxy of `red` rejects it because of this file.
async fn rejected(bed: &Bed, red: &ResourceId, file: &str) {
    wait::until("the certificate is rejected", LIMIT, async || {
        let status = bed.status(red).await.unwrap_or_default();
        let rejected = &status["rejected"][0];
        let words = rejected["message"].as_str().unwrap_or_default();
        anyhow::ensure!(words.contains(file) && status["acknowledged"] == 0, "{status}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// How many connections to `red` the proxy made over TLS.
async fn handshakes(client: &MeshMember) -> u64 {
    client.stat(&format!("cluster.cds_egress_apps_red_http2_{PORT}.ssl.handshake")).await
}

fn with_tls(plain: &Value, mode: &str, folder: &Folder) -> Value {
    let mut spec = plain.clone();
    spec["listeners"][0]["tls"] = json!({ "mode": mode, "certificate": folder.certificate("red") });
    spec
}

#[tokio::test]
async fn callers_follow_when_the_certificate_has_come() {
    late(false).await;
}

#[tokio::test]
async fn callers_follow_when_the_certificate_has_come_in_the_state_of_the_world() {
    late(true).await;
}

async fn late(state_of_the_world: bool) {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red]) = Bed::start("late-certificate", ["client", "red"]).await;
    bed.state_of_the_world = state_of_the_world;
    bed.names(&[&client, &red], &[SERVICE]).await;
    let folder = Folder::new(bed.run.join("certs"));
    let ca = TestAuthority::new("ca", 0x71);
    let (id, plain) = server("red", &[("http2", PORT)]);
    let provider = json!({ "provider": { "virtualNode": { "virtualNodeName": "red" } } });
    bed.create(&[
        empty_mesh(),
        (id.clone(), plain.clone()),
        (service(SERVICE), provider),
        caller("client", &[SERVICE]),
    ])
    .await;
    let _red = bed.join(red, &[(Protocol::Http2, PORT)]).await;
    let client = bed.join(client, &[]).await;
    bed.runs_on(&id, 2).await;
    let options = LoadOptions { rate: 100, ..LoadOptions::new(&format!("http://{SERVICE}:{PORT}/")) };
    let mut load = client.load(&bed, &options, "plaintext").await;
    let by = |phase: &'static str| {
        move |tally: &fleetmesh_testbed::app::tally::Tally| tally.phase(phase).by("red") >= REQUESTS
    };
    load.until("red serves", LIMIT, by("plaintext")).await.unwrap();

    load.phase("rejected").await.unwrap();
    bed.api.update(&id, &with_tls(&plain, "PERMISSIVE", &folder)).await.unwrap();
    rejected(&bed, &id, "red.pem").await;
    load.until("red serves on", LIMIT, by("rejected")).await.unwrap();
    bed.control_plane.kill();
    bed.control_plane.restart(&bed.run).await.unwrap();
    load.phase("restarted").await.unwrap();
    rejected(&bed, &id, "red.pem").await;
    load.until("red serves on", LIMIT, by("restarted")).await.unwrap();
    assert_eq!(handshakes(&client).await, 0, "callers go on in plaintext");

    load.phase("tls").await.unwrap();
    folder.put("red", &ca.issue("red.apps.local", 1));
    bed.runs_on(&id, 2).await;
    assert_eq!(bed.status(&id).await.unwrap()["rejected"], json!([]));
    load.until("red serves on", LIMIT, by("tls")).await.unwrap();
    assert!(handshakes(&client).await > 0, "they use TLS");

    load.phase("strict").await.unwrap();
    bed.update(&id, &with_tls(&plain, "STRICT", &folder), 2).await;
    load.until("red serves on", LIMIT, by("strict")).await.unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
}
