//! The real helm, as a person uses it, with the repository's chart.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::{self, Captured};
use crate::run_dir::RunDir;
use crate::tools;

/// The repository's chart.
///
/// # Errors
/// The running program is not of this workspace.
pub fn chart() -> Result<PathBuf> {
    Ok(tools::workspace_dir()?.join("charts/fleetmesh"))
}

/// helm with settings of its own, so that nothing of the caller's is read or changed.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
    home: PathBuf,
    kubeconfig: Option<PathBuf>,
}

impl Helm {
    /// helm without a cluster, for `lint` and `template`; its files go to `helm` of `run`.
    ///
    /// # Errors
    /// helm is not installed.
    pub fn offline(run: &RunDir) -> Result<Self> {
        Ok(Self { program: tools::tool("helm")?, home: run.join("helm"), kubeconfig: None })
    }

    /// helm for the cluster of `kubeconfig`.
    ///
    /// # Errors
    /// As [`Self::offline`].
    pub fn new(kubeconfig: &Path, run: &RunDir) -> Result<Self> {
        Ok(Self { kubeconfig: Some(kubeconfig.to_owned()), ..Self::offline(run)? })
    }

    /// The command, to be run by the caller.
    #[must_use]
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.program);
        for (variable, folder) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(variable, self.home.join(folder));
        }
        // An empty file's path is better than the user's own cluster.
        let nowhere = Path::new("/dev/null");
        command.env("KUBECONFIG", self.kubeconfig.as_deref().unwrap_or(nowhere));
        command.args(arguments);
        command
    }

    /// Runs helm and returns what it printed, whatever its status.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn capture(&self, arguments: &[&str]) -> Result<Captured> {
        command::capture(self.command(arguments)).await
    }

    /// Runs helm and returns its standard output.
    ///
    /// # Errors
    /// It fails; the error carries what it printed.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.capture(arguments).await?.success()
    }
}
