//! The command line, and the crate that implements each subcommand.

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
    ControlPlane(crate::control_plane::ControlPlaneCommand),

    #[cfg(feature = "control-plane")]
    #[command(subcommand)]
    Certs(crate::certs::CertsCommand),

    #[cfg(feature = "control-plane")]
    Provision(Box<crate::provision::ProvisionArgs>),

    #[cfg(feature = "operator")]
    Operator(Box<crate::operator::OperatorArgs>),

    #[cfg(feature = "standalone")]
    Standalone(Box<crate::standalone::StandaloneArgs>),

    #[cfg(feature = "client")]
    Export(Box<crate::export::ExportArgs>),

    #[cfg(feature = "doctor")]
    Doctor(Box<crate::doctor::DoctorArgs>),

    #[cfg(feature = "init")]
    Init(Box<crate::init::InitArgs>),

    // The help is that of the arguments.
    #[cfg(feature = "client")]
    #[command(flatten)]
    Client(crate::client::ClientCommand),

    #[cfg(feature = "operator")]
    Explain(crate::explain::ExplainArgs),

    /// Print every custom resource definition as YAML, for `kubectl apply -f -`.
    #[cfg(feature = "operator")]
    Crds,

    #[cfg(feature = "operator")]
    #[command(subcommand)]
    Iam(crate::iam::IamCommand),

    #[cfg(feature = "operator")]
    #[command(subcommand)]
    Migrate(crate::migrate::MigrateCommand),

    /// What an instance needs: its certificate, its Envoy's bootstrap, the interception of its traffic, and names.
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
    Host(crate::proxy::ProxyCommand),

    Join(Box<crate::proxy::JoinArgs>),

    Dns(Box<crate::proxy::DnsArgs>),
}

impl Command {
    /// Whether its logs are shown, and not only what it answers.
    pub fn is_logged(&self) -> bool {
        match self {
            #[cfg(feature = "client")]
            Self::Client(_) | Self::Export(_) => false,
            #[cfg(feature = "doctor")]
            Self::Doctor(_) => false,
            _ => true,
        }
    }

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
                crate::certs::run(command, now, &mut io::stdout().lock())?;
                Ok(ExitCode::SUCCESS)
            }
            #[cfg(feature = "control-plane")]
            Self::Provision(args) => crate::server::run(|shutdown| crate::provision::run(*args, shutdown)),
            #[cfg(feature = "operator")]
            Self::Operator(args) => crate::server::run(|shutdown| crate::operator::run(*args, shutdown)),
            #[cfg(feature = "standalone")]
            Self::Standalone(args) => crate::server::run(|shutdown| crate::standalone::run(*args, shutdown)),
            #[cfg(feature = "client")]
            Self::Export(args) => crate::export::run(&args),
            #[cfg(feature = "doctor")]
            Self::Doctor(args) => crate::doctor::run(&args),
            #[cfg(feature = "init")]
            Self::Init(args) => {
                crate::init::run(&args, &mut io::stdout().lock())?;
                Ok(ExitCode::SUCCESS)
            }
            #[cfg(feature = "client")]
            Self::Client(command) => crate::client::run(command),
            #[cfg(feature = "operator")]
            Self::Explain(args) => crate::server::run(|_| crate::explain::explain(args)),
            #[cfg(feature = "operator")]
            Self::Crds => print_crds(),
            #[cfg(feature = "operator")]
            Self::Iam(command) => {
                crate::iam::iam(command, &mut io::stdout().lock(), &mut io::stderr().lock())?;
                Ok(ExitCode::SUCCESS)
            }
            #[cfg(feature = "operator")]
            Self::Migrate(command) => crate::server::run(|_| crate::migrate::run(command)),
            #[cfg(feature = "proxy")]
            Self::Proxy(ProxyCommands::Host(command)) => crate::proxy::run(command, &mut io::stdout().lock()),
            #[cfg(feature = "proxy")]
            Self::Proxy(ProxyCommands::Join(args)) => {
                crate::server::run(|shutdown| crate::proxy::join(*args, shutdown))
            }
            #[cfg(feature = "proxy")]
            Self::Proxy(ProxyCommands::Dns(args)) => {
                crate::server::run(|shutdown| crate::proxy::dns(*args, shutdown))
            }
            Self::Completions { shell } => print_completions(shell),
        }
    }
}

#[cfg(feature = "control-plane")]
fn control_plane(command: crate::control_plane::ControlPlaneCommand) -> anyhow::Result<ExitCode> {
    use crate::control_plane::{ControlPlaneCommand, serve};
    match command {
        ControlPlaneCommand::Serve(args) => crate::server::run(|shutdown| serve(*args, shutdown)),
        ControlPlaneCommand::Keys(command) => {
            crate::keys::run(command, std::time::SystemTime::now(), &mut io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        ControlPlaneCommand::Share(args) => {
            crate::control_plane::share(&args, &mut io::stdout().lock())?;
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
