//! `fleetmesh control-plane` as a process: App Mesh's API on loopback, proxies on a Unix socket and on loopback.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::launch::Launch;
use crate::process::{Process, START};
use crate::run_dir::RunDir;
use crate::{port, tools};

/// A control plane that can be killed and started again at the same addresses, with the same data.
#[derive(Debug)]
pub struct ControlPlane {
    process: Process,
    folder: PathBuf,
    api_port: u16,
    ads_port: u16,
    launch: Launch,
}

impl ControlPlane {
    /// Starts a control plane; its data goes to `control-plane` of `run`.
    ///
    /// # Errors
    /// `fleetmesh` is not built, or does not become ready.
    pub async fn start(run: &RunDir) -> Result<Self> {
        Self::launch(run, Launch::default()).await
    }

    /// The same with more arguments of `fleetmesh control-plane`, and more variables in its environment.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn launch(run: &RunDir, launch: Launch) -> Result<Self> {
        let folder = run.join("control-plane");
        std::fs::create_dir_all(&folder)?;
        let [api_port, ads_port] = port::free()?;
        let process = spawn(&folder, [api_port, ads_port], &launch, run)?;
        let mut control_plane = Self { process, folder, api_port, ads_port, launch };
        control_plane.ready().await?;
        Ok(control_plane)
    }

    async fn ready(&mut self) -> Result<()> {
        self.process.first_line(START).await?;
        let (endpoint, socket) = (self.endpoint(), self.ads_socket());
        self.process
            .until("the control plane answers", START, async |_| {
                crate::http::get(&format!("{endpoint}/v20190125/meshes")).await?;
                Ok(socket.exists().then_some(()))
            })
            .await
    }

    /// App Mesh's API: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.api_port)
    }

    /// The Unix socket for proxies, which those in other network namespaces reach too.
    #[must_use]
    pub fn ads_socket(&self) -> PathBuf {
        self.folder.join("ads.sock")
    }

    /// The TCP address for proxies: `127.0.0.1:PORT`.
    #[must_use]
    pub fn ads_address(&self) -> String {
        format!("127.0.0.1:{}", self.ads_port)
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again at the same addresses with the same data and awaits that it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn restart(&mut self, run: &RunDir) -> Result<()> {
        self.process.kill();
        self.process = spawn(&self.folder, [self.api_port, self.ads_port], &self.launch, run)?;
        self.ready().await
    }

    /// What the control plane says about how far the objects of `mesh` reached their proxies.
    ///
    /// # Errors
    /// It does not answer with JSON.
    pub async fn distribution(&self, mesh: &str) -> Result<Value> {
        let text =
            crate::http::get(&format!("{}/fleetmesh/v1/meshes/{mesh}/distribution", self.endpoint())).await?;
        serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn spawn(folder: &Path, [api_port, ads_port]: [u16; 2], launch: &Launch, run: &RunDir) -> Result<Process> {
    let mut command = Command::new(tools::fleetmesh()?);
    command.arg("control-plane").arg("--data-dir").arg(folder.join("data"));
    command.args(["--listen", &format!("127.0.0.1:{api_port}")]);
    command.args(["--ads-listen", &format!("unix:{}", folder.join("ads.sock").display())]);
    command.args(["--ads-listen", &format!("127.0.0.1:{ads_port}")]);
    launch.add_to(&mut command);
    Process::spawn("control-plane", &command, run)
}
