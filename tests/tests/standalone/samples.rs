//! Every sample goes from client-side to server-side apply and back without a warning and without a difference, on standalone and on
//! a real kube-apiserver.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{stack, tools};

use crate::replay::embedded;

/// Folders of kinds of other projects, which need these, and of no manifests.
const OTHERS: [&str; 2] = ["gitops", "systemd"];
/// Folders of Kubernetes' own kinds that standalone does not serve: policies and roles.
const FOR_CLUSTERS: [&str; 1] = ["canary-access"];

const CLIENT: &[&str] = &["-R", "-f"];
const SERVER: &[&str] = &["--server-side", "-R", "-f"];

/// The folders of samples but for `without`.
fn folders(without: &[&str]) -> Result<BTreeSet<PathBuf>> {
    let mut folders = BTreeSet::new();
    for entry in std::fs::read_dir(tools::workspace_dir()?.join("samples"))? {
        let path = entry?.path();
        if path.is_dir() && !without.iter().any(|name| path.ends_with(name)) {
            folders.insert(path);
        }
    }
    Ok(folders)
}

/// Applies `folder`, of which kubectl has nothing to warn.
async fn apply(kubectl: &Kubectl, options: &[&str], folder: &str) -> Result<()> {
    let arguments = [&["apply"], options, &[folder]].concat();
    let applied = kubectl.capture(&arguments).await?;
    ensure!(applied.status.success() && applied.stderr.is_empty(), "{arguments:?}: {applied:?}");
    Ok(())
}

/// Checks that applying `folder` again would change nothing but the copy of the manifest that kubectl keeps in an annotation: a
/// client-side apply writes `"annotations":{}` into it and a server-side apply does not, on any API.
async fn unchanged(kubectl: &Kubectl, options: &[&str], folder: &str) -> Result<()> {
    let arguments = [&["diff"], options, &[folder]].concat();
    let found = kubectl.capture(&arguments).await?;
    let is_change =
        |line: &&str| line.starts_with(['+', '-']) && !line.starts_with("+++ ") && !line.starts_with("--- ");
    let is_copy = |line: &str| line[1..].trim_start().starts_with(r#"{"apiVersion":"#);
    let changes: Vec<&str> = found.stdout.lines().filter(is_change).collect();
    // 1 is a difference; more is a failure.
    let is_compared = matches!(found.status.code(), Some(0 | 1)) && found.stderr.is_empty();
    ensure!(is_compared && changes.iter().all(|line| is_copy(line)), "{arguments:?}: {found:?}");
    Ok(())
}

/// Applies each folder both ways, beginning and ending with a client-side apply.
async fn both_ways(kubectl: &Kubectl, folders: &BTreeSet<PathBuf>) -> Result<()> {
    ensure!(folders.len() >= 12, "{folders:?}");
    for folder in folders {
        let folder = folder.display().to_string();
        for options in [CLIENT, SERVER, CLIENT] {
            apply(kubectl, options, &folder).await?;
            unchanged(kubectl, options, &folder).await?;
        }
        unchanged(kubectl, SERVER, &folder).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_go_from_client_side_to_server_side_apply_and_back() -> Result<()> {
    let run = RunDir::new("standalone-samples")?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (kubeconfig, shutdown) = embedded(&run).await?;
    let _ends = shutdown.drop_guard();
    both_ways(&Kubectl::new(&kubeconfig)?, &folders(&[&OTHERS[..], &FOR_CLUSTERS].concat())?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_go_from_client_side_to_server_side_apply_and_back_on_kube_apiserver() -> Result<()> {
    let run = RunDir::new("cluster-samples")?;
    let cluster = Cluster::start(&run).await?;
    let kubectl = cluster.kubectl()?;
    stack::install_crds(&kubectl, &run).await?;
    both_ways(&kubectl, &folders(&OTHERS)?).await
}
