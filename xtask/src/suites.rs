//! Test programs side by side. Cargo runs them one after another, each to its last test, so that a slow test holds up
//! everything while most of the machine waits.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::cargo;

/// A test program of the workspace.
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    /// What it tests: the package, and the target where it has a name of its own.
    name: String,
    program: PathBuf,
    /// The folder of its package, where cargo runs it.
    package: PathBuf,
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
    let mut suites: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().filter_map(suite).collect();
    // Black-box tests take longest: they begin, and the short ones fill what is left.
    suites.sort_by_key(|(black_box, _)| !black_box);
    Ok(suites.into_iter().map(|(_, suite)| suite).collect())
}

/// The test program that a message of cargo tells of, and whether it is an integration test.
fn suite(message: &str) -> Option<(bool, Suite)> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let package = Path::new(message["manifest_path"].as_str()?).parent()?;
    let target = message["target"]["name"].as_str()?;
    let black_box = message["target"]["kind"][0] == "test";
    let folder = package.file_name()?.to_string_lossy();
    let suite = Suite {
        name: if black_box { format!("{folder}: {target}") } else { target.to_owned() },
        program: PathBuf::from(message["executable"].as_str()?),
        package: package.to_owned(),
    };
    Some((black_box, suite))
}

/// Runs `suites` with these variables, `at_once` at a time with `threads` tests at a time in each, and prints what each
/// prints when it has ended.
///
/// # Errors
/// One cannot be started or fails: the error names all that failed.
pub fn run(suites: Vec<Suite>, at_once: usize, threads: usize, environment: &[(&str, &str)]) -> Result<()> {
    let left = Mutex::new(VecDeque::from(suites));
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(suite) = next(&left) {
                    if let Err(error) = run_one(&suite, threads, environment) {
                        eprintln!("{error:#}");
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(suite.name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !failed.is_empty() {
        bail!("these failed: {}", failed.join(", "));
    }
    Ok(())
}

fn next(left: &Mutex<VecDeque<Suite>>) -> Option<Suite> {
    left.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
}

fn run_one(suite: &Suite, threads: usize, environment: &[(&str, &str)]) -> Result<()> {
    let Suite { name, program, package } = suite;
    eprintln!("   Started {name}");
    let mut command = Command::new(program);
    command.current_dir(package).env("CARGO_MANIFEST_DIR", package);
    command.env("RUST_TEST_THREADS", threads.to_string()).envs(environment.iter().copied());
    command.stdin(Stdio::null());
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
    use super::*;

    #[test]
    fn test_programs_are_told_from_others() {
        let message = |kind: &str, test: bool, executable: Option<&str>| {
            serde_json::json!({
                "reason": "compiler-artifact", "manifest_path": "/w/tests/Cargo.toml",
                "target": { "kind": [kind], "name": "envoy" }, "profile": { "test": test }, "executable": executable,
            })
            .to_string()
        };
        let named = |name: &str| {
            let program = PathBuf::from("/t/envoy-1f");
            Some(Suite { name: name.to_owned(), program, package: PathBuf::from("/w/tests") })
        };
        let found = |text: &str| suite(text).map(|(_, suite)| suite);
        assert_eq!(found(&message("test", true, Some("/t/envoy-1f"))), named("tests: envoy"));
        assert_eq!(found(&message("lib", true, Some("/t/envoy-1f"))), named("envoy"));
        assert_eq!(found(&message("bin", false, Some("/t/envoy"))), None, "a program that tests start");
        assert_eq!(found(&message("lib", false, None)), None);
        assert_eq!(found("{\"reason\":\"build-finished\",\"success\":true}"), None);
    }

    #[test]
    fn all_are_run_and_those_that_fail_are_named() {
        let suite = |name: &str| Suite {
            name: name.to_owned(),
            program: PathBuf::from(format!("/bin/{name}")),
            package: PathBuf::from("/"),
        };
        run(vec![suite("true"), suite("true"), suite("true")], 2, 1, &[]).expect("all end well");
        let error = run(vec![suite("true"), suite("false"), suite("none")], 2, 1, &[]).expect_err("two fail");
        let text = error.to_string();
        assert!(text.contains("false") && text.contains("none") && !text.contains("true"), "{text}");
    }
}
