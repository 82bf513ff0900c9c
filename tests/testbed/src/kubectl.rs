//! The real kubectl, as a person uses it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command::{self, Captured};
use crate::tools;

/// kubectl for one cluster and user.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// kubectl with this kubeconfig and nothing else of the caller's.
    ///
    /// # Errors
    /// kubectl is not installed.
    pub fn new(kubeconfig: &Path) -> Result<Self> {
        Self::of(kubeconfig, "kubectl")
    }

    /// The same of the tool with this name: `kubectl` or `kubectl-1.20`.
    ///
    /// # Errors
    /// It is not installed.
    pub fn of(kubeconfig: &Path, name: &str) -> Result<Self> {
        Ok(Self { program: tools::tool(name)?, kubeconfig: kubeconfig.to_owned() })
    }

    /// The kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The command, to be run by the caller.
    #[must_use]
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        // What it learned about another cluster at the same port must not be believed.
        if let Some(folder) = self.kubeconfig.parent() {
            command.arg("--cache-dir").arg(folder.join("kubectl-cache"));
        }
        command
    }

    /// Runs kubectl and returns what it printed, whatever its status.
    ///
    /// # Errors
    /// It cannot be run.
    pub async fn capture(&self, arguments: &[&str]) -> Result<Captured> {
        command::capture(self.command(arguments)).await
    }

    /// Runs kubectl and returns its standard output.
    ///
    /// # Errors
    /// It fails; the error carries what it printed.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        self.capture(arguments).await?.success()
    }

    /// Runs kubectl with `--output json` and returns the object.
    ///
    /// # Errors
    /// It fails, or prints no JSON.
    pub async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = self.run(&[arguments, &["--output", "json"]].concat()).await?;
        serde_json::from_str(&text).with_context(|| format!("kubectl printed no JSON: {text}"))
    }

    /// `kubectl apply -R -f` of a file or folder.
    ///
    /// # Errors
    /// It fails; the error carries what it printed.
    pub async fn apply(&self, path: &Path) -> Result<String> {
        let mut arguments = vec![OsStr::new("apply"), OsStr::new("-R"), OsStr::new("-f")];
        arguments.push(path.as_os_str());
        command::run(self.command(arguments)).await
    }
}
