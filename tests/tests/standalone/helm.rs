//! helm against standalone: a chart of our kinds as on any cluster, and Fleetmesh's own, which is for clusters.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::helm::{Helm, chart};
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::Standalone;
use fleetmesh_testbed::wait;

use crate::kubectl::is_ready;

/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);
const OF_RELEASE: [&str; 2] = ["--namespace", "shop"];

const MESH: &str = "apiVersion: fleetmesh.dev/v1alpha1\nkind: Mesh\nmetadata:\n  name: shop\nspec: {}\n";
const NODE: &str = "apiVersion: fleetmesh.dev/v1alpha1
kind: VirtualNode
metadata:
  name: web
spec:
  meshName: shop
  listeners:
    - portMapping: {port: {{ .Values.port }}, protocol: http2}
  serviceDiscovery:
    dns: {hostname: web.shop.local}
";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  revision: {{ .Release.Revision | quote }}\n";

/// A small chart.
fn shop(run: &RunDir) -> Result<PathBuf> {
    let folder = run.join("shop");
    fs::create_dir_all(folder.join("templates"))?;
    fs::write(folder.join("Chart.yaml"), "apiVersion: v2\nname: shop\nversion: 0.1.0\n")?;
    fs::write(folder.join("values.yaml"), "port: 8080\n")?;
    for (name, text) in [("mesh.yaml", MESH), ("node.yaml", NODE), ("map.yaml", MAP)] {
        fs::write(folder.join("templates").join(name), text)?;
    }
    Ok(folder)
}

/// Awaits that the node is Ready with this port, as App Mesh's API has it.
async fn serves(kubectl: &Kubectl, port: u16) -> Result<()> {
    wait::until("the node is Ready", LIMIT, async || {
        let node = kubectl.json(&["get", "virtualnode", "web", "-n", "shop"]).await?;
        let found = &node["spec"]["listeners"][0]["portMapping"]["port"];
        let is_observed = node["status"]["observedGeneration"] == node["metadata"]["generation"];
        Ok((*found == port && is_observed && is_ready(&node)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_of_our_kinds_is_installed_upgraded_rolled_back_and_uninstalled() -> Result<()> {
    let run = RunDir::new("standalone-helm")?;
    let standalone = Standalone::start(&run).await?;
    let kubectl = standalone.kubectl()?;
    let helm = Helm::new(&standalone.kubeconfig(), &run)?;
    let folder = shop(&run)?;
    let folder = folder.to_str().context("a path")?;
    let release = async |arguments: &[&str]| helm.run(&[arguments, &OF_RELEASE].concat()).await;

    release(&["install", "shop", folder, "--create-namespace"]).await?;
    serves(&kubectl, 8080).await?;
    release(&["upgrade", "shop", folder, "--set", "port=8081"]).await?;
    serves(&kubectl, 8081).await?;
    release(&["rollback", "shop", "1"]).await?;
    serves(&kubectl, 8080).await?;
    let history = release(&["history", "shop", "-o", "json"]).await?;
    let history: serde_json::Value = serde_json::from_str(&history)?;
    let states: Vec<&str> = history
        .as_array()
        .context("revisions")?
        .iter()
        .map(|one| one["status"].as_str().unwrap_or_default())
        .collect();
    ensure!(states == ["superseded", "superseded", "deployed"], "{history}");
    let map = kubectl.json(&["get", "configmap", "web", "-n", "shop"]).await?;
    ensure!(map["data"]["revision"] == "1", "{map}");

    release(&["uninstall", "shop", "--wait", "--timeout", "60s"]).await?;
    for resource in ["virtualnodes", "configmaps", "secrets"] {
        let left = kubectl.run(&["get", resource, "-n", "shop", "-o", "name"]).await?;
        ensure!(left.is_empty(), "{resource}: {left}");
    }
    ensure!(kubectl.run(&["get", "meshes", "-o", "name"]).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chart_of_fleetmesh_is_refused_in_one_line() -> Result<()> {
    let run = RunDir::new("standalone-helm-own")?;
    let standalone = Standalone::start(&run).await?;
    let helm = Helm::new(&standalone.kubeconfig(), &run)?;
    let chart = chart()?;
    let install = ["install", "fleetmesh", chart.to_str().context("a path")?, "--namespace", "default"];
    let captured = helm.capture(&install).await?;
    let said = captured.stderr.lines().filter(|line| line.contains("the chart is for Kubernetes clusters"));
    ensure!(!captured.status.success() && said.count() == 1, "{captured:?}");
    let kubectl = standalone.kubectl()?;
    let left = kubectl.run(&["get", "secrets", "-n", "default", "-o", "name"]).await?;
    ensure!(!left.contains("sh.helm.release"), "{left}");
    Ok(())
}
