//! Cargo as a child process, with its own progress shown as it is.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use fleetmesh_tools::tools;

/// How many crates cargo compiles at a time.
const JOBS: &str = "CARGO_BUILD_JOBS";

/// On few cores more crates at a time than there are cores: cargo begins last with what few others need, and aws-sdk-ec2, which
/// takes minutes of one core, would then be compiled when nothing else is left to do.
fn jobs(cores: usize) -> usize {
    if cores <= 4 { cores + 2 } else { cores }
}

/// Cargo in the workspace, the one that runs this program.
///
/// # Errors
/// The workspace is not found.
pub fn command(arguments: &[&str]) -> Result<Command> {
    through(Path::new(&std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())), arguments)
}

/// A program in the place of cargo, such as a subcommand of it that is not on PATH.
///
/// # Errors
/// As [`command`].
pub fn through(program: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program);
    command.current_dir(tools::workspace_dir()?).args(arguments);
    // Of the package of xtask, not of what is built now.
    command.env_remove("CARGO_MANIFEST_DIR");
    if std::env::var_os(JOBS).is_none() {
        let cores = std::thread::available_parallelism()?.get();
        command.env(JOBS, jobs(cores).to_string());
    }
    Ok(command)
}

/// Runs cargo with this terminal.
///
/// # Errors
/// Cargo cannot be run or fails.
pub fn run(arguments: &[&str]) -> Result<()> {
    status(command(arguments)?)
}

/// Runs a command with this terminal.
///
/// # Errors
/// It cannot be run or fails.
pub fn status(mut command: Command) -> Result<()> {
    let line = fleetmesh_tools::line(&command);
    let status = command.status().with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Becomes the program: signals and the exit status are its own. Returns only on failure.
///
/// # Errors
/// It cannot be run.
pub fn replace(mut command: Command) -> Result<ExitCode> {
    let line = fleetmesh_tools::line(&command);
    // Its files are found from where it is run, as this program's are.
    command.current_dir(tools::workspace_dir()?).env_remove("CARGO_MANIFEST_DIR");
    Err(command.exec()).with_context(|| format!("cannot run `{line}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_cores_compile_more_at_a_time_than_they_are() {
        assert_eq!([1, 2, 4, 8].map(jobs), [3, 4, 6, 8]);
    }
}
