//! The `fleetmesh` binary: what a process needs and no library has. Command line, output, logs, signals, exit status.

#[cfg(feature = "control-plane")]
mod certs;
#[cfg(feature = "client")]
mod client;
mod command;
#[cfg(feature = "control-plane")]
mod control_plane;
#[cfg(feature = "doctor")]
mod doctor;
#[cfg(any(feature = "control-plane", feature = "operator"))]
mod duration;
#[cfg(feature = "operator")]
mod endpoint;
#[cfg(feature = "operator")]
mod explain;
#[cfg(feature = "client")]
mod export;
mod failure;
#[cfg(feature = "operator")]
mod iam;
#[cfg(feature = "init")]
mod init;
#[cfg(feature = "control-plane")]
mod keys;
mod log;
#[cfg(feature = "init")]
mod manifests;
#[cfg(feature = "operator")]
mod migrate;
#[cfg(feature = "operator")]
mod operator;
#[cfg(feature = "control-plane")]
mod provision;
#[cfg(feature = "proxy")]
mod proxy;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "standalone")]
mod standalone;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = command::Cli::parse();
    // kubectl's words are all that its commands say.
    if cli.command.is_logged() {
        log::start(&cli.log);
    }
    match cli.command.run() {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
