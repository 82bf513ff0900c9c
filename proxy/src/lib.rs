//! What an instance needs to be part of a mesh: the configuration its Envoy starts with ([`bootstrap`]) and the rules
//! that send its traffic through that Envoy ([`intercept`]).
//!
//! Deciding and rendering are pure. Only `intercept`'s backends run programs of the host (`iptables-restore`, `nft`),
//! and only [`run`] writes to the output it is given.

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

pub mod bootstrap;
pub mod intercept;

use bootstrap::BootstrapArgs;
use intercept::InterceptCommand;

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

/// Why a proxy command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The options of `intercept enable` are incomplete or contradict each other; nothing was touched.
    #[error("nothing was changed: {0}")]
    Refused(#[from] fleetmesh_instance::interception::OptionsRefusal),
    /// The rules could not be read or set.
    #[error(transparent)]
    Intercept(#[from] intercept::HostError),
    /// The bootstrap could not be rendered.
    #[error(transparent)]
    Bootstrap(#[from] fleetmesh_instance::bootstrap::RenderError),
    /// A status could not be rendered.
    #[error("cannot render the output: {0}")]
    Render(String),
    /// The output could not be written.
    #[error("cannot write to standard output")]
    Write(#[from] std::io::Error),
}

impl Error {
    /// Whether the caller asked for something that cannot be done, as opposed to something that failed.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// Runs `command` and writes what it answers to `out`.
///
/// The exit code is success, except for `intercept status`: 3 when interception is off, 4 when the rules are not the
/// ones that `enable` makes.
pub fn run(command: ProxyCommand, out: &mut dyn Write) -> Result<ExitCode, Error> {
    match command {
        ProxyCommand::Bootstrap(args) => {
            out.write_all(bootstrap::render(&args)?.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        ProxyCommand::Intercept(command) => intercept::run(&command, out),
    }
}
