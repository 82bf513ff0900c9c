//! The samples, applied file by file in any order, converge; deleted in any order, they leave nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::{tools, wait};
use serde_json::json;

use crate::bed::{Bed, SOON};

pub async fn converge_in_any_order_and_leave_nothing(bed: &Bed) -> Result<()> {
    bed.namespace("apps").await?;
    let files = files()?;
    // Reproducible shuffles: each file goes where a multiplication takes it (the factors are coprime to the count).
    let shuffled = |factor: usize| -> Vec<PathBuf> {
        (0..files.len()).map(|index| files[(index * factor + factor) % files.len()].clone()).collect()
    };
    let reversed: Vec<PathBuf> = files.iter().rev().cloned().collect();
    for order in [files.clone(), reversed, shuffled(3), shuffled(5)] {
        for file in &order {
            bed.stack.kubectl.apply(file).await?;
        }
        all_ready(bed).await.with_context(|| format!("applied as {order:?}"))?;
        as_the_scenario_says(bed).await?;
        for file in &order {
            bed.stack.kubectl.run(&["delete", "--wait=false", "-f", text(file)?]).await?;
        }
        nothing_left(bed).await.with_context(|| format!("deleted as {order:?}"))?;
    }
    Ok(())
}

fn files() -> Result<Vec<PathBuf>> {
    let folder = tools::workspace_dir()?.join("samples/getting-started");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    // The namespace stays: without Kubernetes' own controllers nothing would ever end its deletion.
    files.retain(|file| !file.to_string_lossy().contains("namespace"));
    files.sort();
    ensure!(files.len() == 8, "{files:?}: a shuffle by 3 or 5 needs a count that neither divides");
    Ok(files)
}

fn text(file: &Path) -> Result<&str> {
    file.to_str().context("a path in UTF-8")
}

/// By the very command that a person would use.
async fn all_ready(bed: &Bed) -> Result<()> {
    let kinds = "meshes,virtualnodes,virtualrouters,routes,virtualservices";
    let arguments = ["wait", "--for=condition=Ready", "--timeout=30s", "--all", "-n", "apps", kinds];
    bed.stack.kubectl.run(&arguments).await?;
    Ok(())
}

/// What kubectl applied, the AWS CLI shows.
async fn as_the_scenario_says(bed: &Bed) -> Result<()> {
    let input = json!({"meshName": "apps", "virtualRouterName": "serviceB", "routeName": "serviceB"});
    let route = bed.aws.call("describe-route", &input).await?;
    let targets = &route["route"]["spec"]["http2Route"]["action"]["weightedTargets"];
    ensure!(*targets == json!([{"virtualNode": "serviceB", "weight": 100}]), "{route}");
    let columns = bed.stack.kubectl.run(&["get", "routes", "-n", "apps", "--no-headers"]).await?;
    let columns: Vec<&str> = columns.split_whitespace().collect();
    ensure!(
        columns.len() >= 7
            && columns[1..7] == ["apps", "serviceB", "serviceB", "serviceB=100", "True", "Ready"],
        "{columns:?}"
    );
    Ok(())
}

async fn nothing_left(bed: &Bed) -> Result<()> {
    wait::until("nothing is left", SOON, async || {
        let left = bed.stack.kubectl.run(&["get", "fleetmesh", "-A", "-o", "name"]).await?;
        ensure!(left.trim().is_empty(), "in the cluster: {left}");
        let meshes = bed.aws.run(&["list-meshes"]).await?;
        ensure!(meshes["meshes"] == json!([]), "at the endpoint: {meshes}");
        Ok(Some(()))
    })
    .await
}
