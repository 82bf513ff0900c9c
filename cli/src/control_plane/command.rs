//! `fleetmesh control-plane`: the control plane itself, or a command about one.

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use super::args::ControlPlaneArgs;
use super::share::ShareArgs;
use crate::keys::KeysCommand;

/// What was asked for.
#[derive(Clone, Debug)]
pub enum ControlPlaneCommand {
    /// Run the control plane.
    Serve(Box<ControlPlaneArgs>),
    /// Something about its access keys.
    Keys(KeysCommand),
    /// Which accounts share a mesh.
    Share(ShareArgs),
}

/// The commands beside serving.
#[derive(Clone, Debug, Subcommand)]
enum Administration {
    // The help is that of the commands.
    #[command(subcommand)]
    Keys(KeysCommand),
    Share(ShareArgs),
}

impl FromArgMatches for ControlPlaneCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if matches.subcommand().is_none() {
            return ControlPlaneArgs::from_arg_matches(matches).map(|args| Self::Serve(Box::new(args)));
        }
        Ok(match Administration::from_arg_matches(matches)? {
            Administration::Keys(command) => Self::Keys(command),
            Administration::Share(args) => Self::Share(args),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The options of serving are those of the command itself; a subcommand has its own and needs none of them.
impl Args for ControlPlaneCommand {
    fn augment_args(command: Command) -> Command {
        let command = Administration::augment_subcommands(command).subcommand_required(false);
        ControlPlaneArgs::augment_args(command).arg_required_else_help(false).subcommand_negates_reqs(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
