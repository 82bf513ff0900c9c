//! Short-lived commands: run, await, capture.

use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fleetmesh_tools::line;

/// No short-lived command of a test bed takes longer than this.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);

/// What a command printed and how it ended.
#[derive(Debug, Clone)]
pub struct Captured {
    /// The command line, for messages.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Captured {
    /// The standard output of a command that ended with status 0.
    ///
    /// # Errors
    /// It ended otherwise: the error carries what it printed.
    pub fn success(self) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let Self { command, status, stdout, stderr } = self;
        bail!("`{command}` ended with {status}\n{}{}", stdout.trim_end(), stderr.trim_end())
    }
}

/// Runs `command` to its end with nothing on standard input.
///
/// # Errors
/// It cannot be started, or runs for longer than three minutes and is killed. A failing status is not an error here.
pub async fn capture(command: Command) -> Result<Captured> {
    let line = line(&command);
    let mut command = tokio::process::Command::from(command);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .with_context(|| format!("`{line}` did not end within {LIMIT:?}"))?
        .with_context(|| format!("cannot run `{line}`"))?;
    Ok(Captured {
        command: line,
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Runs `command` and returns its standard output.
///
/// # Errors
/// As [`capture`], and a status other than 0.
pub async fn run(command: Command) -> Result<String> {
    capture(command).await?.success()
}
