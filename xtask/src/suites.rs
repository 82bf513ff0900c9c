//! Test programs, the slowest first, as many at a time as the caller says; what each printed comes in one piece. Cargo runs
//! them one after another and in the order of their names.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use fleetmesh_tools::api_server::{self, ApiServer, ON_STANDALONE, SecondRun};
use fleetmesh_tools::{long, tools};
use serde_json::Value;

use crate::cargo;

/// A test program of the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suite {
    /// What it tests: the package, and the target where it has a name of its own.
    name: String,
    program: PathBuf,
    /// The folder of its package, where cargo runs it.
    package: PathBuf,
    /// On whose API it is run.
    on: ApiServer,
    /// Tests and modules that are left out.
    skips: Vec<&'static str>,
}

/// Builds every test program of the workspace and every program that they start.
///
/// # Errors
/// Something does not compile.
pub fn build() -> Result<Vec<Suite>> {
    let arguments = ["test", "--workspace", "--no-run", "--message-format=json-render-diagnostics"];
    let mut command = cargo::command(&arguments)?;
    command.stdout(Stdio::piped());
    let output = command.spawn().and_then(std::process::Child::wait_with_output);
    let output = output.context("cannot run cargo")?;
    if !output.status.success() {
        bail!("`cargo {}` ended with {}", arguments.join(" "), output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(suite).collect())
}

/// Who takes longest begins, so that none is left alone at the end. One that was never timed goes before all.
fn longest_first(suites: &mut [Suite], times: &Times) {
    suites.sort_by_key(|suite| std::cmp::Reverse(times.get(&suite.name).copied().unwrap_or(u64::MAX)));
}

/// The test program in a message of cargo.
fn suite(message: &str) -> Option<Suite> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let package = Path::new(message["manifest_path"].as_str()?).parent()?;
    let target = message["target"]["name"].as_str()?;
    let black_box = message["target"]["kind"][0] == "test";
    let folder = package.file_name()?.to_string_lossy();
    Some(Suite {
        name: if black_box { format!("{folder}: {target}") } else { target.to_owned() },
        program: PathBuf::from(message["executable"].as_str()?),
        package: package.to_owned(),
        ..Suite::default()
    })
}

/// Those of `suites` that are run on standalone as well.
fn on_standalone(suites: &[Suite], long: bool) -> Vec<Suite> {
    let again = |run: &SecondRun| {
        let first = suites.iter().find(|suite| suite.name == format!("tests: {}", run.suite))?;
        Some(Suite {
            name: format!("{} on standalone", first.name),
            on: ApiServer::Standalone,
            skips: run.stays.iter().map(|stays| stays.tests).collect(),
            ..first.clone()
        })
    };
    ON_STANDALONE.iter().filter(|run| long || !run.long).filter_map(again).collect()
}

/// How many seconds each suite took when it last ran.
type Times = BTreeMap<String, u64>;

fn times_file() -> Result<PathBuf> {
    Ok(tools::target_dir()?.join("suite-seconds.json"))
}

