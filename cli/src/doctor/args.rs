//! The flags of `fleetmesh doctor`.

use clap::{Args, ValueEnum};

use crate::client::PlaceArgs;
use crate::endpoint::EndpointArgs;

/// Look at what this host, its Kubernetes API and its App Mesh endpoint are like, and say what is wrong and what mends it
///
/// It changes nothing, and prints no secret. Exit status: 0 nothing failed, 1 something did.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = DoctorForm::Table)]
    pub output: DoctorForm,

    // Without an address: AWS_ENDPOINT_URL_APP_MESH, AWS_ENDPOINT_URL, the profile, or that of --data-dir.
    #[command(flatten)]
    pub app_mesh: EndpointArgs,

    #[command(flatten)]
    pub place: PlaceArgs,
}

/// The form of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DoctorForm {
    /// For people
    Table,
    /// JSON
    Json,
}
