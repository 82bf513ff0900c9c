//! `fleetmesh doctor`: where all is well, where nothing is, and what it does not say.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_testbed::command::{self, Captured};
use fleetmesh_testbed::process::START;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::stack::install_crds;
use fleetmesh_testbed::standalone::Standalone;
use fleetmesh_testbed::{aws, cluster::Cluster, tools, wait};
use serde_json::Value;

/// What is secret in the environment here.
const SECRET: &str = "hush-hush-secret-key";

/// `fleetmesh doctor` with these arguments, and nothing of the caller's environment that matters.
async fn doctor(home: &Path, arguments: &[&str]) -> Result<(Captured, Value)> {
    let mut command = Command::new(tools::fleetmesh()?);
    command.arg("doctor").args(["-o", "json"]).args(arguments);
    aws::credentials(&mut command);
    command.env("AWS_SECRET_ACCESS_KEY", SECRET).env("HOME", home);
    for variable in ["KUBECONFIG", "KUBERNETES_SERVICE_HOST", "AWS_ENDPOINT_URL_APP_MESH"] {
        command.env_remove(variable);
    }
    let ours = std::env::vars_os().map(|(name, _)| name);
    ours.filter(|name| name.to_string_lossy().starts_with("FLEETMESH_")).for_each(|name| {
        command.env_remove(name);
    });
    let captured = command::capture(command).await?;
    let said = serde_json::from_str(&captured.stdout).with_context(|| format!("{captured:?}"))?;
    let printed = format!("{}{}", captured.stdout, captured.stderr);
    ensure!(!printed.contains(SECRET), "a secret is printed: {captured:?}");
    Ok((captured, said))
}

