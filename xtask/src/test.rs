//! `cargo xtask test`: every test of the workspace, black-box tests included.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use fleetmesh_testbed::userns;

use crate::{cargo, setup};

/// Black-box tests wait most of the time, so that two for each core run at once.
const THREADS_PER_CORE: usize = 2;
/// They start whole clusters, so that more at once need more memory than they save time.
const MAX_THREADS: usize = 4;

/// What `cargo xtask test` takes.
#[derive(clap::Args)]
pub struct TestArgs {
    /// Leave out, and say so, what needs network namespaces: for machines that allow them to nobody but root.
    #[arg(long)]
    without_namespaces: bool,
    /// Arguments of `cargo test`, by default --workspace --no-fail-fast.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    cargo: Vec<String>,
}

/// Sets up, builds and runs the tests; without root, inside a user namespace.
///
/// # Errors
/// Something cannot be set up or built, or a test fails.
pub fn run(arguments: &TestArgs) -> Result<ExitCode> {
    let TestArgs { without_namespaces, cargo: chosen } = arguments;
    let chosen: Vec<&str> = if chosen.is_empty() {
        vec!["--workspace", "--no-fail-fast"]
    } else {
        chosen.iter().map(String::as_str).collect()
    };
    if !userns::entered() {
        setup::run()?;
        // Also builds the programs that black-box tests start: they belong to packages with tests of their own.
        let build: Vec<&str> = chosen.iter().copied().take_while(|argument| *argument != "--").collect();
        cargo::run(&[&["test", "--no-run"], &build[..]].concat())?;
        if !(*without_namespaces || userns::is_root()) {
            userns::can_become_root().context(
                "the tests make network namespaces; --without-namespaces leaves out those that do",
            )?;
            eprintln!("not root: the tests run as root of a user namespace");
            return Err(userns::become_root());
        }
    }
    let mut command = cargo::command(&[&["test"], &chosen[..]].concat())?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    command.env("RUST_TEST_THREADS", (cores * THREADS_PER_CORE).min(MAX_THREADS).to_string());
    if *without_namespaces {
        command.env(userns::WITHOUT_NAMESPACES, "1");
        eprintln!("SKIPPED by --without-namespaces: every test that makes network namespaces");
    }
    let outcome = cargo::status(command);
    if *without_namespaces {
        eprintln!("SKIPPED by --without-namespaces: every test that makes network namespaces");
    }
    outcome.map(|()| ExitCode::SUCCESS)
}
