//! The flags of `fleetmesh export`.

use std::path::PathBuf;

use clap::Args;

use crate::client::PlaceArgs;

/// Write everything of ours in an API as manifests for another one, for example from standalone to Kubernetes
///
/// All of our objects, their namespaces and the ConfigMaps in them, without what a server sets. Nothing is changed. The App Mesh objects
/// that there are are taken over (adoptionPolicy: Adopt) by an operator with the --cluster-name that is printed.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// A file, if its name ends in .yaml or .yml, else a folder with a file for each kind; standard output by default
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,

    /// Export the Secrets of these namespaces, too, in a file of mode 0600
    #[arg(long, requires = "output")]
    pub secrets: bool,

    /// Export routes whose rollouts are under way: all of their requests go where their specs say once they are applied
    #[arg(long)]
    pub rollouts: bool,

    /// Write over what is there
    #[arg(long, requires = "output")]
    pub force: bool,

    #[command(flatten)]
    pub place: PlaceArgs,
}
