//! The command line of `fleetmesh certs`: a mesh's own CA, and what it signs.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use fleetmesh_instance::bootstrap::secrets;
use fleetmesh_model::{Arn, ResourceId};

use super::files::{PRIVATE, PUBLIC, replace};
use super::sign::{self, RequestArgs, SignArgs};
use super::{Authority, CertificateError, Issued, Validity, new_authority, new_authority_of, new_root};
use crate::args::IdentityArgs;
use crate::identity::Identity;
use crate::kms::{KeyArn, KmsKeyHandle};
use crate::secret::Secret;

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
    name: String,

    /// The key, held by KMS (its ARN; ECC_NIST_P256 or ECC_NIST_P384, SIGN_VERIFY): it signs ca.crt, and there is no ca.key
    ///
    /// It takes kms:GetPublicKey and kms:Sign.
    #[arg(long, value_name = "ARN")]
    kms_key: Option<KeyArn>,

    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "3650d", value_parser = validity)]
    validity: Duration,

    /// The folder for ca.crt and ca.key; made if need be. A CA that is there is not replaced
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

/// Options of `certs init`.
#[derive(Args, Clone, Debug)]
pub struct InitArgs {
    /// The name of the CA, for people
    #[arg(long, value_name = "NAME", default_value = "fleetmesh")]
    name: String,

    /// How long the root is valid
    #[arg(long, value_name = "TIME", default_value = "3650d", value_parser = validity)]
    validity: Duration,

    /// How long the intermediate is valid; renew it before with `certs intermediate`
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = validity)]
    signing_validity: Duration,

    /// The folder for the files; made if need be. A CA that is there is not replaced
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

/// Options of `certs intermediate`.
#[derive(Args, Clone, Debug)]
pub struct IntermediateArgs {
    /// The root's certificate (PEM)
    #[arg(long, env = "FLEETMESH_CA_CERT", value_name = "FILE")]
    ca_cert: PathBuf,

    /// The root's key (PEM)
    #[arg(
        long,
        env = "FLEETMESH_CA_KEY",
        value_name = "FILE",
        required_unless_present = "ca_kms_key",
        conflicts_with = "ca_kms_key"
    )]
    ca_key: Option<PathBuf>,

    /// The root's key, held by KMS (its ARN)
    #[arg(long, env = "FLEETMESH_CA_KMS_KEY", value_name = "ARN")]
    ca_kms_key: Option<KeyArn>,

    /// The key of the intermediate, held by KMS (its ARN; ECC_NIST_P256 or ECC_NIST_P384, SIGN_VERIFY): there is no signing.key
    ///
    /// It takes kms:GetPublicKey. The control plane then signs by --ca-kms-key, and nobody can copy its key.
    #[arg(long, value_name = "ARN")]
    kms_key: Option<KeyArn>,

    /// The name of the intermediate, for people
    #[arg(long, value_name = "NAME", default_value = "fleetmesh signing")]
    name: String,

    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = validity)]
    validity: Duration,

    /// The folder for signing.crt and signing.key, which are replaced; made if need be
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

/// The CA that signs.
#[derive(Args, Clone, Debug)]
pub struct SignerArgs {
    /// The CA's certificates (PEM): its root, and a second one while that replaces the first
    #[arg(long, env = "FLEETMESH_CA_CERT", value_name = "FILE")]
    ca_cert: PathBuf,

    /// The intermediate that signs (PEM), unless the key is a root's
    #[arg(long, env = "FLEETMESH_SIGNING_CERT", value_name = "FILE")]
    signing_cert: Option<PathBuf>,

    /// The key that signs (PEM)
    #[arg(
        long,
        env = "FLEETMESH_CA_KEY",
        value_name = "FILE",
        required_unless_present = "ca_kms_key",
        conflicts_with = "ca_kms_key"
    )]
    ca_key: Option<PathBuf>,

    /// The key that signs, held by KMS (its ARN). It takes kms:Sign
    #[arg(long, env = "FLEETMESH_CA_KMS_KEY", value_name = "ARN")]
    ca_kms_key: Option<KeyArn>,
}

/// Options of `certs issue`.
#[derive(Args, Clone, Debug)]
pub struct IssueArgs {
    #[command(flatten)]
    signer: SignerArgs,

    #[command(flatten)]
    identity: IdentityArgs,

    /// A virtual node that the proxy may run, as an ARN or its last part (mesh/apps/virtualNode/serviceB). May be
    /// repeated
    #[arg(long = "resource", value_name = "ARN", required = true)]
    resources: Vec<String>,

    /// How long it is valid, 90d at the most: a certificate cannot be taken back
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = proxy_validity)]
    validity: Duration,

    /// The id of the user who shall own the files, the one that Envoy runs as; the caller by default
    #[arg(long, value_name = "UID")]
    owner: Option<u32>,

    /// The folder for the files; made if need be
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

