//! `fleetmesh proxy`: what an instance needs, its certificate, its Envoy's bootstrap, the interception of its traffic, and names.

mod bootstrap;
mod dns;
mod intercept;
mod join;
mod list;
mod report;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use fleetmesh_instance::interception::OptionsRefusal;

use bootstrap::BootstrapArgs;
pub use dns::{DnsArgs, run as dns};
use intercept::InterceptCommand;
pub use join::{JoinArgs, run as join};

/// What failed when an answer could not be written.
const WRITE: &str = "cannot write to standard output";

/// What an instance needs to be part of a mesh.
#[derive(Clone, Debug, Subcommand)]
pub enum ProxyCommand {
    /// Print the configuration that a stock Envoy starts with.
    ///
    /// Save it and start Envoy with it: `fleetmesh proxy bootstrap … > envoy.yaml; envoy -c envoy.yaml`. Everything
    /// else (listeners, clusters, routes) comes from the control plane and follows its changes without a restart.
    Bootstrap(BootstrapArgs),
    /// Send the traffic of this machine's application through its Envoy, or stop doing so.
    ///
    /// Run as root. The rules live in the kernel until `disable` or a reboot, and belong to the network namespace of
    /// the caller.
    #[command(subcommand)]
    Intercept(InterceptCommand),
}

/// The options of `intercept enable` are incomplete or contradict each other: wrong usage.
#[derive(Debug, thiserror::Error)]
#[error("nothing was changed: {0}")]
pub struct OptionsRefused(pub OptionsRefusal);

/// Runs `command` and writes what it answers to `out`; see [`intercept::run`] for the exit code.
///
/// # Errors
/// It failed, or was [`OptionsRefused`].
pub fn run(command: ProxyCommand, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        ProxyCommand::Bootstrap(args) => {
            out.write_all(bootstrap::render(&args)?.as_bytes()).context(WRITE)?;
            Ok(ExitCode::SUCCESS)
        }
        ProxyCommand::Intercept(command) => intercept::run(&command, out),
    }
}
