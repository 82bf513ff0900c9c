//! The configuration of a joiner. Pure data.

use std::path::PathBuf;

use fleetmesh_instance::bootstrap::ControlPlaneAddress;

/// Who joins, where, and for whom.
#[derive(Clone, Debug)]
pub struct JoinerConfig {
    /// The virtual node that this machine's proxy runs, as an ARN or its last part.
    pub resource: String,
    /// Where the control plane lets instances join; it has to be `https://`.
    pub control_plane: ControlPlaneAddress,
    /// The CA that vouches for it; those that this system trusts when `None`.
    pub ca_file: Option<PathBuf>,
    /// The folder for the certificate, its key and the CA; made if need be.
    pub cert_dir: PathBuf,
    /// Who shall own the files; the caller when `None`.
    pub owner: Option<u32>,
    /// A Unix socket whose connections are forwarded to `ads`.
    pub serve_unix: Option<PathBuf>,
    /// The users whose connections to it are forwarded, beside `owner`, the caller and root.
    pub serve_unix_users: Vec<u32>,
    /// A Unix socket at which proxies get the mesh's certificate, by secret discovery.
    pub serve_sds: Option<PathBuf>,
    /// Where the control plane serves proxies; it has to be `https://`.
    pub ads: Option<ControlPlaneAddress>,
    /// The host of STS when it is none of AWS's.
    pub sts_host: Option<String>,
}
