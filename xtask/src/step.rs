//! Long commands with progress, in plain lines: cargo may draw its own bar at the same time.
//!
//! May start child processes, write their output to log files and print to standard error.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// A command quieter than this is not worth a line.
const QUIET: Duration = Duration::from_secs(2);
/// How often a running command is reported.
const REPORT_EVERY: Duration = Duration::from_secs(20);
/// Lines of a failed command's output that are shown.
const TAIL: usize = 25;

/// Runs `command` to its end with its output in `log`, showing that `label` goes on.
///
/// # Errors
/// The command cannot be started, or ends with a status other than 0: the error carries the end of its output.
pub fn run(label: &str, command: &mut Command, log: &Path) -> Result<()> {
    let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    let (sender, receiver) = mpsc::channel();
    let waiter = std::thread::spawn(move || sender.send(child.wait()));
    let status = watch(label, started, &receiver)?;
    // The channel has delivered, so the thread is at its end; its result is the unit of a send that succeeded.
    let _ = waiter.join();
    if status.success() {
        if started.elapsed() > QUIET {
            eprintln!("  {label}: done in {} s", started.elapsed().as_secs());
        }
        return Ok(());
    }
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n    ");
    bail!("{label} failed ({status}); the end of {}:\n    {tail}", log.display())
}

/// Reports until the child's status arrives.
fn watch(
    label: &str,
    started: Instant,
    ended: &mpsc::Receiver<std::io::Result<ExitStatus>>,
) -> Result<ExitStatus> {
    match ended.recv_timeout(QUIET) {
        Ok(status) => return Ok(status?),
        Err(mpsc::RecvTimeoutError::Timeout) => {}
        Err(mpsc::RecvTimeoutError::Disconnected) => bail!("{label}: lost the child process"),
    }
    loop {
        eprintln!("  {label}: running for {} s", started.elapsed().as_secs());
        match ended.recv_timeout(REPORT_EVERY) {
            Ok(status) => return Ok(status?),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => bail!("{label}: lost the child process"),
        }
    }
}
