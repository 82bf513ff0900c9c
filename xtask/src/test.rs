//! `cargo xtask test`: every test of the workspace, black-box tests included; or those that the arguments choose.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use fleetmesh_tools::{long, tools, userns};

use crate::{cargo, setup, suites};

/// Suites that run at once: one alone leaves half of two cores idle; three take as long as two, each of them longer.
const SUITES: usize = 2;
/// Tests that run at once in each of them. Black-box tests wait most of the time, but they start whole clusters: more
/// at once need more memory than they save time.
const THREADS: usize = 3;

/// What is said before tests that are not all run.
const SKIPS: &str = "SKIPPED by --without-namespaces: every test that makes network namespaces";

/// What `cargo xtask test` takes.
#[derive(clap::Args)]
pub struct TestArgs {
    /// Leave out, and say so, what needs network namespaces: for machines that allow them to nobody but root.
    #[arg(long)]
    without_namespaces: bool,
    /// Run the long form of each test that has one: every fault at every write, drawn inputs by the hundred thousand.
    /// Takes several times as long as the default.
    #[arg(long)]
    long: bool,
    /// Arguments of `cargo test`, which then runs the tests. By default every test of the workspace is run, two suites
    /// at a time.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

/// Sets up, builds and runs the tests; without root, inside a user namespace.
///
/// # Errors
/// Something cannot be set up or built, or a test fails.
pub fn run(arguments: &TestArgs) -> Result<ExitCode> {
    let TestArgs { without_namespaces, long, cargo: chosen } = arguments;
    if !userns::entered() {
        // Also builds the programs that black-box tests start: they belong to packages with tests of their own.
        setup::beside(setup::Tools::All, || build(chosen))?;
        if !(*without_namespaces || userns::is_root()) {
            userns::can_become_root().context(
                "the tests make network namespaces; --without-namespaces leaves out those that do",
            )?;
            eprintln!("not root: the tests run as root of a user namespace");
            return Err(userns::become_root());
        }
    }
    let mut environment = Vec::new();
    let skipped = tools::target_dir()?.join("skipped-tests.txt");
    let shown = skipped.display().to_string();
    if *without_namespaces {
        std::fs::write(&skipped, "").with_context(|| format!("cannot write {shown}"))?;
        environment.extend([(userns::WITHOUT_NAMESPACES, "1"), (userns::SKIPPED, &shown)]);
    }
    if *long {
        environment.push((long::VARIABLE, "1"));
    }
    if *without_namespaces {
        eprintln!("{SKIPS}");
    }
    let outcome = if chosen.is_empty() { all(&environment) } else { some(chosen, &environment) };
    if *without_namespaces {
        let names = std::fs::read_to_string(&skipped).with_context(|| format!("cannot read {shown}"))?;
        eprintln!("{}", counted(&names));
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

/// How many tests were left out, and which: `names` has one a line. They are among those that count as passed.
fn counted(names: &str) -> String {
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    let count = names.len();
    format!(
        "SKIPPED by --without-namespaces, and counted as passed above: {count} tests\n  {}",
        names.join("\n  ")
    )
}

/// Builds what [`run`] runs.
fn build(chosen: &[String]) -> Result<()> {
    if chosen.is_empty() {
        return suites::build().map(drop);
    }
    let build: Vec<&str> =
        chosen.iter().map(String::as_str).take_while(|argument| *argument != "--").collect();
    cargo::run(&[&["test", "--no-run"], &build[..]].concat())
}

/// Runs every test of the workspace, the examples in its docs included.
fn all(environment: &[(&str, &str)]) -> Result<()> {
    let suites = suites::run(suites::build()?, SUITES, THREADS, environment);
    let examples = cargo::run(&["test", "--workspace", "--doc"]);
    suites.and(examples)
}

/// Runs what cargo makes of these arguments.
fn some(chosen: &[String], environment: &[(&str, &str)]) -> Result<()> {
    let chosen: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let mut command = cargo::command(&[&["test"], &chosen[..]].concat())?;
    command.env("RUST_TEST_THREADS", THREADS.to_string()).envs(environment.iter().copied());
    cargo::status(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_counted_and_named() {
        let text = counted("routes::b\nroutes::a\n");
        assert!(text.contains(": 2 tests\n  routes::a\n  routes::b"), "{text}");
        assert!(counted("").contains(": 0 tests"));
    }
}