/// What is known; nothing where nothing can be read: it is about the order alone.
fn times() -> Times {
    let read = times_file().ok().and_then(|file| std::fs::read(file).ok());
    read.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn remember(new: Times) -> Result<()> {
    let mut all = times();
    all.extend(new);
    let file = times_file()?;
    std::fs::write(&file, serde_json::to_vec(&all)?)
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Runs `suites` with these variables, some of them once more on standalone ([`ON_STANDALONE`]), `at_once` at a time with `threads`
/// tests at a time in each, and prints what each prints when it has ended.
///
/// # Errors
/// One cannot be started or fails: the error names all that failed.
pub fn run(suites: Vec<Suite>, at_once: usize, threads: usize, environment: &[(&str, &str)]) -> Result<()> {
    let long = environment.contains(&(long::VARIABLE, "1"));
    let mut suites = suites;
    suites.extend(on_standalone(&suites, long));
    longest_first(&mut suites, &self::times());
    let (times, failed) = run_all(suites, at_once, |suite| run_one(suite, threads, environment));
    remember(times)?;
    if !failed.is_empty() {
        bail!("these failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Has `run` run each, `at_once` at a time: how long each took, and the names of those that failed.
fn run_all(
    suites: Vec<Suite>,
    at_once: usize,
    run: impl Fn(&Suite) -> Result<()> + Sync,
) -> (Times, Vec<String>) {
    let left = Mutex::new(VecDeque::from(suites));
    let (times, failed) = (Mutex::new(Times::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    // Not `while let`, which would hold the lock, and with it the others, while the suite runs.
                    let Some(suite) = lock(&left).pop_front() else { break };
                    let begun = Instant::now();
                    if let Err(error) = run(&suite) {
                        eprintln!("{error:#}");
                        lock(&failed).push(suite.name.clone());
                    }
                    lock(&times).insert(suite.name, begun.elapsed().as_secs());
                }
            });
        }
    });
    (
        times.into_inner().unwrap_or_else(PoisonError::into_inner),
        failed.into_inner().unwrap_or_else(PoisonError::into_inner),
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_one(suite: &Suite, threads: usize, environment: &[(&str, &str)]) -> Result<()> {
    let Suite { name, program, package, on, skips } = suite;
    eprintln!("   Started {name}");
    let mut command = Command::new(program);
    command.current_dir(package).env("CARGO_MANIFEST_DIR", package);
    command.env("RUST_TEST_THREADS", threads.to_string()).envs(environment.iter().copied());
    command.env(api_server::VARIABLE, on.name()).args(skips.iter().flat_map(|tests| ["--skip", tests]));
    // kube-apiserver, etcd and kubectl are Go's: memory is there, processor time is not.
    command.env("GOGC", "400").stdin(Stdio::null());
    let begun = Instant::now();
    let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
    // In one piece: what two suites print must not mingle.
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    println!("     Ended {name} after {} s\n{}", begun.elapsed().as_secs(), text.concat());
    if !output.status.success() {
        bail!("{name} ended with {}", output.status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Condvar;
    use std::time::Duration;

    use super::*;

    #[test]
    fn test_programs_are_distinguished_from_others() {
        let message = |kind: &str, test: bool, executable: Option<&str>| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": "/w/tests/Cargo.toml",
                "target": { "kind": [kind], "name": "envoy" }, "profile": { "test": test }, "executable": executable,
            })
            .to_string()
        };
        let named = |name: &str| {
            let program = PathBuf::from("/t/envoy-1f");
            let package = PathBuf::from("/w/tests");
            Some(Suite { name: name.to_owned(), program, package, ..Suite::default() })
        };
        assert_eq!(suite(&message("test", true, Some("/t/envoy-1f"))), named("tests: envoy"));
        assert_eq!(suite(&message("lib", true, Some("/t/envoy-1f"))), named("envoy"));
        assert_eq!(suite(&message("bin", false, Some("/t/envoy"))), None, "a program that tests start");
        assert_eq!(suite(&message("lib", false, None)), None);
        assert_eq!(suite("{\"reason\":\"build-finished\",\"success\":true}"), None);
    }

    #[test]
    fn all_are_run_and_those_that_fail_are_named() {
        let suite = |name: &str| Suite {
            name: name.to_owned(),
            program: PathBuf::from(format!("/bin/{name}")),
            package: PathBuf::from("/"),
            ..Suite::default()
        };
        let (times, failed) =
            run_all(vec![suite("true"), suite("true"), suite("false"), suite("none")], 2, |suite| {
                run_one(suite, 1, &[])
            });
        assert_eq!(failed.iter().map(String::as_str).collect::<BTreeSet<_>>(), ["false", "none"].into());
        assert_eq!(times.len(), 3, "{times:?}");
    }

    #[test]
    fn two_run_at_a_time() {
        let suite = |name: &str| Suite { name: name.to_owned(), ..Suite::default() };
        let (running, more) = (Mutex::new(0), Condvar::new());
        // Each waits for the other; one alone gives up.
        let meet = |_: &Suite| {
            let mut running = lock(&running);
            *running += 1;
            more.notify_all();
            let waited = more.wait_timeout_while(running, Duration::from_secs(20), |running| *running < 2);
            anyhow::ensure!(!waited.unwrap_or_else(PoisonError::into_inner).1.timed_out(), "alone");
            Ok(())
        };
        let (_, failed) = run_all(vec![suite("one"), suite("another")], 2, meet);
        assert_eq!(failed, Vec::<String>::new());
    }

    #[test]
    fn the_longest_begins_and_the_unknown_before_it() {
        let suite = |name: &str| Suite { name: name.to_owned(), ..Suite::default() };
        let mut suites = ["short", "long", "new"].map(suite);
        longest_first(&mut suites, &Times::from([("short".to_owned(), 1), ("long".to_owned(), 60)]));
        assert_eq!(suites.each_ref().map(|suite| suite.name.as_str()), ["new", "long", "short"]);
    }

    #[test]
    fn suites_that_are_chosen_run_on_standalone_too() {
        let suites = ["tests: kubernetes", "tests: envoy", "tests: canary", "kubernetes"]
            .map(|name| Suite { name: name.to_owned(), ..Suite::default() });
        let names = |long| {
            let again = on_standalone(&suites, long);
            assert!(again.iter().all(|suite| suite.on == ApiServer::Standalone));
            again.into_iter().map(|suite| suite.name).collect::<Vec<_>>()
        };
        assert_eq!(names(false), ["tests: kubernetes on standalone"]);
        assert_eq!(names(true), ["tests: kubernetes on standalone", "tests: canary on standalone"]);
        assert!(on_standalone(&suites, false)[0].skips.contains(&"rights::"));
    }
}
