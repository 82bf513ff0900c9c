//! `fleetmesh operator` as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Result;
use tokio::sync::{Mutex, MutexGuard};

use crate::launch::Launch;
use crate::process::{Process, START, Signal};
use crate::run_dir::RunDir;
use crate::{aws, port, tools};

/// A graceful stop ends what is under way.
const STOP: Duration = Duration::from_secs(60);

/// An operator that can be killed and started again.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    kubeconfig: PathBuf,
    endpoint: String,
    health_port: u16,
    launch: Launch,
    /// Held by who lets it stand still.
    pausing: Mutex<()>,
}

impl Operator {
    /// Starts an operator between a cluster and an App Mesh endpoint and awaits that it is ready.
    ///
    /// # Errors
    /// `fleetmesh` is not built, or does not become ready.
    pub async fn start(kubeconfig: &Path, endpoint: &str, run: &RunDir) -> Result<Self> {
        Self::launch(kubeconfig, endpoint, run, Launch::default()).await
    }

    /// The same with more arguments of `fleetmesh operator`, and more variables in its environment.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn launch(kubeconfig: &Path, endpoint: &str, run: &RunDir, launch: Launch) -> Result<Self> {
        let [health_port] = port::free()?;
        let process = spawn(kubeconfig, endpoint, health_port, &launch, run)?;
        let mut operator = Self {
            process,
            kubeconfig: kubeconfig.to_owned(),
            endpoint: endpoint.to_owned(),
            health_port,
            launch,
            pausing: Mutex::default(),
        };
        operator.ready().await?;
        Ok(operator)
    }

    async fn ready(&mut self) -> Result<()> {
        let port = self.health_port;
        self.process
            .until("the operator is ready", START, async |_| {
                crate::http::get(&format!("http://127.0.0.1:{port}/readyz")).await.map(Some)
            })
            .await?;
        Ok(())
    }

    /// `http://127.0.0.1:PORT` of `/livez`, `/readyz` and `/metrics`.
    #[must_use]
    pub fn health_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.health_port)
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Lets it stand still (SIGSTOP) until the answer is dropped. Tests that share it take turns: who lets it go on would let it
    /// go on for all.
    ///
    /// # Errors
    /// It has ended.
    pub async fn pause(&self) -> Result<PausedOperator<'_>> {
        let turn = self.pausing.lock().await;
        self.process.signal(Signal::STOP)?;
        Ok(PausedOperator { process: &self.process, _turn: turn })
    }

    /// Stops it (SIGTERM) and awaits its end.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        self.process.terminate(STOP).await
    }

    /// Starts it again and awaits that it is ready.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn restart(&mut self, run: &RunDir) -> Result<()> {
        self.process.kill();
        let Self { kubeconfig, endpoint, health_port, launch, .. } = &*self;
        self.process = spawn(kubeconfig, endpoint, *health_port, launch, run)?;
        self.ready().await
    }

    /// Awaits that it has ended by itself, as after a planned crash.
    ///
    /// # Errors
    /// It is still running after `within`.
    pub async fn ended(&mut self, within: Duration) -> Result<ExitStatus> {
        self.process.ended(within).await
    }

    /// What it logged so far.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.process.log())?)
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// An operator that stands still.
#[derive(Debug)]
pub struct PausedOperator<'a> {
    process: &'a Process,
    _turn: MutexGuard<'a, ()>,
}

impl Drop for PausedOperator<'_> {
    fn drop(&mut self) {
        // Fails only for a process that has ended.
        let _ = self.process.signal(Signal::CONT);
    }
}

fn spawn(
    kubeconfig: &Path,
    endpoint: &str,
    health_port: u16,
    launch: &Launch,
    run: &RunDir,
) -> Result<Process> {
    let mut command = Command::new(tools::fleetmesh()?);
    command.arg("operator").arg("--kubeconfig").arg(kubeconfig);
    command.args(["--app-mesh-endpoint", endpoint]);
    command.args(["--health-listen", &format!("127.0.0.1:{health_port}")]);
    aws::credentials(&mut command);
    launch.add_to(&mut command);
    Process::spawn("operator", &command, run)
}
