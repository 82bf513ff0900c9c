//! `fleetmesh proxy intercept`: its flags and its actions.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use fleetmesh_api::ports;
use fleetmesh_instance::interception::{Interception, Network, Options, OptionsRefusal};
use fleetmesh_proxy::intercept::{self, Choice, Enabled};

use super::list::{self, List};
use super::report;

/// Send the traffic of this machine's application through its Envoy, or stop doing so.
#[derive(Clone, Debug, Subcommand)]
pub enum InterceptCommand {
    /// Send the application's traffic through Envoy.
    ///
    /// All rules appear at once. Running it again, also with other options, leaves exactly the rules of the last run.
    /// Options that are incomplete or contradict each other are refused before anything is touched.
    Enable(Box<EnableArgs>),
    /// Take away all that `enable` made, and nothing else. Also succeeds when there is nothing to take away.
    Disable(BackendArgs),
    /// Show whether traffic is intercepted, and with which options.
    ///
    /// Exit status: 0 when it is, 3 when it is not, 4 when the rules in the kernel are not the ones that `enable`
    /// makes, 1 when they cannot be read.
    Status(InterceptStatusArgs),
}

/// Options of `fleetmesh proxy intercept enable`.
#[derive(Clone, Debug, Args)]
pub struct EnableArgs {
    /// The user that Envoy runs as: outgoing connections of this user are left alone.
    ///
    /// Several, separated by commas, are possible. Empty when only --ignore-gid distinguishes Envoy from the application.
    #[arg(long, env = "FLEETMESH_IGNORE_UID", value_name = "UID", default_value = "1337", value_parser = list::ids)]
    pub ignore_uid: List<u32>,

    /// The group that Envoy runs as: outgoing connections of this group are left alone.
    #[arg(long, env = "FLEETMESH_IGNORE_GID", value_name = "GID", default_value = "", hide_default_value = true,
          value_parser = list::ids)]
    pub ignore_gid: List<u32>,

    /// The ports on which the application listens, separated by commas.
    ///
    /// Connections that arrive there from other machines go through Envoy. Empty: incoming connections are left alone.
    #[arg(long, env = "FLEETMESH_APP_PORTS", value_name = "PORTS", default_value = "8000", value_parser = list::ports)]
    pub app_ports: List<u16>,

    /// The port on which Envoy takes the application's outgoing connections.
    #[arg(long, env = "FLEETMESH_EGRESS_PORT", value_name = "PORT", default_value_t = list::one(ports::EGRESS),
          value_parser = list::optional_port)]
    pub egress_port: List<u16>,

    /// The port on which Envoy takes connections for the application.
    #[arg(long, env = "FLEETMESH_INGRESS_PORT", value_name = "PORT", default_value_t = list::one(ports::INGRESS),
          value_parser = list::optional_port)]
    pub ingress_port: List<u16>,

    /// Destinations left alone: addresses or ranges such as 10.0.0.0/8, separated by commas.
    ///
    /// The default is where EC2 and ECS serve an instance's credentials. IPv6 ones matter only with --ipv6.
    #[arg(long, env = "FLEETMESH_IGNORED_IPS", value_name = "ADDRESSES",
          default_value = "169.254.169.254,169.254.170.2", value_parser = list::networks)]
    pub ignored_ips: List<Network>,

    /// Destination ports left alone, separated by commas; 22 (SSH) always is.
    #[arg(long, env = "FLEETMESH_IGNORED_EGRESS_PORTS", value_name = "PORTS", default_value = "22",
          value_parser = list::ports)]
    pub ignored_egress_ports: List<u16>,

    /// Intercept IPv6 as well.
    #[arg(long, env = "FLEETMESH_IPV6", value_parser = clap::builder::BoolishValueParser::new())]
    pub ipv6: bool,

    /// Let nobody but --guard-uids reach EC2's instance metadata service, where the credentials of the instance's role are.
    ///
    /// 169.254.169.254 and fd00:ec2::254, whatever is intercepted.
    #[arg(long, env = "FLEETMESH_GUARD_METADATA", value_parser = clap::builder::BoolishValueParser::new())]
    pub guard_metadata: bool,

    /// TCP ports of this machine that nobody but --guard-uids reaches, separated by commas: 9901 is Envoy's admin interface.
    #[arg(long, env = "FLEETMESH_GUARD_PORTS", value_name = "PORTS", default_value = "", hide_default_value = true,
          value_parser = list::ports)]
    pub guard_ports: List<u16>,

    /// The users who reach what is guarded, separated by commas: root, and whoever Envoy and `fleetmesh proxy join` run as.
    #[arg(long, env = "FLEETMESH_GUARD_UIDS", value_name = "UIDS", default_value = "0,1337", value_parser = list::ids)]
    pub guard_uids: List<u32>,

    /// Groups that do not reach what is guarded, not even as root: that of an application's container, for example.
    #[arg(long, env = "FLEETMESH_GUARD_DENIED_GIDS", value_name = "GIDS", default_value = "", hide_default_value = true,
          value_parser = list::ids)]
    pub guard_denied_gids: List<u32>,

    #[allow(missing_docs, reason = "a doc comment here would replace the command's help")]
    #[command(flatten)]
    pub backend: BackendArgs,
}

