//! The command line, and which crate answers each subcommand.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::log::LogArgs;

/// A declarative service mesh for EC2 fleets.
#[derive(Debug, Parser)]
#[command(name = "fleetmesh", version, after_help = EXIT_STATUS)]
pub struct Cli {
    #[command(flatten)]
    pub log: LogArgs,

    #[command(subcommand)]
    pub command: Command,
}

const EXIT_STATUS: &str = "Exit status: 0 success, 1 failure, 2 wrong usage; `canary` and `proxy intercept status` have two more.\n\
                           Every option with [env: NAME] can be given by that environment variable instead.";

#[derive(Debug, Subcommand)]
pub enum Command {
    // The help is that of the arguments.
    #[cfg(feature = "canary")]
    #[command(subcommand)]
    Canary(fleetmesh_kubectl::CanaryCommand),

    #[cfg(feature = "control-plane")]
    ControlPlane(fleetmesh_control_plane::ControlPlaneCommand),

    #[cfg(feature = "control-plane")]
    #[command(subcommand)]
    Certs(fleetmesh_control_plane::certs::command::CertsCommand),

    #[cfg(feature = "control-plane")]
    Provision(Box<fleetmesh_provision::ProvisionArgs>),

    #[cfg(feature = "operator")]
    Operator(Box<fleetmesh_operator::OperatorArgs>),

    /// Print every custom resource definition as YAML, for `kubectl apply -f -`.
    #[cfg(feature = "operator")]
    Crds,

    #[cfg(feature = "operator")]
    #[command(subcommand)]
    Iam(fleetmesh_operator::IamCommand),

    #[cfg(feature = "operator")]
    #[command(subcommand)]
    Migrate(fleetmesh_operator::MigrateCommand),

    /// What an instance needs: its certificate, its Envoy's bootstrap, and the interception of its traffic.
    #[cfg(feature = "proxy")]
    #[command(subcommand)]
    Proxy(ProxyCommands),

    /// Print a script that completes this command in your shell.
    ///
    /// For bash: fleetmesh completions bash > /etc/bash_completion.d/fleetmesh
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// What an instance needs.
#[cfg(feature = "proxy")]
#[derive(Debug, Subcommand)]
pub enum ProxyCommands {
    #[command(flatten)]
    Host(fleetmesh_proxy::ProxyCommand),

    Join(Box<fleetmesh_join::JoinArgs>),
}

impl Command {
    /// Runs the subcommand to its end.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            #[cfg(feature = "canary")]
            Self::Canary(command) => {
                fleetmesh_kubectl::run_on_stdout(command)?;
                Ok(ExitCode::SUCCESS)
            }
            #[cfg(feature = "control-plane")]
            Self::ControlPlane(command) => control_plane(command),
            #[cfg(feature = "control-plane")]
            Self::Certs(command) => {
                let now = std::time::SystemTime::now();
                fleetmesh_control_plane::certs::command::run(command, now, &mut io::stdout().lock())?;
                Ok(ExitCode::SUCCESS)
            }
            #[cfg(feature = "control-plane")]
            Self::Provision(args) => crate::server::run(|shutdown| fleetmesh_provision::run(*args, shutdown)),
            #[cfg(feature = "operator")]
            Self::Operator(args) => crate::server::run(|shutdown| fleetmesh_operator::run(*args, shutdown)),
            #[cfg(feature = "operator")]
            Self::Crds => print_crds(),
            #[cfg(feature = "operator")]
            Self::Iam(command) => {
                fleetmesh_operator::iam(command, &mut io::stdout().lock(), &mut io::stderr().lock())?;
                Ok(ExitCode::SUCCESS)
            }
            #[cfg(feature = "operator")]
            Self::Migrate(command) => crate::server::run(|_| fleetmesh_operator::migrate(command)),
            #[cfg(feature = "proxy")]
            Self::Proxy(ProxyCommands::Host(command)) => {
                Ok(fleetmesh_proxy::run(command, &mut io::stdout().lock())?)
            }
            #[cfg(feature = "proxy")]
            Self::Proxy(ProxyCommands::Join(args)) => {
                crate::server::run(|shutdown| fleetmesh_join::run(*args, shutdown))
            }
            Self::Completions { shell } => print_completions(shell),
        }
    }
}

#[cfg(feature = "control-plane")]
fn control_plane(command: fleetmesh_control_plane::ControlPlaneCommand) -> anyhow::Result<ExitCode> {
    use fleetmesh_control_plane::{ControlPlaneCommand, keys, run};
    match command {
        ControlPlaneCommand::Serve(args) => {
            #[cfg(feature = "operator")]
            let instances = crate::instances::of(&args);
            #[cfg(not(feature = "operator"))]
            let instances = None;
            crate::server::run(|shutdown| run(*args, instances, shutdown))
        }
        ControlPlaneCommand::Keys(command) => {
            let now = std::time::SystemTime::now();
            keys::command::run(command, now, &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(feature = "operator")]
fn print_crds() -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for definition in fleetmesh_crds::all() {
        write!(out, "---\n{}", fleetmesh_crds::to_yaml(&definition)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_completions(shell: Shell) -> anyhow::Result<ExitCode> {
    // Into memory first: clap_complete panics when its output is closed, for example by `head`.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fleetmesh", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
