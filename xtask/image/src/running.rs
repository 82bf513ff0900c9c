//! Runs an image's program where nothing else is: the image's files are its whole root, as for a container of it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fleetmesh_testbed::process::Process;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{command, userns};

use super::config::{USER, VERSION};
use super::layer::ENTRY_POINT;
use super::variant::Variant;

/// Where nothing listens: connections are refused at once.
const NOWHERE: &str = "127.0.0.1:1";
/// What `proxy join` says when it gets as far as to connect.
const REFUSED: &str = "Connection refused";
/// What it says when it finds no authorities.
const NO_AUTHORITIES: &str = "this system trusts no CA";
/// No part takes longer to say what is awaited.
const LIMIT: Duration = Duration::from_secs(30);

/// Unpacks the layer (a tar archive) and runs its program in it.
///
/// # Errors
/// The program does not do there what it has to.
pub async fn check(variant: Variant, layer: &[u8]) -> Result<()> {
    let run = RunDir::new("root")?;
    let root = run.join("root");
    tar::Archive::new(layer).unpack(&root).context("cannot unpack the layer")?;
    prints_its_version(&root).await?;
    join_has_authorities(&root).await?;
    if variant == Variant::Full {
        operator_has_authorities(&root, &run).await?;
    }
    Ok(())
}

/// The program, in this root, as the image's user where the caller may choose one.
fn program(root: &Path, arguments: &[&str]) -> Result<Command> {
    let (user, group) = USER.split_once(':').context("user and group")?;
    let mut command = Command::new("unshare");
    if userns::is_root() {
        command.args(["--setuid", user, "--setgid", group]);
    } else {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--root").arg(root).arg("--").arg(ENTRY_POINT).args(arguments);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    // Of nobody, so that the SDK looks for no others: nothing here may ask beyond this machine's loopback.
    command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-west-2");
    Ok(command)
}

async fn prints_its_version(root: &Path) -> Result<()> {
    let printed = command::run(program(root, &["--version"])?).await?;
    ensure!(printed == format!("fleetmesh {VERSION}\n"), "`--version` printed {printed:?}");
    Ok(())
}

/// `proxy join` reads the authorities that it trusts before it connects.
async fn join_has_authorities(root: &Path) -> Result<()> {
    join_ends(root, &[], REFUSED).await.context("the program does not find the image's authorities")?;
    // Otherwise a program that looks for none would pass.
    join_ends(root, &[("SSL_CERT_FILE", "/nowhere")], NO_AUTHORITIES).await
}

/// Runs `proxy join` where nothing listens: it has to end with these words.
async fn join_ends(root: &Path, environment: &[(&str, &str)], words: &str) -> Result<()> {
    let url = format!("https://{NOWHERE}");
    let resource = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/serviceB";
    let arguments = ["proxy", "join", "--once", "--resource", resource, "--control-plane", &url];
    let mut join = program(root, &arguments)?;
    join.env("FLEETMESH_CERT_DIR", "/certificates").envs(environment.iter().copied());
    let captured = command::capture(join).await?;
    ensure!(
        captured.status.code() == Some(1) && captured.stderr.contains(words),
        "`{}` ended with {}, and not by {words:?}:\n{}",
        captured.command,
        captured.status,
        captured.stderr
    );
    Ok(())
}

/// The operator makes its clients, of which Kubernetes' takes no authorities for an error, and then waits for a cluster that
/// is not there.
async fn operator_has_authorities(root: &Path, run: &RunDir) -> Result<()> {
    // As a Secret that is mounted.
    std::fs::write(root.join("kubeconfig"), KUBECONFIG)?;
    let arguments = ["operator", "--kubeconfig", "/kubeconfig", "--health-listen", "127.0.0.1:0"];
    let mut operator = Process::spawn("operator", &program(root, &arguments)?, run)?;
    operator
        .until("the operator looks for its cluster", LIMIT, async |process| {
            let log = std::fs::read_to_string(process.log())?;
            if log.contains("panicked") {
                bail!("{log}");
            }
            Ok(log.contains("cannot watch").then_some(()))
        })
        .await?;
    let status = operator.terminate(LIMIT).await?;
    ensure!(status.success(), "the operator ended with {status} when it was asked to end");
    Ok(())
}

/// Over TLS and with no authority of its own, so that those of the image are read.
const KUBECONFIG: &str = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "none",
"contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
"clusters": [{"name": "none", "cluster": {"server": "https://127.0.0.1:1"}}],
"users": [{"name": "none", "user": {}}]}"#;
