//! `fleetmesh export`: what standalone has goes to Kubernetes, and the App Mesh objects stay the same.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::stack::install_crds;
use fleetmesh_testbed::standalone::Standalone;
use fleetmesh_testbed::{http, tools, wait};
use serde_json::Value;

use crate::kubectl::{KINDS, is_ready};

/// Much longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);
/// The App Mesh objects of the first samples.
const OBJECTS: [&str; 8] = [
    "",
    "/virtualNodes/serviceA",
    "/virtualNodes/serviceB",
    "/virtualNodes/serviceBv2",
    "/virtualRouters/serviceB",
    "/virtualRouter/serviceB/routes/serviceB",
    "/virtualServices/servicea.apps.local",
    "/virtualServices/serviceb.apps.local",
];

async fn export(standalone: &Standalone, arguments: &[&str]) -> Result<Captured> {
    let mut command = Command::new(tools::fleetmesh()?);
    command.arg("export").arg("--data-dir").arg(standalone.data_dir()).args(arguments);
    command.env_remove("KUBECONFIG");
    command::capture(command).await
}

async fn all_ready(kubectl: &Kubectl) -> Result<()> {
    wait::until("all is Ready", LIMIT, async || {
        let list = kubectl.json(&["get", KINDS, "--all-namespaces"]).await?;
        let items = list["items"].as_array().context("a list")?;
        Ok((items.len() == OBJECTS.len() && items.iter().all(is_ready)).then_some(()))
    })
    .await
}

/// What each App Mesh object has that one of its name that was made anew has not.
async fn identities(endpoint: &str) -> Result<Vec<[Value; 3]>> {
    let mut found = Vec::new();
    for path in OBJECTS {
        let text = http::get(&format!("{endpoint}/v20190125/meshes/apps{path}")).await.context(path)?;
        let object: Value = serde_json::from_str(&text)?;
        let metadata = &object["metadata"];
        ensure!(metadata["uid"].is_string() && metadata["arn"].is_string(), "{object}");
        found.push(["arn", "uid", "createdAt"].map(|member| metadata[member].clone()));
    }
    Ok(found)
}

fn mode(path: &Path) -> Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_goes_on_in_kubernetes_with_the_same_app_mesh_objects() -> Result<()> {
    let run = RunDir::new("standalone-export")?;
    let mut standalone = Standalone::start(&run).await?;
    let kubectl = standalone.kubectl()?;
    kubectl.apply(&tools::workspace_dir()?.join("samples/getting-started")).await?;
    kubectl.run(&["create", "configmap", "settings", "-n", "apps", "--from-literal", "a=b"]).await?;
    all_ready(&kubectl).await?;
    let before = identities(&standalone.endpoint()).await?;
    let cluster_name = kubectl.json(&["get", "namespace", "kube-system"]).await?;
    let cluster_name = cluster_name["metadata"]["uid"].as_str().context("a uid")?.to_owned();

    let folder = run.join("export");
    let shown = folder.display().to_string();
    let captured = export(&standalone, &["-o", &shown]).await?;
    let said = format!("--cluster-name {cluster_name}");
    ensure!(captured.status.success() && captured.stderr.contains(&said), "{captured:?}");
    standalone.kill();

    // The control plane goes on by itself, the operator does not.
    std::fs::create_dir(run.join("control-plane"))?;
    std::fs::rename(standalone.data_dir().join("control-plane"), run.join("control-plane/data"))?;
    let control_plane = ControlPlane::start(&run).await?;
    ensure!(identities(&control_plane.endpoint()).await? == before);
    let cluster = Cluster::start(&run).await?;
    let kubectl = cluster.kubectl()?;
    install_crds(&kubectl, &run).await?;
    let applied = kubectl.capture(&["apply", "-R", "-f", &shown]).await?;
    ensure!(applied.status.success() && applied.stderr.is_empty(), "{applied:?}");
    let launch = Launch::with(["--cluster-name", &cluster_name]);
    let kubeconfig = cluster.admin_kubeconfig();
    let _operator = Operator::launch(&kubeconfig, &control_plane.endpoint(), &run, launch).await?;
    all_ready(&kubectl).await?;
    ensure!(identities(&control_plane.endpoint()).await? == before, "an App Mesh object was made anew");
    let map = kubectl.json(&["get", "configmap", "settings", "-n", "apps"]).await?;
    ensure!(map["data"]["a"] == "b", "{map}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_exported_when_they_are_asked_for_and_for_their_owner_alone() -> Result<()> {
    let run = RunDir::new("standalone-export-secrets")?;
    let standalone = Standalone::start(&run).await?;
    let nothing = export(&standalone, &[]).await?;
    ensure!(nothing.status.code() == Some(1) && nothing.stdout.is_empty(), "{nothing:?}");
    let kubectl = standalone.kubectl()?;
    kubectl.apply(&tools::workspace_dir()?.join("samples/getting-started")).await?;
    kubectl.run(&["create", "secret", "generic", "hidden", "-n", "apps", "--from-literal", "a=hush"]).await?;
    // aHVzaA== is hush.
    let printed = export(&standalone, &[]).await?;
    ensure!(printed.status.success() && !printed.stdout.contains("aHVzaA=="), "{printed:?}");
    ensure!(printed.stderr.contains("secrets/hidden in apps is left out"), "{printed:?}");
    ensure!(
        printed.stdout.contains("\nkind: Namespace\n") && !printed.stdout.contains("\nstatus:"),
        "{printed:?}"
    );
    ensure!(export(&standalone, &["--secrets"]).await?.status.code() == Some(2));

    let (file, folder) = (run.join("all.yaml"), run.join("all"));
    let (file_shown, folder_shown) = (file.display().to_string(), folder.display().to_string());
    export(&standalone, &["--secrets", "-o", &file_shown]).await?.success()?;
    ensure!(std::fs::read_to_string(&file)?.contains("aHVzaA==") && mode(&file)? == 0o600);
    export(&standalone, &["--secrets", "-o", &folder_shown]).await?.success()?;
    let secrets = std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut secrets = secrets.filter(|path| path.to_string_lossy().ends_with("-secrets.yaml"));
    ensure!(mode(&secrets.next().context("a file of secrets")?)? == 0o600);

    for arguments in [["-o", file_shown.as_str()], ["-o", folder_shown.as_str()]] {
        let again = export(&standalone, &arguments).await?;
        ensure!(again.status.code() == Some(1) && again.stderr.contains("--force"), "{again:?}");
        export(&standalone, &[&arguments[..], &["--force"]].concat()).await?.success()?;
    }
    Ok(())
}