/// The state, the text and the way out of a check.
fn check(said: &Value, name: &str) -> Result<(String, String, String)> {
    let checks = said["checks"].as_array().context("checks")?;
    let found =
        checks.iter().find(|check| check["name"] == name).with_context(|| format!("{name}: {said}"))?;
    let text = |member: &str| found[member].as_str().unwrap_or_default().to_owned();
    Ok((text("state"), text("found"), text("fix")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_is_well_until_something_is_not() -> Result<()> {
    let run = RunDir::new("standalone-doctor")?;
    let mut standalone = Standalone::start(&run).await?;
    let (data, endpoint) = (standalone.data_dir().display().to_string(), standalone.endpoint());
    let arguments = ["--data-dir", data.as_str(), "--app-mesh-endpoint", endpoint.as_str()];
    let (captured, said) = doctor(run.path(), &arguments).await?;
    ensure!(captured.status.code() == Some(0) && said["ok"] == true, "{captured:?}");
    for name in [
        "kubernetes-api",
        "definitions",
        "rights",
        "clock",
        "app-mesh",
        "credentials",
        "control-plane",
        "data-dir",
    ] {
        let (state, found, _) = check(&said, name)?;
        // The disk of a busy machine may be slow.
        let is_slow = name == "data-dir" && state == "warning";
        ensure!(state == "ok" || is_slow, "{name}: {state}: {found}");
    }
    let (_, found, _) = check(&said, "app-mesh")?;
    ensure!(found.contains("a Fleetmesh control plane") && found.contains("--app-mesh-endpoint"), "{found}");
    let (_, found, _) = check(&said, "credentials")?;
    ensure!(found.contains("Environment"), "{found}");

    // Another token than the server's, which is in the kubeconfig that doctor reads.
    let kubeconfig = std::fs::read_to_string(standalone.kubeconfig())?;
    let token = std::fs::read_to_string(standalone.data_dir().join("token"))?;
    let wrong = run.join("wrong");
    std::fs::write(&wrong, kubeconfig.replace(token.trim(), "another-token-of-nobody"))?;
    let of_wrong = ["--kubeconfig", &wrong.display().to_string(), "--app-mesh-endpoint", &endpoint];
    let (captured, said) = doctor(run.path(), &of_wrong).await?;
    ensure!(captured.status.code() == Some(1), "{captured:?}");
    let (state, found, fix) = check(&said, "kubernetes-api")?;
    ensure!(state == "failed" && found.contains("token") && fix.contains("--data-dir"), "{found}: {fix}");
    ensure!(!format!("{captured:?}").contains("another-token"), "{captured:?}");

    // A file that is no kubeconfig, with the token in it.
    std::fs::write(&wrong, format!("{kubeconfig}\n  broken: [ {}", token.trim()))?;
    let (captured, said) = doctor(run.path(), &of_wrong).await?;
    ensure!(check(&said, "kubernetes-api")?.0 == "failed", "{captured:?}");
    ensure!(!format!("{captured:?}").contains(token.trim()), "{captured:?}");

    // Nobody is there any more.
    standalone.kill();
    let (captured, said) = doctor(run.path(), &arguments).await?;
    ensure!(captured.status.code() == Some(1), "{captured:?}");
    for name in ["kubernetes-api", "app-mesh"] {
        let (state, found, fix) = check(&said, name)?;
        ensure!(state == "failed" && !fix.is_empty(), "{name}: {state}: {found}: {fix}");
    }
    ensure!(check(&said, "definitions")?.0 == "skipped");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_address_is_found_by_the_data_directory_and_one_that_has_ended_is_not_asked() -> Result<()> {
    let run = RunDir::new("standalone-doctor-found")?;
    let mut standalone = Standalone::start(&run).await?;
    let (data, endpoint) = (standalone.data_dir().display().to_string(), standalone.endpoint());
    let arguments = ["--data-dir", data.as_str()];
    let (captured, said) = doctor(run.path(), &arguments).await?;
    ensure!(captured.status.code() == Some(0), "{captured:?}");
    let (state, found, _) = check(&said, "app-mesh")?;
    let begins = format!("{endpoint} in us-west-2 (of --data-dir {data}) answers");
    ensure!(state == "ok" && found.starts_with(&begins), "{found}");
    ensure!(check(&said, "control-plane")?.0 == "ok");

    let explain = async || {
        let mut command = Command::new(tools::fleetmesh()?);
        command.args(["explain", "apps", "--data-dir", &data]);
        aws::credentials(&mut command);
        command.env_remove("FLEETMESH_APP_MESH_ENDPOINT");
        command::capture(command).await
    };
    let asked = explain().await?;
    ensure!(asked.stderr.contains(&format!("cannot ask {endpoint} about apps: ")), "{asked:?}");
    standalone
        .kubectl()?
        .apply(&tools::workspace_dir()?.join("samples/getting-started/01-mesh.yaml"))
        .await?;
    wait::until("it is explained", START, async || Ok(explain().await?.status.success().then_some(())))
        .await?;

    // Whoever listens there when it was killed is not asked.
    standalone.kill();
    let there = standalone.data_dir().join("addresses.json");
    ensure!(there.exists(), "it was killed");
    let other = tokio::net::TcpListener::bind(endpoint.trim_start_matches("http://")).await?;
    let (captured, said) = doctor(run.path(), &arguments).await?;
    ensure!(captured.status.code() == Some(1), "{captured:?}");
    let (state, found, fix) = check(&said, "app-mesh")?;
    ensure!(state == "failed" && found.contains("no `fleetmesh standalone` runs with --data-dir"), "{found}");
    ensure!(fix.contains(&format!("fleetmesh standalone --data-dir {data}")), "{fix}");
    let (_, _, fix) = check(&said, "kubernetes-api")?;
    ensure!(fix.contains(&format!("fleetmesh standalone --data-dir {data}")), "{fix}");
    let asked = explain().await?;
    ensure!(!asked.status.success() && asked.stderr.contains("no `fleetmesh standalone` runs"), "{asked:?}");
    let asked = tokio::time::timeout(std::time::Duration::from_millis(100), other.accept()).await;
    ensure!(asked.is_err(), "{asked:?}");
    drop(other);

    standalone.restart(&run).await?;
    ensure!(doctor(run.path(), &arguments).await?.0.status.code() == Some(0));
    standalone.process().terminate(START).await?;
    ensure!(!there.exists(), "it ended by itself");
    Ok(())
}

#[tokio::test]
async fn a_host_with_nothing_has_nothing_that_failed() -> Result<()> {
    let run = RunDir::new("standalone-doctor-nothing")?;
    let (captured, said) = doctor(run.path(), &[]).await?;
    // What this host can do as an instance is its own affair: a proxy of another test may run on it.
    let checks = said["checks"].as_array().context("checks")?;
    let mut failed = checks.iter().filter(|check| check["state"] == "failed");
    ensure!(failed.all(|check| check["name"] == "interception"), "{captured:?}");
    for name in ["kubernetes-api", "app-mesh"] {
        let (state, _, fix) = check(&said, name)?;
        ensure!(state == "skipped" && !fix.is_empty(), "{name}: {state}: {fix}");
    }
    let at_aws = ["--app-mesh-endpoint", "https://appmesh.us-west-2.amazonaws.com"];
    let (captured, said) = doctor(run.path(), &at_aws).await?;
    let (state, found, fix) = check(&said, "app-mesh")?;
    ensure!(captured.status.code() == Some(1) && state == "failed" && found.contains("ended"), "{found}");
    ensure!(fix.contains("fleetmesh control-plane"), "{fix}");
    let with_user = format!("http://user:{SECRET}@127.0.0.1:1");
    let (_, said) = doctor(run.path(), &["--app-mesh-endpoint", &with_user]).await?;
    let (state, found, _) = check(&said, "app-mesh")?;
    ensure!(state == "failed" && found.starts_with("http://127.0.0.1:1 "), "{found}");
    doctor(run.path(), &["--app-mesh-endpoint", &format!("ftp://user:{SECRET}@127.0.0.1:1")]).await?;
    let mut wrong = Command::new(tools::fleetmesh()?);
    wrong.args(["doctor", "-o", "xml"]);
    ensure!(command::capture(wrong).await?.status.code() == Some(2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_answers_is_named_and_given_up() -> Result<()> {
    let run = RunDir::new("standalone-doctor-silent")?;
    // It takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", silent.local_addr()?);
    let kubeconfig = run.join("silent");
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: a, contexts: [{{name: a, context: {{cluster: c, user: u}}}}], \
         clusters: [{{name: c, cluster: {{server: '{url}'}}}}], users: [{{name: u, user: {{}}}}]}}"
    );
    std::fs::write(&kubeconfig, text)?;
    let arguments = ["--kubeconfig", &kubeconfig.display().to_string(), "--app-mesh-endpoint", &url];
    let began = std::time::Instant::now();
    let (captured, said) = doctor(run.path(), &arguments).await?;
    ensure!(began.elapsed() < std::time::Duration::from_secs(60), "{:?}", began.elapsed());
    ensure!(
        captured.stderr.matches(&format!("waiting for {url}, for 10s at most")).count() == 2,
        "{captured:?}"
    );
    for name in ["kubernetes-api", "app-mesh"] {
        let (state, found, _) = check(&said, name)?;
        ensure!(state == "failed" && found.contains("within 10s"), "{name}: {state}: {found}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_definition_of_another_version_is_found_on_a_real_api() -> Result<()> {
    let run = RunDir::new("standalone-doctor-stale")?;
    let cluster = Cluster::start(&run).await?;
    let kubectl = cluster.kubectl()?;
    let kubeconfig = cluster.admin_kubeconfig().display().to_string();
    let arguments = ["--kubeconfig", kubeconfig.as_str()];
    let (_, said) = doctor(run.path(), &arguments).await?;
    let (state, found, fix) = check(&said, "definitions")?;
    ensure!(state == "failed" && found.contains("missing: ") && fix.starts_with("fleetmesh crds"), "{found}");

    install_crds(&kubectl, &run).await?;
    let (captured, said) = doctor(run.path(), &arguments).await?;
    ensure!(captured.status.code() == Some(0), "{captured:?}");
    for name in ["kubernetes-api", "definitions", "rights", "clock"] {
        let (state, found, _) = check(&said, name)?;
        ensure!(state == "ok", "{name}: {state}: {found}");
    }

    let older = r#"[{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/description", "value": "of before"}]"#;
    kubectl.run(&["patch", "crd", "meshes.fleetmesh.dev", "--type=json", "--patch", older]).await?;
    let (captured, said) = doctor(run.path(), &arguments).await?;
    let (state, found, _) = check(&said, "definitions")?;
    ensure!(captured.status.code() == Some(1) && state == "failed", "{captured:?}");
    ensure!(found.ends_with(": meshes.fleetmesh.dev"), "{found}");
    Ok(())
}