impl EnableArgs {
    /// The options checked together.
    pub fn interception(&self) -> Result<Interception, OptionsRefusal> {
        Interception::new(Options {
            ignored_uids: self.ignore_uid.0.clone(),
            ignored_gids: self.ignore_gid.0.clone(),
            app_ports: self.app_ports.0.clone(),
            ingress_port: self.ingress_port.0.first().copied(),
            egress_port: self.egress_port.0.first().copied(),
            ignored_networks: self.ignored_ips.0.clone(),
            ignored_egress_ports: self.ignored_egress_ports.0.clone(),
            ipv6: self.ipv6,
            guard_metadata: self.guard_metadata,
            guard_ports: self.guard_ports.0.clone(),
            guard_uids: self.guard_uids.0.clone(),
            guard_denied_gids: self.guard_denied_gids.0.clone(),
        })
    }
}

/// Options of `fleetmesh proxy intercept status`.
#[derive(Clone, Debug, Args)]
pub struct InterceptStatusArgs {
    /// The format to print.
    #[arg(short, long, env = "FLEETMESH_INTERCEPT_OUTPUT", value_enum, default_value_t = StatusFormat::Text)]
    pub output: StatusFormat,

    #[allow(missing_docs, reason = "a doc comment here would replace the command's help")]
    #[command(flatten)]
    pub backend: BackendArgs,
}

/// Which of the kernel's two interfaces is used.
#[derive(Clone, Debug, Args)]
pub struct BackendArgs {
    /// What sets the rules.
    #[arg(long, env = "FLEETMESH_INTERCEPT_BACKEND", value_enum, default_value_t = ChoiceArg::Auto)]
    pub backend: ChoiceArg,
}

/// A choice of backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChoiceArg {
    /// The one that is in use already, else iptables, else nft, as far as the host has them
    Auto,
    /// iptables-restore, and ip6tables-restore with --ipv6
    Iptables,
    /// nft
    Nft,
}

impl From<ChoiceArg> for Choice {
    fn from(choice: ChoiceArg) -> Self {
        match choice {
            ChoiceArg::Auto => Self::Auto,
            ChoiceArg::Iptables => Self::Iptables,
            ChoiceArg::Nft => Self::Nft,
        }
    }
}

/// A format for people or programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// Lines for people
    Text,
    /// JSON
    Json,
}

/// Runs `command` and writes what it answers to `out`.
///
/// The exit code is success, except for `intercept status`: 3 when interception is off, 4 when the rules are not the ones that
/// `enable` makes.
///
/// # Errors
/// The options contradict each other, or the rules cannot be read or set.
pub fn run(command: &InterceptCommand, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        InterceptCommand::Enable(args) => {
            let wanted = args.interception().map_err(super::OptionsRefused)?;
            let Enabled { backend, change } = intercept::enable(args.backend.backend.into(), &wanted)?;
            report::enabled(backend, change, &wanted, out).context(super::WRITE)?;
            Ok(ExitCode::SUCCESS)
        }
        InterceptCommand::Disable(args) => {
            let change = intercept::disable(args.backend.into())?;
            report::disabled(change, out).context(super::WRITE)?;
            Ok(ExitCode::SUCCESS)
        }
        InterceptCommand::Status(args) => {
            let found = intercept::status(args.backend.backend.into())?;
            report::status(&found, args.output, out)
        }
    }
}
