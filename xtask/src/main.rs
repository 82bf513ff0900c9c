//! Developer commands: `cargo xtask setup | demo | test | crds | bench`.
//!
//! Compiles quickly, because it is the first thing a newcomer builds: whatever needs Kubernetes, AWS or gRPC
//! libraries runs as a child process.

mod setup;
mod step;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Developer commands of Fleetmesh.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version)]
enum Command {
    /// Install what tests and the demo need into the target directory; the other commands do it by themselves.
    Setup,
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Setup => setup::run().map(|()| ExitCode::SUCCESS),
    }
}
