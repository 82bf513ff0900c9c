//! The flags of `fleetmesh provision`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use fleetmesh_provision::{Error, Wanted};
use tokio_util::sync::CancellationToken;

use crate::duration::within;

/// Make the Secrets of a control plane on Kubernetes, in the cluster: those that exist are kept.
///
/// The chart runs it as a Job before each install, upgrade and rollback, so that no key passes through Helm. A CA and the secret
/// of an access key are never replaced; the control plane's certificate is made anew when its names or its CA changed, or when
/// its last third begins. Two that run at the same time agree on what the first of them made.
#[derive(Args, Clone, Debug)]
pub struct ProvisionArgs {
    /// The kubeconfig file; without it KUBECONFIG, ~/.kube/config, or the pod's service account
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The namespace of the Secrets
    #[arg(long, env = "FLEETMESH_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: String,

    /// The Secret for the CA: tls.crt and tls.key
    #[arg(long, value_name = "NAME", requires = "server_secret")]
    pub ca_secret: Option<String>,

    /// The Secret for the control plane's certificate, which the CA signs: tls.crt, tls.key and ca.crt
    #[arg(long, value_name = "NAME", requires = "ca_secret", requires = "names")]
    pub server_secret: Option<String>,

    /// The Secret for the access key of the operator: access-key.json
    #[arg(long, value_name = "NAME", required_unless_present = "ca_secret")]
    pub access_key_secret: Option<String>,

    /// How long a new CA is valid
    #[arg(long, value_name = "TIME", default_value = "3650d", value_parser = validity)]
    pub ca_validity: Duration,

    /// How long a new certificate of the control plane is valid; no longer than its CA
    #[arg(long, value_name = "TIME", default_value = "825d", value_parser = validity)]
    pub server_validity: Duration,

    /// A name that the control plane is reached by. May be repeated
    #[arg(long = "dns", value_name = "NAME")]
    pub names: Vec<String>,

    /// An address that the control plane is reached by. May be repeated
    #[arg(long = "ip", value_name = "ADDRESS")]
    pub addresses: Vec<IpAddr>,

    /// Whose access key it is, as the control plane's logs show it
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub access_key_name: String,

    /// A mesh that the access key is for, and no other. May be repeated; all of them without it
    #[arg(long = "access-key-mesh", value_name = "MESH")]
    pub access_key_meshes: Vec<String>,
}

/// Makes what is missing and renews what is due.
///
/// # Errors
/// See [`Error`]. What was made until then stays.
pub async fn run(args: ProvisionArgs, shutdown: CancellationToken) -> Result<(), Error> {
    let wanted = Wanted {
        namespace: args.namespace,
        certificates: args.ca_secret.zip(args.server_secret).map(Into::into),
        ca_validity: args.ca_validity,
        server_validity: args.server_validity,
        names: args.names,
        addresses: args.addresses,
        access_key: args.access_key_secret,
        access_key_name: args.access_key_name,
        access_key_meshes: args.access_key_meshes,
    };
    fleetmesh_provision::run(args.kubeconfig.as_deref(), &wanted, shutdown).await
}

/// As the chart's values have it: up to a hundred years.
fn validity(text: &str) -> Result<Duration, String> {
    within(text, "1s", "36500d")
}
