//! The configuration of a control plane, from the command line or from a program that embeds it. Pure data.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::quota::Quota;
use fleetmesh_mesh::store::TOKENS_PER_MESH;

use crate::join::{CaFiles, IdentityCertificates, InstanceIdentity, Instances};
use crate::keys::SealSource;
use crate::listen::{Bounds, Listen};
use crate::tls::TlsFiles;

/// The configuration of a control plane. [`Self::new`] is what `fleetmesh control-plane` does without further flags.
#[derive(Clone, Debug)]
pub struct ControlPlaneConfig {
    /// The directory that holds everything stored; made if need be. One control plane at a time may use it.
    pub data_dir: PathBuf,
    /// What ARNs have in common, and whose resources there are.
    pub identity: Identity,
    /// The file that says which meshes are shared with which accounts; none is when `None`.
    pub mesh_shares: Option<PathBuf>,
    /// Where the App Mesh API is served.
    pub listen: Vec<Listen>,
    /// Where configuration is served to proxies.
    pub ads_listen: Vec<Listen>,
    /// Hosts that the API answers to on loopback beside its own names.
    pub allowed_hosts: Vec<String>,
    /// Names by which clients call the API, for which their signatures count.
    pub api_hosts: Vec<String>,
    /// What callers of other hosts may take before they have proved who they are.
    pub bounds: Bounds,
    /// What listeners that other hosts reach are served with.
    pub tls: Option<TlsFiles>,
    /// How instances join; `None` when none does.
    pub joining: Option<JoinConfig>,
    /// The file of instances that may neither join nor stream any more.
    pub denied_instances: Option<PathBuf>,
    /// The file of access keys beside those in the data directory.
    pub access_keys_file: Option<PathBuf>,
    /// What seals the access keys in the data directory.
    pub seal: Option<SealSource>,
    /// How many resources of a kind there may be; no limit for a kind without one.
    pub quotas: Vec<Quota>,
    /// API requests a second, at least 1; no limit when `None`.
    pub request_rate: Option<u32>,
    /// How many client tokens of each mesh are remembered, at least 1.
    pub client_tokens_per_mesh: u32,
    /// Proxies of one virtual node; no limit when `None`.
    pub max_proxies_per_node: Option<u32>,
    /// Streams with one certificate; 0 is no limit.
    pub max_streams_per_certificate: u32,
    /// Resources that a proxy may name in a request; 0 is no limit.
    pub max_names_per_request: u32,
    /// How often Cloud Map is asked, at least 100 ms.
    pub cloud_map_interval: Duration,
    /// After how long certificates of authorities are read from ACM PCA again, at least 1 s.
    pub acm_pca_interval: Duration,
    /// How often each proxy reports its load, at least 100 ms.
    pub load_report_interval: Duration,
}

impl ControlPlaneConfig {
    /// One that serves this host alone, at the usual ports, with its data in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            identity: Identity::default(),
            mesh_shares: None,
            listen: vec![Listen::Tcp("127.0.0.1:9080".to_owned())],
            ads_listen: vec![Listen::Tcp("127.0.0.1:18000".to_owned())],
            allowed_hosts: Vec::new(),
            api_hosts: Vec::new(),
            bounds: Bounds::default(),
            tls: None,
            joining: None,
            denied_instances: None,
            access_keys_file: None,
            seal: None,
            quotas: Vec::new(),
            request_rate: None,
            client_tokens_per_mesh: TOKENS_PER_MESH,
            max_proxies_per_node: None,
            max_streams_per_certificate: 4,
            max_names_per_request: 4096,
            cloud_map_interval: Duration::from_secs(5),
            acm_pca_interval: Duration::from_secs(3600),
            load_report_interval: Duration::from_secs(1),
        }
    }
}

/// How instances join.
#[derive(Clone, Debug)]
pub struct JoinConfig {
    /// Where they do.
    pub listen: Vec<Listen>,
    /// The CA that signs their certificates.
    pub ca: CaFiles,
    /// How long these are valid, in whole seconds from 10 s to 24 h.
    pub certificate_validity: Duration,
    /// How often one source may try a second, at least once.
    pub rate_per_source: u32,
    /// What EC2 signs instance identity documents with; documents are not looked at when there is none.
    pub identity_certificates: Vec<IdentityCertificates>,
    /// Whether an instance has to send its document.
    pub instance_identity: InstanceIdentity,
    /// Asks EC2 about each instance; nobody is asked when `None`.
    pub instances: Option<Arc<dyn Instances>>,
    /// The STS that knows their roles; AWS's in the region when `None`.
    pub sts_endpoint: Option<String>,
}