/// Options of `certs server`.
#[derive(Args, Clone, Debug)]
pub struct ServerArgs {
    #[command(flatten)]
    signer: SignerArgs,

    /// A name that the control plane is reached by. May be repeated
    #[arg(long = "dns", value_name = "NAME", required_unless_present = "addresses")]
    names: Vec<String>,

    /// An address that the control plane is reached by. May be repeated
    #[arg(long = "ip", value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,

    /// How long it is valid, 825d at the most
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = server_validity)]
    validity: Duration,

    /// The folder for the files; made if need be
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

const DAY: u64 = 24 * 3600;

/// How long a CA is valid.
fn validity(text: &str) -> Result<Duration, String> {
    bounded(text, 36500)
}

/// How long the certificate of a proxy is.
pub(super) fn proxy_validity(text: &str) -> Result<Duration, String> {
    bounded(text, 90)
}

/// How long the certificate of a control plane is: as long as the longest that browsers took.
pub(super) fn server_validity(text: &str) -> Result<Duration, String> {
    bounded(text, 825)
}

fn bounded(text: &str, days: u64) -> Result<Duration, String> {
    let length = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_secs(days * DAY)).contains(&length) {
        return Ok(length);
    }
    Err(format!("{text} is out of bounds: from 1s to {days}d"))
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum CertsCommandError {
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A file.
    #[error("cannot use {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is a CA already: replacing it would disown every certificate that it signed.
    #[error("{path} exists: a CA is not replaced; choose another --out-dir, or move it away")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A resource is none that a proxy runs.
    #[error("--resource {text}: {reason}")]
    Resource {
        /// What was given.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A signing request cannot be signed.
    #[error("cannot sign {path}: {reason}")]
    Request {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no thread to wait for KMS.
    #[error("cannot start a thread to ask KMS: {0}")]
    Thread(io::Error),
    /// The output.
    #[error("cannot write to standard output")]
    Write(#[from] io::Error),
}

/// Runs `command` at `now`, which prints to `out` what it wrote.
///
/// # Errors
/// See [`CertsCommandError`].
pub fn run(command: CertsCommand, now: SystemTime, out: &mut dyn Write) -> Result<(), CertsCommandError> {
    match command {
        CertsCommand::Init(args) => init(&args, now, out),
        CertsCommand::Intermediate(args) => intermediate(args, now, out),
        CertsCommand::Ca(CaArgs { name, kms_key, validity: length, out_dir }) => {
            absent(&out_dir, CA)?;
            let validity = Validity { now, length };
            let files = match kms_key {
                Some(arn) => vec![(CA[0], new_authority_of(&held(&arn)?, &name, validity)?, PUBLIC)],
                None => {
                    let Issued { certificate, key } = new_authority(&name, validity)?;
                    pair(CA, certificate, &key).into()
                }
            };
            write(&out_dir, &files, None, out)
        }
        CertsCommand::Request(args) => sign::request(&args, now, out),
        CertsCommand::Sign(args) => sign::sign(&args, now, out),
        CertsCommand::Issue(args) => issue(&args, now, out),
        CertsCommand::Server(ServerArgs { signer, names, addresses, validity: length, out_dir }) => {
            let (authority, validity) = (authority(&signer)?, Validity { now, length });
            authority.check_end(validity)?;
            let issued = authority.issue_server(&names, &addresses, validity)?;
            write(&out_dir, &triple(issued, &authority), None, out)
        }
    }
}

const CA: [&str; 2] = ["ca.crt", "ca.key"];
const ROOT: [&str; 2] = ["root.crt", "root.key"];
const SIGNING: [&str; 2] = ["signing.crt", "signing.key"];

fn intermediate(
    args: IntermediateArgs,
    now: SystemTime,
    out: &mut dyn Write,
) -> Result<(), CertsCommandError> {
    let IntermediateArgs { ca_cert, ca_key, ca_kms_key, kms_key, name, validity: length, out_dir } = args;
    let root = authority(&SignerArgs { ca_cert, signing_cert: None, ca_key, ca_kms_key })?;
    let validity = Validity { now, length };
    root.check_end(validity)?;
    let Some(arn) = kms_key else {
        let Issued { certificate, key } = root.issue_intermediate(&name, validity)?;
        return write(&out_dir, &pair(SIGNING, certificate, &key), None, out);
    };
    let certificate = root.issue_intermediate_of(&held(&arn)?, &name, validity)?;
    write(&out_dir, &[(SIGNING[0], certificate, PUBLIC)], None, out)
}

/// A key of KMS, to be asked from here.
fn held(arn: &KeyArn) -> Result<KmsKeyHandle, CertsCommandError> {
    KmsKeyHandle::of_command(arn).map_err(CertsCommandError::Thread)
}

fn init(args: &InitArgs, now: SystemTime, out: &mut dyn Write) -> Result<(), CertsCommandError> {
    let InitArgs { name, validity: length, signing_validity, out_dir } = args;
    absent(out_dir, ROOT)?;
    absent(out_dir, SIGNING)?;
    let Issued { certificate, key } = new_root(name, Validity { now, length: *length })?;
    let root = Authority::read(certificate.as_bytes(), &key)?;
    let validity = Validity { now, length: *signing_validity };
    root.check_end(validity)?;
    let signing = root.issue_intermediate(&format!("{name} signing"), validity)?;
    let files = [pair(ROOT, certificate, &key), pair(SIGNING, signing.certificate, &signing.key)].concat();
    write(out_dir, &files, None, out)
}

fn pair([certificate, private]: [&'static str; 2], pem: String, key: &Secret) -> [File; 2] {
    [(certificate, pem, PUBLIC), (private, key.reveal().to_owned(), PRIVATE)]
}

/// Refuses to replace a CA that is in `folder`.
fn absent(folder: &Path, names: [&str; 2]) -> Result<(), CertsCommandError> {
    match names.map(|name| folder.join(name)).into_iter().find(|file| file.exists()) {
        Some(path) => Err(CertsCommandError::Exists { path }),
        None => Ok(()),
    }
}

fn issue(args: &IssueArgs, now: SystemTime, out: &mut dyn Write) -> Result<(), CertsCommandError> {
    let IssueArgs { signer, identity, resources, validity: length, owner, out_dir } = args;
    let arns = arns(resources, &identity.identity())?;
    let (authority, validity) = (authority(signer)?, Validity { now, length: *length });
    authority.check_end(validity)?;
    let issued = authority.issue_client(&common_name(&arns), &arns, validity)?;
    let certificate = secrets::certificate(&issued.certificate, issued.key.reveal());
    let validation = secrets::validation(authority.certificate());
    let mut files = triple(issued, &authority).to_vec();
    files.push((secrets::CERTIFICATE_FILE, certificate, PRIVATE));
    files.push((secrets::VALIDATION_FILE, validation, PUBLIC));
    write(out_dir, &files, *owner, out)
}

/// What people see of a proxy's certificate: the name of its first virtual node.
pub(super) fn common_name(arns: &[String]) -> String {
    let name = arns.first().map_or("proxy", String::as_str);
    // A common name has at most 64 characters.
    name.rsplit('/').next().unwrap_or(name).chars().take(64).collect()
}

/// The full ARNs of virtual nodes.
pub(super) fn arns(resources: &[String], identity: &Identity) -> Result<Vec<String>, CertsCommandError> {
    resources.iter().map(|text| arn(text, identity)).collect()
}

/// The full ARN of a virtual node.
fn arn(text: &str, identity: &Identity) -> Result<String, CertsCommandError> {
    let refused = |reason: String| CertsCommandError::Resource { text: text.to_owned(), reason };
    let arn = if text.starts_with("arn:") {
        Arn::parse(text).map_err(refused)?
    } else {
        let Identity { partition, region, account } = identity.clone();
        Arn { partition, region, account, resource: ResourceId::parse(text).map_err(refused)? }
    };
    match arn.resource {
        ResourceId::VirtualNode { .. } => Ok(arn.to_string()),
        other => Err(refused(format!("it is a {}, and a proxy runs a VirtualNode", other.kind()))),
    }
}

pub(super) fn authority(signer: &SignerArgs) -> Result<Authority, CertsCommandError> {
    let SignerArgs { ca_cert, signing_cert, ca_key, ca_kms_key } = signer;
    let signing = signing_cert.as_deref().map(read).transpose()?;
    let (bundle, signing) = (read(ca_cert)?, signing.as_deref());
    if let Some(arn) = ca_kms_key {
        return Ok(Authority::read_held(&bundle, signing, &held(arn)?)?);
    }
    let key = ca_key.as_deref().map(read).transpose()?.unwrap_or_default();
    Ok(Authority::read_with(&bundle, signing, &Secret::new(String::from_utf8_lossy(&key)))?)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, CertsCommandError> {
    fs::read(path).map_err(|source| CertsCommandError::File { path: path.into(), source })
}

pub(super) type File = (&'static str, String, u32);

fn triple(Issued { certificate, key }: Issued, authority: &Authority) -> [File; 3] {
    [
        ("tls.crt", certificate, PUBLIC),
        ("tls.key", key.reveal().to_owned(), PRIVATE),
        ("ca.crt", authority.certificate().to_owned(), PUBLIC),
    ]
}

pub(super) fn write(
    folder: &Path,
    files: &[File],
    owner: Option<u32>,
    out: &mut dyn Write,
) -> Result<(), CertsCommandError> {
    let failed = |path: &Path, source| CertsCommandError::File { path: path.into(), source };
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, content, mode) in files {
        replace(folder, name, content, *mode, owner).map_err(|error| failed(&folder.join(name), error))?;
        writeln!(out, "{}", folder.join(name).display())?;
    }
    Ok(())
}
