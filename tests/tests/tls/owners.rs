//! Two accounts on one control plane, by the real AWS CLI: what `--mesh-owner` leads to before a mesh is shared, while it is, and
//! after. The requests are those of AWS's walkthrough of a mesh in another account (MIT-0).

use std::path::Path;

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::api::cli;
use crate::bed::{BedKey, LIMIT, TlsBed, fleetmesh};

const CONSUMER: &str = "111122223333";
const OWNER: &str = "444455556666";
/// The mesh, as who is not its owner names it.
const SHARED: [&str; 4] = ["--mesh-name", "apps", "--mesh-owner", OWNER];

async fn key(data_dir: &Path, account: &[&str]) -> BedKey {
    let data_dir = data_dir.display().to_string();
    let create = ["control-plane", "keys", "create", "-o", "json", "--data-dir", &data_dir];
    serde_json::from_str(&fleetmesh(&[&create[..], account].concat()).await).unwrap()
}

async fn refused(bed: &TlsBed, key: &BedKey, arguments: &[&str], error: &str) {
    let refused = cli(bed, key, arguments).await;
    assert!(!refused.status.success() && refused.stderr.contains(error), "{arguments:?}: {refused:?}");
}

/// The walkthrough's user interface, which calls a service of the mesh.
fn node() -> String {
    let backends = json!([{"virtualService": {"virtualServiceName": "yelb-appserver"}}]);
    json!({"meshName": "apps", "meshOwner": OWNER, "virtualNodeName": "yelb-ui-vn", "spec": {
        "backends": backends,
        "listeners": [{"portMapping": {"port": 80, "protocol": "http"}}],
        "serviceDiscovery": {"dns": {"hostname": "yelb-ui.green.am-ecs-multi-account.local"}},
    }})
    .to_string()
}

/// A node whose certificate only AWS could serve.
fn of_acm() -> String {
    let certificate =
        json!({"acm": {"certificateArn": format!("arn:aws:acm:us-west-2:{CONSUMER}:certificate/x")}});
    let tls = json!({"mode": "STRICT", "certificate": certificate});
    json!({"meshName": "apps", "meshOwner": OWNER, "virtualNodeName": "acm", "spec": {
        "listeners": [{"portMapping": {"port": 80, "protocol": "http"}, "tls": tls}],
        "serviceDiscovery": {"dns": {"hostname": "acm.local"}},
    }})
    .to_string()
}

/// What `fleetmesh explain` prints for who has `key`.
async fn explain(bed: &TlsBed, key: &BedKey, mesh: &str) -> String {
    let file = bed.run.join("explains.json").display().to_string();
    let content = json!({"accessKeyId": key.access_key_id, "secretAccessKey": key.secret_access_key});
    std::fs::write(&file, content.to_string()).unwrap();
    let endpoint = ["--app-mesh-endpoint", &bed.endpoint, "--app-mesh-ca-file", &bed.ca()];
    let with = ["--app-mesh-access-key-file", &file, "--region", "us-west-2"];
    fleetmesh(&[&["explain", mesh][..], &endpoint, &with].concat()).await
}

#[tokio::test]
async fn a_mesh_of_another_account_is_there_while_it_is_shared() {
    let run = fleetmesh_testbed::run_dir::RunDir::new("owners-shares").unwrap();
    let file = run.join("shares.json").display().to_string();
    std::fs::write(&file, "[]").unwrap();
    let accounts = ["--account-id", CONSUMER, "--account-id", OWNER, "--mesh-shares", &file];
    let bed = TlsBed::start_with("owners", &accounts).await;
    let data_dir = bed.control_plane.data_dir();
    let (consumer, owner) = (key(&data_dir, &[]).await, key(&data_dir, &["--account-id", OWNER]).await);
    wait::until("the keys count", LIMIT, async || {
        cli(&bed, &owner, &["list-meshes"]).await.success().map(Some)
    })
    .await
    .unwrap();
    cli(&bed, &owner, &["create-mesh", "--mesh-name", "apps"]).await.success().unwrap();
    let describe = [&["describe-mesh"][..], &SHARED].concat();
    refused(&bed, &consumer, &describe, "NotFoundException").await;

    let share = ["control-plane", "share", "apps", "--mesh-shares", &file, "--mesh-owner", OWNER];
    let share = [&share[..], &["--with", CONSUMER]].concat();
    fleetmesh(&share).await;
    wait::until("it is shared", LIMIT, async || {
        let described = cli(&bed, &consumer, &describe).await;
        Ok(described.status.success().then_some(()))
    })
    .await
    .unwrap();
    let create = ["create-virtual-node", "--cli-input-json", &node()];
    let made = cli(&bed, &consumer, &create).await.success().unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    let metadata = &made["virtualNode"]["metadata"];
    let arn = format!("arn:aws:appmesh:us-west-2:{OWNER}:mesh/apps/virtualNode/yelb-ui-vn");
    assert_eq!(metadata["arn"], arn);
    assert_eq!((&metadata["meshOwner"], &metadata["resourceOwner"]), (&json!(OWNER), &json!(CONSUMER)));
    let service = ["--virtual-service-name", "yelb-ui", "--spec"];
    let spec = r#"{"provider": {"virtualNode": {"virtualNodeName": "yelb-ui-vn"}}}"#;
    let create = [&["create-virtual-service"][..], &SHARED, &service, &[spec]].concat();
    cli(&bed, &consumer, &create).await.success().unwrap();

    // What of it is not in force is said to both, each of whom has its own name for the mesh.
    let create = ["create-virtual-node", "--cli-input-json", &of_acm()];
    cli(&bed, &consumer, &create).await.success().unwrap();
    let said = "mesh/apps/virtualNode/acm spec.listeners[0].tls.certificate.acm: ";
    for (key, mesh) in [(&consumer, format!("apps@{OWNER}")), (&owner, "apps".to_owned())] {
        let explained = explain(&bed, key, &mesh).await;
        assert!(explained.starts_with(said), "{mesh}: {explained}");
    }

    // Each changes what it made; the mesh is its owner's alone.
    let update = ["update-virtual-service", "--mesh-name", "apps", "--virtual-service-name", "yelb-ui"];
    refused(&bed, &owner, &[&update[..], &["--spec", "{}"]].concat(), "ForbiddenException").await;
    let tag = ["tag-resource", "--resource-arn", &arn, "--tags", "key=a,value=b"];
    refused(&bed, &owner, &tag, "ForbiddenException").await;
    refused(&bed, &consumer, &["delete-mesh", "--mesh-name", "apps"], "NotFoundException").await;

    fleetmesh(&[&share[..], &["--remove"]].concat()).await;
    wait::until("it is shared no more", LIMIT, async || {
        let described = cli(&bed, &consumer, &describe).await;
        Ok(described.stderr.contains("NotFoundException").then_some(()))
    })
    .await
    .unwrap();
    let delete = ["delete-virtual-service", "--mesh-name", "apps", "--virtual-service-name", "yelb-ui"];
    cli(&bed, &owner, &delete).await.success().unwrap();
}
