//! `cargo xtask fuzz`: the parsers that read what strangers send, two at a time, for so many seconds each.

mod libfuzzer;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};
use fleetmesh_tools::tools;

use crate::cargo;

/// Targets that run at once, each in a process of one thread.
const AT_ONCE: usize = 2;

/// What `cargo xtask fuzz` takes.
#[derive(clap::Args)]
pub struct FuzzArgs {
    /// How long each target is fed inputs, in seconds.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// What inputs are drawn from: the same number draws the same inputs. Another one in each run when absent.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Try the input in this file once more, on the one target that is named, instead of drawing any.
    #[arg(long, value_name = "FILE", requires = "targets")]
    replay: Option<PathBuf>,
    /// Let libFuzzer draw the inputs, which learns from what they reach: for minutes and hours. Builds our own crates once more,
    /// with its instrumentation.
    #[arg(long, conflicts_with_all = ["seed", "replay"])]
    libfuzzer: bool,
    /// The targets; all of them when none is named.
    targets: Vec<String>,
}

/// Builds the program and runs each target.
///
/// # Errors
/// It does not compile, there is no such target, or an input failed; the target's own words are printed and name the file
/// with the input.
pub fn run(arguments: &FuzzArgs) -> Result<ExitCode> {
    // As the tests are built, so that nothing is compiled a second time with other features.
    cargo::run(&["test", "--quiet", "--workspace", "--no-run", "--test", "engine"])?;
    let program = tools::target_dir()?.join("debug/fleetmesh-fuzz");
    let known = known(&program)?;
    if let Some(unknown) = arguments.targets.iter().find(|target| !known.contains(target)) {
        bail!("no target {unknown:?}: there are {}", known.join(", "));
    }
    let targets = if arguments.targets.is_empty() { known } else { arguments.targets.clone() };
    let failed = if arguments.libfuzzer {
        let program = libfuzzer::build()?;
        all(&targets, |target| libfuzzer::one(&program, target, arguments.seconds))?
    } else {
        all(&targets, |target| one(&program, target, arguments))?
    };
    if !failed.is_empty() {
        bail!("these failed: {}", failed.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// The targets that there are.
fn known(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).arg("--list").stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Has `run` run each target, [`AT_ONCE`] at a time: the names of those that failed.
fn all(targets: &[String], run: impl Fn(&str) -> Result<bool> + Sync) -> Result<Vec<String>> {
    let left = Mutex::new(targets.iter());
    let next = || left.lock().ok()?.next();
    let worker = || -> Result<Vec<String>> {
        let mut failed = Vec::new();
        while let Some(target) = next() {
            if !run(target)? {
                failed.push(target.clone());
            }
        }
        Ok(failed)
    };
    let joined: Vec<Result<Vec<String>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        let lost = |_| Err(anyhow::anyhow!("a thread ended by itself"));
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(lost)).collect()
    });
    joined.into_iter().collect::<Result<Vec<_>>>().map(|failed| failed.concat())
}

/// Whether all inputs of a target passed.
fn one(program: &Path, target: &str, arguments: &FuzzArgs) -> Result<bool> {
    let mut command = Command::new(program);
    command.arg(target).args(["--seconds", &arguments.seconds.to_string()]);
    command.arg("--artifacts").arg(tools::target_dir()?.join("fuzz"));
    if let Some(seed) = arguments.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if let Some(file) = &arguments.replay {
        command.arg("--replay").arg(std::path::absolute(file)?);
    }
    let status = command.status().with_context(|| format!("cannot run {}", program.display()))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_target_is_run_once_and_those_that_fail_are_named() {
        let targets: Vec<String> = (0..7).map(|number| number.to_string()).collect();
        let ran = Mutex::new(Vec::new());
        let failed = all(&targets, |target| {
            ran.lock().expect("no panic").push(target.to_owned());
            Ok(!["2", "5"].contains(&target))
        });
        let (mut failed, mut ran) = (failed.expect("all ran"), ran.into_inner().expect("no panic"));
        failed.sort();
        ran.sort();
        assert_eq!((failed, ran), (vec!["2".to_owned(), "5".to_owned()], targets));
        assert!(all(&["1".to_owned()], |_| bail!("it cannot be run")).is_err());
    }
}
