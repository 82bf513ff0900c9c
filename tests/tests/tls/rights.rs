//! What a key may do, by the real AWS CLI: one that only reads, one of another mesh, one that has ended; and where the
//! secrets lie meanwhile.

use std::path::Path;
use std::process::Command;

use fleetmesh_testbed::{aws, command, tools, wait};
use serde_json::{Value, json};

use crate::api::cli;
use crate::bed::{BedKey, LIMIT, TlsBed, fleetmesh};

/// Makes a key of this policy, whose secret is sealed.
async fn key(data_dir: &str, seal: &str, policy: &[&str]) -> BedKey {
    let create = ["control-plane", "keys", "create", "-o", "json", "--data-dir", data_dir];
    let printed = fleetmesh(&[&create[..], &["--seal-key-file", seal], policy].concat()).await;
    serde_json::from_str(&printed).unwrap()
}

/// What `key` is answered at the endpoints beside App Mesh's, by path.
async fn beside(bed: &TlsBed, key: &BedKey, meshes: &[&str]) -> Value {
    let script = tools::workspace_dir().unwrap().join("tests/tests/tls/rights.py");
    let mut python = Command::new(tools::tool("python").unwrap());
    python.arg(script).args([&bed.endpoint, &bed.ca()]).args(meshes);
    aws::credentials(&mut python);
    python.env("AWS_ACCESS_KEY_ID", &key.access_key_id);
    python.env("AWS_SECRET_ACCESS_KEY", &key.secret_access_key);
    serde_json::from_str(&command::run(python).await.unwrap()).unwrap()
}

fn holds(folder: &Path, secret: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let holds = |file: &Path| {
        let content = std::fs::read(file).unwrap();
        content.windows(secret.len()).any(|bytes| bytes == secret.as_bytes())
    };
    files.into_iter().any(|file| holds(&file))
}

async fn denied(bed: &TlsBed, key: &BedKey, arguments: &[&str], lacks: &str) {
    let refused = cli(bed, key, arguments).await;
    let said = refused.stderr.replace('\n', " ");
    let named = format!("access key {}", key.access_key_id);
    assert!(
        !refused.status.success() && said.contains("AccessDeniedException"),
        "{arguments:?}: {refused:?}"
    );
    assert!(said.contains(&named) && said.contains(lacks), "{arguments:?}: {said}");
}

#[tokio::test]
async fn a_key_does_what_its_policy_says_until_it_ends_and_its_secret_is_sealed() {
    let seal_run = fleetmesh_testbed::run_dir::RunDir::new("rights-seal").unwrap();
    let seal = seal_run.join("seal-key").display().to_string();
    fleetmesh(&["control-plane", "keys", "new-seal-key", "--out", &seal]).await;
    let mut bed = TlsBed::start_with("rights", &["--seal-key-file", &seal]).await;
    let folder = bed.control_plane.data_dir();
    let data_dir = folder.display().to_string();
    let admin = key(&data_dir, &seal, &["--name", "admin"]).await;
    let reader = key(&data_dir, &seal, &["--name", "reader", "--access", "read"]).await;
    let other = key(&data_dir, &seal, &["--name", "other", "--mesh", "other", "--expires", "90d"]).await;
    let brief = key(&data_dir, &seal, &["--expires", "1s"]).await;
    wait::until("the keys count", LIMIT, async || {
        cli(&bed, &admin, &["list-meshes"]).await.success().map(Some)
    })
    .await
    .unwrap();
    for key in [&admin, &reader, &other, &brief] {
        assert!(!holds(&folder, &key.secret_access_key), "a copy of the data directory has the secret");
    }
    for mesh in ["apps", "other"] {
        cli(&bed, &admin, &["create-mesh", "--mesh-name", mesh]).await.success().unwrap();
    }
    let describe = |mesh: &'static str| ["describe-mesh", "--mesh-name", mesh];
    let arn = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps";
    let tag = ["tag-resource", "--resource-arn", arn, "--tags", "key=a,value=b"];

    cli(&bed, &reader, &["list-meshes"]).await.success().unwrap();
    cli(&bed, &reader, &describe("apps")).await.success().unwrap();
    let reads = "its policy gives read access, and this takes write access";
    denied(&bed, &reader, &["delete-mesh", "--mesh-name", "apps"], reads).await;
    denied(&bed, &reader, &["create-mesh", "--mesh-name", "new"], reads).await;
    denied(&bed, &reader, &tag, reads).await;

    cli(&bed, &other, &describe("other")).await.success().unwrap();
    let covers = "its policy covers the mesh \"other\"";
    for arguments in [&["list-meshes"][..], &describe("apps"), &["delete-mesh", "--mesh-name", "apps"], &tag]
    {
        denied(&bed, &other, arguments, covers).await;
    }
    denied(&bed, &other, &["list-tags-for-resource", "--resource-arn", arn], covers).await;
    let (yes, no) = (json!([200, ""]), json!([403, "AccessDeniedException"]));
    let paths =
        |mesh: &str| ["distribution", "loads"].map(|what| format!("/fleetmesh/v1/meshes/{mesh}/{what}"));
    let found = beside(&bed, &other, &["other", "apps"]).await;
    for (mesh, expected) in [("other", &yes), ("apps", &no)] {
        assert!(paths(mesh).iter().all(|path| found[path] == *expected), "{found}");
    }

    wait::until("the key has ended", LIMIT, async || {
        let said = cli(&bed, &brief, &["list-meshes"]).await.stderr;
        Ok(said.contains("ExpiredTokenException").then_some(()))
    })
    .await
    .unwrap();
    let rotate = ["control-plane", "keys", "rotate", "other", "--data-dir", &data_dir, "-o", "json"];
    let printed = fleetmesh(&[&rotate[..], &["--seal-key-file", &seal, "--overlap", "1h"]].concat()).await;
    let next: BedKey = serde_json::from_str(&printed).unwrap();
    wait::until("both keys of the name count", LIMIT, async || {
        cli(&bed, &next, &describe("other")).await.success().map(Some)
    })
    .await
    .unwrap();
    cli(&bed, &other, &describe("other")).await.success().unwrap();
    denied(&bed, &next, &describe("apps"), covers).await;
    bed.no_log_holds(&next);
}

#[tokio::test]
async fn a_seal_key_beside_the_data_is_refused_at_the_start() {
    let run = fleetmesh_testbed::run_dir::RunDir::new("rights-beside").unwrap();
    let data = run.join("data");
    std::fs::create_dir_all(&data).unwrap();
    let seal = data.join("seal-key").display().to_string();
    fleetmesh(&["control-plane", "keys", "new-seal-key", "--out", &seal]).await;
    let mut start = Command::new(tools::fleetmesh().unwrap());
    start.arg("control-plane").arg("--data-dir").arg(&data).args(["--seal-key-file", &seal]);
    start.args(["--listen", "127.0.0.1:0", "--ads-listen", "127.0.0.1:0"]);
    let refused = command::capture(start).await.unwrap();
    assert!(
        !refused.status.success() && refused.stderr.contains("lies in the data directory"),
        "{refused:?}"
    );
}
