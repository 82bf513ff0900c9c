//! The flags of `fleetmesh doctor`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use fleetmesh_operator::cloud::CloudEndpoint;

use crate::client::PlaceArgs;

/// Look at what this host, its Kubernetes API and its App Mesh endpoint are like, and say what is wrong and what mends it
///
/// It changes nothing, and prints no secret. Exit status: 0 nothing failed, 1 something did.
#[derive(Args, Clone, Debug)]
pub struct DoctorArgs {
    /// The form of the answer
    #[arg(short, long, value_enum, default_value_t = DoctorForm::Table)]
    pub output: DoctorForm,

    /// The address of the App Mesh API; without it AWS_ENDPOINT_URL_APP_MESH, AWS_ENDPOINT_URL, the profile, or that of --data-dir
    #[arg(long, env = "FLEETMESH_APP_MESH_ENDPOINT", value_name = "URL")]
    pub app_mesh_endpoint: Option<String>,

    /// The CA that vouches for that address (PEM)
    #[arg(long, env = "FLEETMESH_APP_MESH_CA_FILE", value_name = "FILE", requires = "app_mesh_endpoint")]
    pub app_mesh_ca_file: Option<PathBuf>,

    /// The access key for that address
    #[arg(
        long,
        env = "FLEETMESH_APP_MESH_ACCESS_KEY_FILE",
        value_name = "FILE",
        requires = "app_mesh_endpoint"
    )]
    pub app_mesh_access_key_file: Option<PathBuf>,

    /// The AWS region
    #[arg(long, env = "FLEETMESH_REGION", value_name = "REGION")]
    pub region: Option<String>,

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

impl DoctorArgs {
    /// The endpoint at `url`, or that of the environment.
    pub fn endpoint(&self, url: Option<String>) -> CloudEndpoint {
        CloudEndpoint {
            url,
            ca_file: self.app_mesh_ca_file.clone(),
            access_key_file: self.app_mesh_access_key_file.clone(),
            region: self.region.clone(),
            ..CloudEndpoint::default()
        }
    }
}
