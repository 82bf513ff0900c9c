//! `fleetmesh migrate`: prints what to apply before an upgrade, so that a later version behaves as an earlier one did.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use fleetmesh_operator::migrate::{fleet_classes_of_cluster, fleet_classes_of_files};

/// Print what a later version needs.
#[derive(Clone, Debug, Subcommand)]
pub enum MigrateCommand {
    /// Print the FleetClasses under which the fleets that there are go on as they are, as YAML for an admin to review and
    /// apply. It applies nothing.
    FleetClasses(FleetClassesArgs),
}

/// Whose fleets.
#[derive(Args, Clone, Debug)]
pub struct FleetClassesArgs {
    /// Files with VirtualNodes as YAML or JSON, or - for standard input; those of the cluster when absent
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// The kubeconfig file; without it KUBECONFIG or ~/.kube/config
    #[arg(long, env = "FLEETMESH_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context in the kubeconfig file; its current one by default
    #[arg(long, env = "FLEETMESH_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
}

/// Runs a command, which prints to standard output.
///
/// # Errors
/// What it is to read cannot be read, or standard output cannot be written.
pub async fn run(command: MigrateCommand) -> anyhow::Result<()> {
    let MigrateCommand::FleetClasses(FleetClassesArgs { files, kubeconfig, context }) = command;
    let text = match files.as_slice() {
        [] => fleet_classes_of_cluster(kubeconfig.as_deref(), context.as_deref()).await?,
        files => fleet_classes_of_files(files)?,
    };
    io::stdout().write_all(text.as_bytes()).context("cannot print")
}
