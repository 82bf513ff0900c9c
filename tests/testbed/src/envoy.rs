//! A stock Envoy on an instance, as the user that traffic interception leaves alone.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::app::client::AppAnswer;
use crate::app::{self, Protocol};
use crate::command;
use crate::join::Joiner;
use crate::netns::NetnsInstance;
use crate::process::Process;
use crate::run_dir::RunDir;
use crate::tools;

/// The proxy's user and group, as the scenario has it.
pub const UID: u32 = 1337;
/// Where the bootstrap puts the admin interface, on the instance's loopback.
const ADMIN: &str = "http://127.0.0.1:9901";

/// How long connections of a removed port live on, with the routes and clusters that they use. Envoy's own 600 s would
/// make whoever waits for their end wait too long.
const DRAIN_SECONDS: &str = "5";

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    bootstrap: PathBuf,
}

impl Envoy {
    /// Starts Envoy on `instance` with the bootstrap that `fleetmesh proxy bootstrap` renders for `resource`
    /// (`mesh/apps/virtualNode/serviceB`) and `control_plane` (`unix:PATH` or `HOST:PORT`).
    ///
    /// It is started, not ready: see [`Self::ready`].
    ///
    /// # Errors
    /// A program is missing or the bootstrap cannot be rendered.
    pub async fn start(
        resource: &str,
        control_plane: &str,
        instance: &NetnsInstance,
        run: &RunDir,
    ) -> Result<Self> {
        Self::start_with(&bootstrap(resource, control_plane, None).await?, instance, run)
    }

    /// Starts Envoy on `instance` with this bootstrap (YAML), whose admin interface is at 127.0.0.1:9901.
    ///
    /// # Errors
    /// A program is missing or a file cannot be written.
    pub fn start_with(bootstrap: &str, instance: &NetnsInstance, run: &RunDir) -> Result<Self> {
        let file = run.join(format!("envoy-{}.yaml", instance.name()));
        std::fs::write(&file, bootstrap)?;
        let process = spawn(&file, instance, run)?;
        Ok(Self { process, bootstrap: file })
    }

