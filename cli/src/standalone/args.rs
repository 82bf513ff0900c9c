//! The flags of `fleetmesh standalone`, and the configurations that they give.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use fleetmesh_control_plane::ControlPlaneConfig;
use fleetmesh_control_plane::join::Instances;
use fleetmesh_control_plane::listen::Listen;
use fleetmesh_operator::OperatorConfig;
use fleetmesh_operator::cloud::CloudEndpoint;
use fleetmesh_standalone::StandaloneConfig;
use tokio::runtime::Handle;

use crate::control_plane::{IdentityArgs, JoiningArgs};
use crate::iam::IamArgs;
use crate::operator::{FleetProxyArgs, JoinError};

/// The folder of the control plane in the data directory.
const CONTROL_PLANE: &str = "control-plane";

/// Run everything in one process on this host, without a cluster: a Kubernetes-style API, the operator and the control plane.
///
/// It is for one machine; Kubernetes runs the same with the chart. What kubectl needs is in DIR/kubeconfig:
/// kubectl --kubeconfig DIR/kubeconfig apply -f samples/getting-started
#[derive(Args, Clone, Debug)]
pub struct StandaloneArgs {
    /// The directory that holds everything stored, and the kubeconfig; made if need be. One process at a time may use it
    #[arg(long, env = "FLEETMESH_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// A directory of manifests (YAML or JSON), for example a Git checkout, that is applied now and when it changes
    ///
    /// What was made for it and is in it no more is deleted; what others made is not. While a file cannot be read or is no
    /// YAML, nothing is deleted.
    #[arg(long, env = "FLEETMESH_MANIFESTS", value_name = "DIR")]
    pub manifests: Option<PathBuf>,

    /// Where the Kubernetes-style API is served, over TLS; port 0 takes a free one
    #[arg(long, env = "FLEETMESH_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:6443")]
    pub listen: SocketAddr,

    /// Where the App Mesh API is served: HOST:PORT or unix:PATH; may be repeated
    #[arg(
        long,
        env = "FLEETMESH_APP_MESH_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:9080"
    )]
    pub app_mesh_listen: Vec<Listen>,

    /// Where configuration is served to proxies: HOST:PORT or unix:PATH; may be repeated
    #[arg(
        long,
        env = "FLEETMESH_ADS_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = "127.0.0.1:18000"
    )]
    pub ads_listen: Vec<Listen>,

    /// A name that the API answers to beside those of loopback; may be repeated
    #[arg(long = "allowed-host", env = "FLEETMESH_ALLOWED_HOST", value_name = "NAME", value_delimiter = ',')]
    pub allowed_hosts: Vec<String>,

    /// What every ARN has in common. The operator works in the same region
    #[command(flatten)]
    pub identity: IdentityArgs,

    #[command(flatten, next_help_heading = "Proxies of other hosts")]
    #[allow(missing_docs, reason = "clap would print it as help")]
    pub joining: JoiningArgs,

    #[command(flatten, next_help_heading = "Proxies of fleets")]
    #[allow(missing_docs, reason = "clap would print it as help")]
    pub proxies: FleetProxyArgs,

    #[command(flatten, next_help_heading = "IAM identities")]
    #[allow(missing_docs, reason = "clap would print it as help")]
    pub iam: IamArgs,
}

impl StandaloneArgs {
    /// The API's.
    pub fn api(&self) -> StandaloneConfig {
        StandaloneConfig {
            data_dir: self.data_dir.clone(),
            listen: self.listen,
            allowed_hosts: self.allowed_hosts.clone(),
        }
    }

    /// The control plane's, to be run by the runtime of `kms`; `instances` ask EC2.
    pub fn control_plane(&self, instances: Option<Arc<dyn Instances>>, kms: &Handle) -> ControlPlaneConfig {
        ControlPlaneConfig {
            listen: self.app_mesh_listen.clone(),
            ads_listen: self.ads_listen.clone(),
            allowed_hosts: self.allowed_hosts.clone(),
            identity: self.identity.identity(),
            tls: self.joining.tls_files(),
            joining: self.joining.config(instances, kms),
            denied_instances: self.joining.denied_instances.clone(),
            ..ControlPlaneConfig::new(self.data_dir.join(CONTROL_PLANE))
        }
    }

    /// The operator's. Nobody else works on what is in the directory, so it asks for no lease. Reads the file of
    /// `--proxy-join-ca-file`.
    ///
    /// # Errors
    /// Instances of fleets could not join as these flags say.
    pub fn operator(&self) -> Result<OperatorConfig, JoinError> {
        Ok(OperatorConfig {
            region: Some(self.identity.region.clone()),
            proxy_control_plane: self.proxies.proxy_control_plane.clone(),
            join: self.proxies.options()?,
            iam: self.iam.rules(),
            ..OperatorConfig::default()
        })
    }

    /// The operator's way to the App Mesh API, at `url`.
    pub fn app_mesh(&self, url: String) -> CloudEndpoint {
        CloudEndpoint {
            url: Some(url),
            region: Some(self.identity.region.clone()),
            ..CloudEndpoint::default()
        }
    }
}
