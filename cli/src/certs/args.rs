//! The flags of `fleetmesh certs`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use fleetmesh_control_plane::kms::KeyArn;

use super::sign::{RequestArgs, SignArgs};
use crate::control_plane::IdentityArgs;
use crate::duration::within;

/// Make certificates of a mesh's own CA.
///
/// They are what a control plane that other hosts reach needs, and what proxies there prove themselves by.
#[derive(Clone, Debug, Subcommand)]
pub enum CertsCommand {
    /// Make a CA of two: root.crt and root.key, which can be kept offline, and signing.crt and signing.key, an intermediate
    /// that signs.
    ///
    /// Certificates carry the intermediate along, and root.crt is all that anybody trusts: --ca-cert root.crt --signing-cert
    /// signing.crt --ca-key signing.key. Renew the intermediate with `certs intermediate`.
    Init(InitArgs),
    /// Make or renew the intermediate of a root: signing.crt and signing.key.
    Intermediate(IntermediateArgs),
    /// Make a CA of one, whose key signs: ca.crt and ca.key. Whoever has the key can be any proxy and any control plane. With
    /// --kms-key nobody has it.
    Ca(CaArgs),
    /// Make a key and a signing request for it: tls.key, which stays where it is, and tls.csr, for `certs sign`.
    Request(RequestArgs),
    /// Sign a request, whose sender has the key: tls.crt and ca.crt.
    Sign(SignArgs),
    /// Make a certificate for a proxy: tls.crt, tls.key and ca.crt, and the same as Envoy's SDS reads it.
    ///
    /// Renew it by the same command: files are replaced at once, and Envoy takes them in without a restart. Keys have
    /// mode 0600, so run it as the user that Envoy runs as, or give --owner.
    Issue(IssueArgs),
    /// Make a certificate for a control plane: tls.crt, tls.key and ca.crt, for its --tls-cert, --tls-key and --ca-cert.
    Server(ServerArgs),
}

/// Options of `certs ca`.
#[derive(Args, Clone, Debug)]
pub struct CaArgs {
    /// The name of the CA, for people
    #[arg(long, value_name = "NAME", default_value = "fleetmesh")]
    pub name: String,

    /// The key, held by KMS (its ARN; ECC_NIST_P256 or ECC_NIST_P384, SIGN_VERIFY): it signs ca.crt, and there is no ca.key
    ///
    /// It takes kms:GetPublicKey and kms:Sign.
    #[arg(long, value_name = "ARN")]
    pub kms_key: Option<KeyArn>,

    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "3650d", value_parser = validity)]
    pub validity: Duration,

    /// The folder for ca.crt and ca.key; made if need be. A CA that is there is not replaced
    #[arg(long, value_name = "DIR")]
    pub out_dir: PathBuf,
}

/// Options of `certs init`.
#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    /// The name of the CA, for people
    #[arg(long, value_name = "NAME", default_value = "fleetmesh")]
    pub name: String,

    /// How long the root is valid
    #[arg(long, value_name = "TIME", default_value = "3650d", value_parser = validity)]
    pub validity: Duration,

    /// How long the intermediate is valid; renew it before with `certs intermediate`
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = validity)]
    pub signing_validity: Duration,

    /// The folder for the files; made if need be. A CA that is there is not replaced
    #[arg(long, value_name = "DIR")]
    pub out_dir: PathBuf,
}

/// Options of `certs intermediate`.
#[derive(Args, Clone, Debug)]
pub struct IntermediateArgs {
    /// The root's certificate (PEM)
    #[arg(long, env = "FLEETMESH_CA_CERT", value_name = "FILE")]
    pub ca_cert: PathBuf,

