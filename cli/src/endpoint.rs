//! The flags that name an App Mesh API, the same for every command that asks one.

use std::path::PathBuf;

use clap::Args;
use fleetmesh_operator::cloud::CloudEndpoint;

/// Which App Mesh API.
#[derive(Args, Clone, Debug, Default)]
pub struct EndpointArgs {
    /// The address of the App Mesh API, for example http://127.0.0.1:9080; without it that of --data-dir, where the command has it, or
    /// the AWS SDK's standard resolution
    #[arg(long, env = "FLEETMESH_APP_MESH_ENDPOINT", value_name = "URL")]
    pub app_mesh_endpoint: Option<String>,

    /// The CA that vouches for that address (PEM), in place of those that this system trusts; read again when it changes
    #[arg(long, env = "FLEETMESH_APP_MESH_CA_FILE", value_name = "FILE", requires = "app_mesh_endpoint")]
    pub app_mesh_ca_file: Option<PathBuf>,

    /// The access key for that address, as `fleetmesh control-plane keys create -o json` prints it, in place of AWS's
    /// credentials; read again when it changes
    #[arg(
        long,
        env = "FLEETMESH_APP_MESH_ACCESS_KEY_FILE",
        value_name = "FILE",
        requires = "app_mesh_endpoint"
    )]
    pub app_mesh_access_key_file: Option<PathBuf>,

    /// The AWS region; without it the AWS SDK's standard resolution. Identities and fleets need one; for a Fleetmesh
    /// control plane it is us-west-2 then
    #[arg(long, env = "FLEETMESH_REGION", value_name = "REGION")]
    pub region: Option<String>,
}

impl EndpointArgs {
    /// What is given; the rest is the environment's.
    pub fn endpoint(&self) -> CloudEndpoint {
        CloudEndpoint {
            url: self.app_mesh_endpoint.clone(),
            ca_file: self.app_mesh_ca_file.clone(),
            access_key_file: self.app_mesh_access_key_file.clone(),
            region: self.region.clone(),
            ..CloudEndpoint::default()
        }
    }
}
