//! The `fleetmesh` binary: composes the crates' subcommands. No logic of its own beyond what a process needs: command
//! line, logs, signals, exit status.

mod command;
mod failure;
#[cfg(all(feature = "control-plane", feature = "operator"))]
mod instances;
mod log;
#[cfg(feature = "server")]
mod server;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = command::Cli::parse();
    log::start(&cli.log);
    match cli.command.run() {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