    /// The root's key (PEM)
    #[arg(
        long,
        env = "FLEETMESH_CA_KEY",
        value_name = "FILE",
        required_unless_present = "ca_kms_key",
        conflicts_with = "ca_kms_key"
    )]
    pub ca_key: Option<PathBuf>,

    /// The root's key, held by KMS (its ARN)
    #[arg(long, env = "FLEETMESH_CA_KMS_KEY", value_name = "ARN")]
    pub ca_kms_key: Option<KeyArn>,

    /// The key of the intermediate, held by KMS (its ARN; ECC_NIST_P256 or ECC_NIST_P384, SIGN_VERIFY): there is no signing.key
    ///
    /// It takes kms:GetPublicKey. The control plane then signs by --ca-kms-key, and nobody can copy its key.
    #[arg(long, value_name = "ARN")]
    pub kms_key: Option<KeyArn>,

    /// The name of the intermediate, for people
    #[arg(long, value_name = "NAME", default_value = "fleetmesh signing")]
    pub name: String,

    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = validity)]
    pub validity: Duration,

    /// The folder for signing.crt and signing.key, which are replaced; made if need be
    #[arg(long, value_name = "DIR")]
    pub out_dir: PathBuf,
}

/// The CA that signs.
#[derive(Args, Clone, Debug)]
pub struct SignerArgs {
    /// The CA's certificates (PEM): its root, and a second one while that replaces the first
    #[arg(long, env = "FLEETMESH_CA_CERT", value_name = "FILE")]
    pub ca_cert: PathBuf,

    /// The intermediate that signs (PEM), unless the key is a root's
    #[arg(long, env = "FLEETMESH_SIGNING_CERT", value_name = "FILE")]
    pub signing_cert: Option<PathBuf>,

    /// The key that signs (PEM)
    #[arg(
        long,
        env = "FLEETMESH_CA_KEY",
        value_name = "FILE",
        required_unless_present = "ca_kms_key",
        conflicts_with = "ca_kms_key"
    )]
    pub ca_key: Option<PathBuf>,

    /// The key that signs, held by KMS (its ARN). It takes kms:Sign
    #[arg(long, env = "FLEETMESH_CA_KMS_KEY", value_name = "ARN")]
    pub ca_kms_key: Option<KeyArn>,
}

/// Options of `certs issue`.
#[derive(Args, Clone, Debug)]
pub struct IssueArgs {
    #[command(flatten)]
    pub signer: SignerArgs,

    #[command(flatten)]
    pub identity: IdentityArgs,

    /// A virtual node that the proxy may run, as an ARN or its last part (mesh/apps/virtualNode/serviceB). May be
    /// repeated
    #[arg(long = "resource", value_name = "ARN", required = true)]
    pub resources: Vec<String>,

    /// How long it is valid, 90d at the most: a certificate cannot be taken back
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = proxy_validity)]
    pub validity: Duration,

    /// The id of the user who shall own the files, the one that Envoy runs as; the caller by default
    #[arg(long, value_name = "UID")]
    pub owner: Option<u32>,

    /// The folder for the files; made if need be
    #[arg(long, value_name = "DIR")]
    pub out_dir: PathBuf,
}

/// Options of `certs server`.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    #[command(flatten)]
    pub signer: SignerArgs,

    /// A name that the control plane is reached by. May be repeated
    #[arg(long = "dns", value_name = "NAME", required_unless_present = "addresses")]
    pub names: Vec<String>,

    /// An address that the control plane is reached by. May be repeated
    #[arg(long = "ip", value_name = "ADDRESS")]
    pub addresses: Vec<IpAddr>,

    /// How long it is valid, 825d at the most
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = server_validity)]
    pub validity: Duration,

    /// The folder for the files; made if need be
    #[arg(long, value_name = "DIR")]
    pub out_dir: PathBuf,
}

/// How long a CA is valid.
fn validity(text: &str) -> Result<Duration, String> {
    within(text, "1s", "36500d")
}

/// How long the certificate of a proxy is.
pub fn proxy_validity(text: &str) -> Result<Duration, String> {
    within(text, "1s", "90d")
}

/// How long the certificate of a control plane is: as long as the longest that browsers took.
pub fn server_validity(text: &str) -> Result<Duration, String> {
    within(text, "1s", "825d")
}
