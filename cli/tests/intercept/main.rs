//! Black-box tests of `fleetmesh proxy intercept`: the binary, the kernel's own rules and real connections, in network
//! namespaces of their own. Needs root, be it of a user namespace (`cargo xtask test` sees to that), and bash.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod namespace;
mod refusals;
mod rules;
mod traffic;

use std::process::{Command, Output};

use namespace::Namespace;

/// The uid of the proxy in the scenario.
const PROXY: u32 = 1337;
/// Some uid that is not the proxy's.
const APPLICATION: u32 = 1000;

/// Runs `fleetmesh proxy intercept ARGUMENTS` in `namespace`.
fn intercept(namespace: &Namespace, arguments: &[&str]) -> Output {
    namespace.inside(|| command(arguments).output().unwrap())
}

/// The command with nothing of the caller's environment but its PATH.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleetmesh"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.args(["proxy", "intercept"]).args(arguments);
    command
}

/// The same, which has to succeed; the answer is its standard output.
fn intercept_ok(namespace: &Namespace, arguments: &[&str]) -> String {
    let output = intercept(namespace, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
