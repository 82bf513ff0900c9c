//! `--manifests`: a directory that is a mesh, and one that is a Git checkout.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::Standalone;
use fleetmesh_testbed::{command, http, tools, wait};
use serde_json::Value;

use crate::kubectl::{KINDS, is_ready};

/// Much longer than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(60);

pub async fn start(run: &RunDir, folder: &Path) -> Result<(Standalone, Kubectl)> {
    let launch = Launch::with(["--manifests", &folder.display().to_string()]);
    let standalone = Standalone::launch(run, launch).await?;
    let kubectl = standalone.kubectl()?;
    Ok((standalone, kubectl))
}

/// A copy of `samples/one-host` in `run`.
fn mesh(run: &RunDir) -> Result<PathBuf> {
    let folder = run.join("mesh");
    std::fs::create_dir(&folder)?;
    for entry in std::fs::read_dir(tools::workspace_dir()?.join("samples/one-host"))? {
        let path = entry?.path();
        std::fs::copy(&path, folder.join(path.file_name().context("a name")?))?;
    }
    Ok(folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_becomes_a_mesh_and_what_is_removed_from_it_is_pruned() -> Result<()> {
    let run = RunDir::new("standalone-manifests")?;
    let folder = mesh(&run)?;
    let (mut standalone, kubectl) = start(&run, &folder).await?;
    let all_ready = async |count: usize| {
        wait::until("all is Ready", LIMIT, async || {
            let list = kubectl.json(&["get", KINDS, "--all-namespaces"]).await?;
            let items = list["items"].as_array().context("a list")?;
            ensure!(items.len() == count, "{} objects", items.len());
            Ok(items.iter().all(is_ready).then_some(()))
        })
        .await
    };
    all_ready(8).await?;
    kubectl.run(&["create", "configmap", "theirs", "--namespace", "apps"]).await?;

    // What somebody deletes or changes by hand is as it is written again, long before all is applied anew.
    let begun = Instant::now();
    let node = ["virtualnode", "service-b-v2", "--namespace", "apps"];
    let uid = kubectl.json(&[&["get"], &node[..]].concat()).await?["metadata"]["uid"].clone();
    kubectl.run(&[&["delete", "--wait=false"], &node[..]].concat()).await?;
    let patch = r#"{"spec": {"http2Route": {"match": {"prefix": "/theirs"}}}}"#;
    kubectl
        .run(&["patch", "route", "service-b", "--namespace", "apps", "--type=merge", "--patch", patch])
        .await?;
    wait::until("both are put back", LIMIT, async || {
        let route = kubectl.json(&["get", "route", "service-b", "--namespace", "apps"]).await?;
        let list = kubectl.json(&["get", "virtualnodes", "--namespace", "apps"]).await?;
        let mut nodes = list["items"].as_array().context("a list")?.iter();
        let again =
            nodes.any(|one| one["metadata"]["name"] == "service-b-v2" && one["metadata"]["uid"] != uid);
        Ok((again && route["spec"]["http2Route"]["match"]["prefix"] == "/").then_some(()))
    })
    .await?;
    all_ready(8).await?;
    ensure!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());

    // Half of a file hides what is in it; nothing that is gone with it is pruned, and a person is shown where it is broken.
    let (node, broken) = (folder.join("06-virtual-node-service-b-v2.yaml"), folder.join("05-route.yaml"));
    let route = std::fs::read_to_string(&broken)?;
    std::fs::write(&broken, format!("{route}\n   half: ["))?;
    std::fs::remove_file(&node)?;
    wait::until("the broken file is in an Event", LIMIT, async || {
        let events = kubectl.json(&["get", "events", "--namespace", "default"]).await?;
        let messages = events["items"].as_array().context("a list")?.iter();
        let mut messages = messages.filter_map(|event| event["message"].as_str());
        Ok(messages
            .any(|text| text.starts_with("05-route.yaml: document 1 is no YAML at line "))
            .then_some(()))
    })
    .await?;
    all_ready(8).await?;

    std::fs::write(&broken, route)?;
    wait::until("the node is pruned", LIMIT, async || {
        let left = kubectl
            .run(&["get", "virtualnode", "service-b-v2", "--namespace", "apps", "--ignore-not-found"])
            .await?;
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    let node = format!("{}/v20190125/meshes/apps/virtualNodes/serviceBv2", standalone.endpoint());
    ensure!(http::get(&node).await.is_err(), "App Mesh has it still");
    all_ready(7).await?;
    kubectl.run(&["get", "configmap", "theirs", "--namespace", "apps"]).await?;

    // What was removed while nobody looked is pruned after a restart.
    standalone.kill();
    std::fs::remove_file(folder.join("08-virtual-service-servicea.yaml"))?;
    standalone.restart(&run).await?;
    all_ready(6).await?;
    ensure!(standalone.log()?.contains("pruned"), "{}", standalone.log()?);
    Ok(())
}

/// Git in `folder`, as somebody with a name and without a configuration.
pub async fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args([
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "protocol.file.allow=always",
    ]);
    git.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command::run(git).await.map(drop)
}

/// Writes 40 ConfigMaps, a file each.
fn write(folder: &Path, value: usize) -> Result<()> {
    for number in 0..40 {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map-{number}}}\ndata: {{value: \"{value}\"}}\n"
        );
        std::fs::write(folder.join(format!("{number}.yaml")), text)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkout_is_followed_and_nothing_is_pruned_while_git_replaces_its_files() -> Result<()> {
    let run = RunDir::new("standalone-git")?;
    let (origin, checkout) = (run.join("origin"), run.join("checkout"));
    std::fs::create_dir(&origin)?;
    git(&origin, &["init", "--quiet", "--initial-branch=main"]).await?;
    write(&origin, 0)?;
    git(&origin, &["add", "--all"]).await?;
    git(&origin, &["commit", "--quiet", "--message=0"]).await?;
    git(run.path(), &["clone", "--quiet", "origin", "checkout"]).await?;
    let (_standalone, kubectl) = start(&run, &checkout).await?;
    let uids = async |value: usize| -> Result<Vec<Value>> {
        wait::until("all maps have the value", LIMIT, async || {
            let list = kubectl.json(&["get", "configmaps", "--namespace", "default"]).await?;
            let items = list["items"].as_array().context("a list")?;
            ensure!(items.len() == 40, "{} maps", items.len());
            let value = value.to_string();
            let current = items.iter().all(|map| map["data"]["value"].as_str() == Some(&value));
            Ok(current.then(|| items.iter().map(|map| map["metadata"]["uid"].clone()).collect()))
        })
        .await
    };
    let first = uids(0).await?;
    for value in 1..4 {
        write(&origin, value)?;
        git(&origin, &["commit", "--quiet", "--all", "--message=next"]).await?;
        git(&checkout, &["pull", "--ff-only", "--quiet"]).await?;
        ensure!(uids(value).await? == first, "an object was made anew");
    }
    Ok(())
}
