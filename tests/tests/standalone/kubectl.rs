//! kubectl against standalone, as a newcomer uses it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::standalone::Standalone;
use fleetmesh_testbed::{http, tools, wait};
use serde_json::Value;

/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);
pub const KINDS: &str = "meshes,virtualnodes,virtualrouters,routes,virtualservices";

pub fn is_ready(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_folder_of_samples_is_applied_and_becomes_ready() -> Result<()> {
    let run = RunDir::new("standalone-kubectl")?;
    let mut standalone = Standalone::start(&run).await?;
    let kubectl = standalone.kubectl()?;
    let samples = tools::workspace_dir()?.join("samples/getting-started");
    let applied = kubectl.apply(&samples).await?;
    ensure!(
        applied.lines().count() == 9 && applied.lines().all(|line| line.ends_with(" created")),
        "{applied}"
    );
    wait::until("all is Ready", LIMIT, async || {
        let list = kubectl.json(&["get", KINDS, "--all-namespaces"]).await?;
        let items = list["items"].as_array().context("a list")?;
        Ok((items.len() == 8 && items.iter().all(is_ready)).then_some(()))
    })
    .await?;
    let again = kubectl.apply(&samples).await?;
    ensure!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
    let route =
        format!("{}/v20190125/meshes/apps/virtualRouter/serviceB/routes/serviceB", standalone.endpoint());
    http::get(&route).await.context("the route is in the control plane")?;

    standalone.restart(&run).await?;
    let list = kubectl.json(&["get", KINDS, "--all-namespaces"]).await?;
    ensure!(list["items"].as_array().is_some_and(|items| items.len() == 8), "{list}");
    kubectl.run(&["delete", "namespace", "apps", "--timeout", "60s"]).await?;
    kubectl.run(&["delete", "mesh", "apps", "--timeout", "60s"]).await?;
    let left = http::get(&format!("{}/v20190125/meshes", standalone.endpoint())).await?;
    ensure!(left == r#"{"meshes":[]}"#, "{left}");
    Ok(())
}
