//! `fleetmesh standalone` as a process: the embedded API, the operator and the control plane.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::kubectl::Kubectl;
use crate::launch::Launch;
use crate::process::{Process, START};
use crate::run_dir::RunDir;
use crate::{aws, port, tools};

/// A standalone that can be killed and started again at the same addresses, with the same data.
#[derive(Debug)]
pub struct Standalone {
    process: Process,
    folder: PathBuf,
    ports: [u16; 3],
    launch: Launch,
}

impl Standalone {
    /// Starts one; its data goes to `standalone` of `run`.
    ///
    /// # Errors
    /// `fleetmesh` is not built, or does not become ready.
    pub async fn start(run: &RunDir) -> Result<Self> {
        Self::launch(run, Launch::default()).await
    }

    /// The same with more arguments of `fleetmesh standalone`, and more variables in its environment.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn launch(run: &RunDir, launch: Launch) -> Result<Self> {
        let folder = run.join("standalone");
        let ports = port::free()?;
        let process = spawn(&folder, ports, &launch, run)?;
        let mut standalone = Self { process, folder, ports, launch };
        standalone.ready().await?;
        Ok(standalone)
    }

    async fn ready(&mut self) -> Result<()> {
        self.process.first_line(START).await.map(drop)
    }

    /// The address of its Kubernetes-style API: `https://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports[0])
    }

    /// App Mesh's API: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.folder
    }

    /// The kubeconfig that it wrote.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// kubectl with that.
    ///
    /// # Errors
    /// kubectl is not installed.
    pub fn kubectl(&self) -> Result<Kubectl> {
        Kubectl::new(&self.kubeconfig())
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
        self.process = spawn(&self.folder, self.ports, &self.launch, run)?;
        self.ready().await
    }

    /// What it logged so far.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn log(&self) -> Result<String> {
        std::fs::read_to_string(self.process.log()).context("no log")
    }

    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The command of one with its data in `folder`.
///
/// # Errors
/// `fleetmesh` is not built.
pub fn command(folder: &Path, [api, app_mesh, ads]: [u16; 3]) -> Result<Command> {
    let mut command = Command::new(tools::fleetmesh()?);
    command.arg("standalone").arg("--data-dir").arg(folder);
    command.args(["--listen", &format!("127.0.0.1:{api}")]);
    command.args(["--app-mesh-listen", &format!("127.0.0.1:{app_mesh}")]);
    command.args(["--ads-listen", &format!("127.0.0.1:{ads}")]);
    aws::credentials(&mut command);
    Ok(command)
}

fn spawn(folder: &Path, ports: [u16; 3], launch: &Launch, run: &RunDir) -> Result<Process> {
    let mut command = command(folder, ports)?;
    launch.add_to(&mut command);
    Process::spawn("standalone", &command, run)
}