    /// Kills Envoy and starts it again with the same bootstrap.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn restart(&mut self, instance: &NetnsInstance, run: &RunDir) -> Result<()> {
        self.process.kill();
        self.process = spawn(&self.bootstrap, instance, run)?;
        Ok(())
    }

    /// Awaits that Envoy has its first complete configuration and serves.
    ///
    /// # Errors
    /// It ends, or `within` passes.
    pub async fn ready(&mut self, instance: &NetnsInstance, within: Duration) -> Result<()> {
        let what = format!("Envoy on {} is ready", instance.name());
        self.process
            .until(&what, within, async |_| {
                let answer = admin(instance, "/ready").await?;
                anyhow::ensure!(answer.status == 200, "/ready says {}", answer.body.trim());
                Ok(Some(()))
            })
            .await
    }

    /// The counter or gauge `name`; nothing when Envoy has none of that name.
    ///
    /// # Errors
    /// The admin interface does not answer.
    pub async fn stat(&self, instance: &NetnsInstance, name: &str) -> Result<Option<u64>> {
        stat(instance, name).await
    }

    /// The configuration that Envoy runs, as its admin interface shows it.
    ///
    /// # Errors
    /// The admin interface does not answer with JSON.
    pub async fn config_dump(&self, instance: &NetnsInstance) -> Result<Value> {
        let body = admin(instance, "/config_dump").await?.body;
        serde_json::from_str(&body).context("the configuration dump is no JSON")
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The bootstrap that `fleetmesh proxy bootstrap` renders, which names the EC2 instance `instance_id` if there is one.
///
/// # Errors
/// `fleetmesh` is not built, or refuses the arguments.
pub async fn bootstrap(resource: &str, control_plane: &str, instance_id: Option<&str>) -> Result<String> {
    render(resource, control_plane, instance_id.iter().flat_map(|id| ["--instance-id", id])).await
}

/// The same for an instance that joins, with the certificates of the mesh.
///
/// # Errors
/// As [`bootstrap`].
pub async fn joined_bootstrap(resource: &str, joiner: &Joiner, instance_id: Option<&str>) -> Result<String> {
    let secrets = joiner.secrets().display().to_string();
    let id = instance_id.iter().flat_map(|id| ["--instance-id", id]);
    render(resource, &joiner.control_plane(), ["--sds-socket", &secrets].into_iter().chain(id)).await
}

async fn render(resource: &str, control_plane: &str, more: impl IntoIterator<Item = &str>) -> Result<String> {
    let mut render = Command::new(tools::fleetmesh()?);
    render.args(["proxy", "bootstrap", "--resource", resource, "--control-plane", control_plane]);
    render.args(more);
    command::run(render).await.context("cannot render the bootstrap")
}

/// `bootstrap` in the words of AWS's image, which asks for the state of the world.
///
/// # Panics
/// It asks for that already.
#[must_use]
pub fn state_of_the_world(bootstrap: &str) -> String {
    let (ours, other) = ("api_type: DELTA_GRPC\n", "api_type: GRPC\n");
    assert_eq!(bootstrap.matches(ours).count(), 1, "the bootstrap asks for delta: {bootstrap}");
    bootstrap.replace(ours, other)
}

/// The addresses that the Envoy on `instance` balances over in `cluster`.
///
/// # Errors
/// The admin interface does not answer.
pub async fn hosts(instance: &NetnsInstance, cluster: &str) -> Result<BTreeSet<SocketAddr>> {
    let clusters = admin(instance, "/clusters").await?.body;
    let prefix = format!("{cluster}::");
    let hosts = clusters.lines().filter_map(|line| line.strip_prefix(&prefix)?.split("::").next());
    Ok(hosts.filter_map(|host| host.parse().ok()).collect())
}

/// The counter or gauge `name` of the Envoy on `instance`, whoever started it; nothing when Envoy has none of that name.
///
/// # Errors
/// The admin interface does not answer.
pub async fn stat(instance: &NetnsInstance, name: &str) -> Result<Option<u64>> {
    let body = admin(instance, "/stats").await?.body;
    let prefix = format!("{name}: ");
    Ok(body.lines().find_map(|line| line.strip_prefix(&prefix)?.trim().parse().ok()))
}

/// Asks the admin interface of the Envoy on `instance`.
///
/// # Errors
/// It does not answer.
pub async fn admin(instance: &NetnsInstance, path: &str) -> Result<AppAnswer> {
    app::get(instance, Protocol::Http, &format!("{ADMIN}{path}"), &[]).await
}

fn spawn(bootstrap: &Path, instance: &NetnsInstance, run: &RunDir) -> Result<Process> {
    let envoy = tools::tool("envoy")?.canonicalize()?;
    let mut command = as_proxy_user(instance, &envoy, &run.join("envoy"))?;
    command.arg("--config-path").arg(bootstrap);
    // Several Envoys of one machine would share the memory of a hot restart.
    command.args(["--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"]);
    command.args(["--drain-time-s", DRAIN_SECONDS]);
    Process::spawn(&format!("envoy-{}", instance.name()), &command, run)
}

/// A command that runs `program` on `instance` as the proxy's user, who finds it at `visible`: it may lie in a home folder that
/// this user cannot enter.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn as_proxy_user(instance: &NetnsInstance, program: &Path, visible: &Path) -> Result<Command> {
    if !visible.exists() {
        std::fs::write(visible, "")?;
    }
    let (uid, gid) = (UID.to_string(), UID.to_string());
    let mut command = instance.command_with(&[(program, visible)], "setpriv");
    // A change of user clears the wish to die with the parent, so it is said again.
    command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups", "--pdeathsig", "KILL", "--"]);
    command.arg(visible);
    Ok(command)
}
