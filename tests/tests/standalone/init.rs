//! `fleetmesh init`: what it writes is a mesh as it is, and a bad name leaves no file.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::Standalone;
use fleetmesh_testbed::{http, tools, wait};

use crate::kubectl::{KINDS, is_ready};

/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Folders with a mesh of each form: the words, and how many objects with a condition they have.
const MESHES: [(&str, &str, usize); 5] = [
    ("http", "web:8080 orders --mesh=one --namespace=one", 9),
    ("http2", "web --mesh=two --namespace=two --protocol=http2 --dns-suffix=two.example", 5),
    ("grpc", "1e3 y --mesh=null --namespace=on --protocol=grpc", 9),
    ("tcp", "db:5432 --mesh=four --namespace=four --protocol=tcp --hostname=db=db.internal", 5),
    ("canary", "web orders --mesh=five --namespace=five --canary", 11),
];

async fn init(folder: &Path, words: &str) -> Result<Captured> {
    let mut command = Command::new(tools::fleetmesh()?);
    command.arg("init").arg(folder).args(words.split(' '));
    command::capture(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_init_writes_is_applied_as_it_is_and_becomes_ready() -> Result<()> {
    let run = RunDir::new("standalone-init")?;
    let root = run.join("meshes");
    for (name, words, _) in MESHES {
        let said = init(&root.join(name), words).await?.success()?;
        ensure!(said.contains("01-mesh.yaml") && said.contains("kubectl apply -R -f"), "{said}");
    }
    let standalone =
        Standalone::launch(&run, Launch::with(["--manifests", &root.display().to_string()])).await?;
    let kubectl = standalone.kubectl()?;
    let expected: usize = MESHES.iter().map(|(_, _, count)| count).sum();
    wait::until("all is Ready", LIMIT, async || {
        let list = kubectl.json(&["get", KINDS, "--all-namespaces"]).await?;
        let items = list["items"].as_array().context("a list")?;
        ensure!(items.len() <= expected, "{} objects", items.len());
        Ok((items.len() == expected && items.iter().all(is_ready)).then_some(()))
    })
    .await?;
    let node =
        http::get(&format!("{}/v20190125/meshes/null/virtualNodes/1e3", standalone.endpoint())).await?;
    ensure!(node.contains(r#""virtualServiceName":"y.on.local""#), "{node}");

    // By hand, too, and without a word about it.
    let folder = root.display().to_string();
    let applied =
        kubectl.capture(&["apply", "--server-side", "--force-conflicts", "-R", "-f", &folder]).await?;
    ensure!(applied.status.success() && applied.stderr.is_empty(), "{applied:?}");
    let differs = kubectl.capture(&["diff", "--server-side", "-R", "-f", &folder]).await?;
    ensure!(differs.status.success(), "{differs:?}");
    Ok(())
}

#[tokio::test]
async fn a_bad_name_is_wrong_usage_and_leaves_no_file() -> Result<()> {
    let run = RunDir::new("standalone-init-bad")?;
    let folder = run.join("mesh");
    for words in
        ["web Orders", "web orders:0", "web web", "web --namespace=a.b", "web --hostname=x=y", "web --port=0"]
    {
        let captured = init(&folder, words).await?;
        ensure!(captured.status.code() == Some(2), "{words}: {captured:?}");
        ensure!(!captured.stderr.is_empty() && captured.stdout.is_empty(), "{words}: {captured:?}");
        ensure!(!folder.exists(), "{words}: something was written");
    }
    init(&folder, "web").await?.success()?;
    let again = init(&folder, "web").await?;
    ensure!(again.status.code() == Some(1) && again.stderr.contains("--force"), "{again:?}");
    init(&folder, "web --force").await?.success().map(drop)
}
