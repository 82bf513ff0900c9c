//! The flags of `fleetmesh proxy join`.

use std::path::PathBuf;

use clap::Args;
use fleetmesh_instance::bootstrap::{CERT_DIR, ControlPlaneAddress, virtual_node};
use fleetmesh_join::{Error, JoinerConfig};
use tokio_util::sync::CancellationToken;

/// Get a certificate for this machine's proxy by the IAM role that the machine has, and keep it fresh.
///
/// The virtual node's tag fleetmesh.dev/proxy-principals has to list the role. The certificate is valid for an hour and
/// renewed at half of that; Envoy takes it in without a restart when its bootstrap was made with the same --cert-dir.
#[derive(Args, Clone, Debug)]
pub struct JoinArgs {
    /// The virtual node that this machine's proxy runs, as an ARN or its last part (mesh/apps/virtualNode/serviceB)
    #[arg(long, env = "FLEETMESH_RESOURCE", value_name = "ARN", value_parser = virtual_node)]
    pub resource: String,

    /// Where the control plane lets instances join (its --join-listen): https://HOST:PORT
    #[arg(long, env = "FLEETMESH_JOIN_CONTROL_PLANE", value_name = "URL", value_parser = https)]
    pub control_plane: ControlPlaneAddress,

    /// The CA that vouches for the control plane (PEM), in place of those that this system trusts
    #[arg(long, env = "FLEETMESH_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// The folder for the certificate, its key and the CA; made if need be
    #[arg(long, env = "FLEETMESH_CERT_DIR", value_name = "DIR", default_value = CERT_DIR)]
    pub cert_dir: PathBuf,

    /// The id of the user who shall own the files, the one that Envoy runs as; the caller by default
    #[arg(long, env = "FLEETMESH_OWNER", value_name = "UID")]
    pub owner: Option<u32>,

    /// A Unix socket whose connections are forwarded to the control plane's proxies' address over mutual TLS, for proxies
    /// that cannot do that themselves, such as AWS's image (APPMESH_XDS_ENDPOINT=unix:///PATH)
    ///
    /// Only connections of the user of --owner, of this program's, of root and of --serve-unix-user are forwarded.
    #[arg(long, env = "FLEETMESH_SERVE_UNIX", value_name = "PATH", requires = "ads")]
    pub serve_unix: Option<PathBuf>,

    /// The id of another user whose connections to --serve-unix are forwarded; can be repeated
    #[arg(
        long,
        env = "FLEETMESH_SERVE_UNIX_USERS",
        value_name = "UID",
        value_delimiter = ',',
        requires = "serve_unix"
    )]
    pub serve_unix_user: Vec<u32>,

    /// A Unix socket at which this machine's proxy gets the certificate of the mesh, for TLS between proxies, by secret
    /// discovery (SDS): the virtual node names it as `sds: {secretName: fleetmesh}`, and its authorities as `fleetmesh-ca`
    ///
    /// Only the user of --owner, this program's and root are answered. It is the --sds-socket of `fleetmesh proxy bootstrap`, and
    /// APPMESH_SDS_SOCKET_PATH of AWS's image.
    #[arg(long, env = "FLEETMESH_SERVE_SDS", value_name = "PATH")]
    pub serve_sds: Option<PathBuf>,

    /// Where the control plane serves proxies: https://HOST:PORT; needed with --serve-unix alone
    #[arg(long, env = "FLEETMESH_ADS", value_name = "URL", value_parser = https)]
    pub ads: Option<ControlPlaneAddress>,

    /// The host of STS, HOST or HOST:PORT, when it is none of AWS's: this machine signs for no other, whatever the control
    /// plane asks for
    #[arg(long, env = "FLEETMESH_STS_HOST", value_name = "HOST")]
    pub sts_host: Option<String>,

    /// End when there is a certificate
    #[arg(long, conflicts_with_all = ["serve_unix", "serve_sds"])]
    pub once: bool,
}

/// Joins, and stays joined until `shutdown`; with `--once` returns when there is a certificate.
///
/// # Errors
/// See [`Error`].
pub async fn run(args: JoinArgs, shutdown: CancellationToken) -> Result<(), Error> {
    let config = JoinerConfig {
        resource: args.resource,
        control_plane: args.control_plane,
        ca_file: args.ca_file,
        cert_dir: args.cert_dir,
        owner: args.owner,
        serve_unix: args.serve_unix,
        serve_unix_users: args.serve_unix_user,
        serve_sds: args.serve_sds,
        ads: args.ads,
        sts_host: args.sts_host,
    };
    if args.once {
        fleetmesh_join::join_once(config).await
    } else {
        fleetmesh_join::run(config, shutdown).await
    }
}

fn https(text: &str) -> Result<ControlPlaneAddress, String> {
    match text.parse()? {
        address @ ControlPlaneAddress::Tls { .. } => Ok(address),
        _ => Err(format!("{text:?}: credentials are sent over TLS only: https://HOST:PORT")),
    }
}
