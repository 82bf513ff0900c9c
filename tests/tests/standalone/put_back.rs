//! `--manifests`: what somebody else deletes or changes is put back, whatever else happens at that time.

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::wait;

use crate::manifests::{LIMIT, start};

/// As many maps are in a namespace: their deletions are seen in several batches.
const MAPS: usize = 30;

/// Manifests of them.
fn maps(namespace: &str) -> String {
    let map = |number: usize| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: map-{number}, namespace: {namespace}}}\ndata: {{a: b}}\n---\n"
        )
    };
    (0..MAPS).map(map).collect()
}

/// Until all of them are there, none of them being deleted; much sooner than all is applied anew.
async fn all_there(kubectl: &Kubectl, namespace: &str) -> Result<()> {
    wait::until("all maps are there", LIMIT, async || {
        let list = kubectl.json(&["get", "configmaps", "--namespace", namespace]).await?;
        let items = list["items"].as_array().context("a list")?.iter();
        let ours =
            items.filter(|map| map["data"]["a"] == "b" && map["metadata"]["deletionTimestamp"].is_null());
        Ok((ours.count() == MAPS).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_is_deleted_twice_in_succession_is_back_with_all_that_was_in_it() -> Result<()> {
    let run = RunDir::new("standalone-deleted-twice")?;
    let folder = run.join("directory");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("n.yaml"), "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")?;
    std::fs::write(folder.join("maps.yaml"), maps("shop"))?;
    let (standalone, kubectl) = start(&run, &folder).await?;
    all_there(&kubectl, "shop").await?;
    for _ in 0..3 {
        kubectl.run(&["delete", "namespace", "shop"]).await?;
        all_there(&kubectl, "shop").await?;
    }
    let log = standalone.log()?;
    ensure!(log.contains("somebody deletes it: it is put back when it is gone"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_in_a_namespace_of_others_that_is_made_anew_is_back_soon_and_its_absence_is_shown()
-> Result<()> {
    let run = RunDir::new("standalone-others-namespace")?;
    let folder = run.join("directory");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("maps.yaml"), maps("ext"))?;
    let (_standalone, kubectl) = start(&run, &folder).await?;
    kubectl.run(&["create", "namespace", "ext"]).await?;
    all_there(&kubectl, "ext").await?;
    kubectl.run(&["delete", "events", "--all", "--namespace", "default"]).await?;
    kubectl.run(&["delete", "namespace", "ext"]).await?;
    let rejected = ["get", "events", "--namespace", "default", "--field-selector", "reason=ManifestRejected"];
    wait::until("an Event says what could not be put back", LIMIT, async || {
        let list = kubectl.json(&rejected).await?;
        Ok((!list["items"].as_array().context("a list")?.is_empty()).then_some(()))
    })
    .await?;
    kubectl.run(&["create", "namespace", "ext"]).await?;
    all_there(&kubectl, "ext").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_directory_made_is_pruned_also_when_somebody_replaced_it_by_the_very_file() -> Result<()> {
    let run = RunDir::new("standalone-replaced")?;
    let folder = run.join("directory");
    std::fs::create_dir(&folder)?;
    let (file, mesh) = (folder.join("map.yaml"), folder.join("mesh.yaml"));
    std::fs::write(&file, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}\n")?;
    std::fs::write(mesh, "apiVersion: fleetmesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: m}\nspec: {}\n")?;
    let (_standalone, kubectl) = start(&run, &folder).await?;
    let labelled = async |count: usize| {
        wait::until("it has the label", LIMIT, async || {
            let list = kubectl.json(&["get", "configmaps", "--selector", "fleetmesh.dev/manifests"]).await?;
            Ok((list["items"].as_array().context("a list")?.len() == count).then_some(()))
        })
        .await
    };
    labelled(1).await?;
    kubectl.run(&["replace", "--filename", &file.display().to_string()]).await?;
    labelled(1).await?;
    std::fs::remove_file(&file)?;
    wait::until("it is pruned", LIMIT, async || {
        Ok(kubectl.run(&["get", "configmap", "a", "--ignore-not-found"]).await?.is_empty().then_some(()))
    })
    .await
}
