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
use super::{Authority, CertificateError, Issued, Validity, new_authority};
use crate::args::IdentityArgs;
use crate::identity::Identity;
use crate::secret::Secret;

/// Make certificates of a mesh's own CA.
///
/// They are what a control plane that other hosts reach needs, and what proxies there prove themselves by.
#[derive(Clone, Debug, Subcommand)]
pub enum CertsCommand {
    /// Make a CA: ca.crt and ca.key. Whoever has the key can be any proxy and any control plane.
    Ca(CaArgs),
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

    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "3650d", value_parser = validity)]
    validity: Duration,

    /// The folder for ca.crt and ca.key; made if need be. A CA that is there is not replaced
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

/// The CA that signs.
#[derive(Args, Clone, Debug)]
pub struct SignerArgs {
    /// The CA's certificate (PEM)
    #[arg(long, env = "FLEETMESH_CA_CERT", value_name = "FILE")]
    ca_cert: PathBuf,

    /// The CA's key (PEM)
    #[arg(long, env = "FLEETMESH_CA_KEY", value_name = "FILE")]
    ca_key: PathBuf,
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

    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = validity)]
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

    /// How long it is valid
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = validity)]
    validity: Duration,

    /// The folder for the files; made if need be
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

fn validity(text: &str) -> Result<Duration, String> {
    let length = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let century = Duration::from_secs(100 * 365 * 24 * 3600);
    if (Duration::from_secs(1)..=century).contains(&length) {
        return Ok(length);
    }
    Err(format!("{text} is out of bounds: from 1s to 36500d"))
}

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
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
    /// The output.
    #[error("cannot write to standard output")]
    Write(#[from] io::Error),
}

/// Runs `command` at `now`, which prints to `out` what it wrote.
///
/// # Errors
/// See [`CommandError`].
pub fn run(command: CertsCommand, now: SystemTime, out: &mut dyn Write) -> Result<(), CommandError> {
    match command {
        CertsCommand::Ca(CaArgs { name, validity: length, out_dir }) => {
            for file in ["ca.crt", "ca.key"].map(|name| out_dir.join(name)) {
                if file.exists() {
                    return Err(CommandError::Exists { path: file });
                }
            }
            let Issued { certificate, key } = new_authority(&name, Validity { now, length })?;
            let files = [("ca.crt", certificate, PUBLIC), ("ca.key", key.reveal().to_owned(), PRIVATE)];
            write(&out_dir, &files, None, out)
        }
        CertsCommand::Issue(args) => issue(&args, now, out),
        CertsCommand::Server(ServerArgs { signer, names, addresses, validity: length, out_dir }) => {
            let authority = authority(&signer)?;
            let issued = authority.issue_server(&names, &addresses, Validity { now, length })?;
            write(&out_dir, &triple(issued, &authority), None, out)
        }
    }
}

fn issue(args: &IssueArgs, now: SystemTime, out: &mut dyn Write) -> Result<(), CommandError> {
    let IssueArgs { signer, identity, resources, validity: length, owner, out_dir } = args;
    let identity = identity.identity();
    let arns: Result<Vec<String>, _> = resources.iter().map(|text| arn(text, &identity)).collect();
    let arns = arns?;
    let name = arns.first().map_or("proxy", String::as_str);
    // A common name has at most 64 characters.
    let name: String = name.rsplit('/').next().unwrap_or(name).chars().take(64).collect();
    let authority = authority(signer)?;
    let issued = authority.issue_client(&name, &arns, Validity { now, length: *length })?;
    let certificate = secrets::certificate(&issued.certificate, issued.key.reveal());
    let validation = secrets::validation(authority.certificate());
    let mut files = triple(issued, &authority).to_vec();
    files.push((secrets::CERTIFICATE_FILE, certificate, PRIVATE));
    files.push((secrets::VALIDATION_FILE, validation, PUBLIC));
    write(out_dir, &files, *owner, out)
}

/// The full ARN of a virtual node.
fn arn(text: &str, identity: &Identity) -> Result<String, CommandError> {
    let refused = |reason: String| CommandError::Resource { text: text.to_owned(), reason };
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

fn authority(SignerArgs { ca_cert, ca_key }: &SignerArgs) -> Result<Authority, CommandError> {
    let read =
        |path: &Path| fs::read(path).map_err(|source| CommandError::File { path: path.into(), source });
    let key = Secret::new(String::from_utf8_lossy(&read(ca_key)?));
    Ok(Authority::read(&read(ca_cert)?, &key)?)
}

type File = (&'static str, String, u32);

fn triple(Issued { certificate, key }: Issued, authority: &Authority) -> [File; 3] {
    [
        ("tls.crt", certificate, PUBLIC),
        ("tls.key", key.reveal().to_owned(), PRIVATE),
        ("ca.crt", authority.certificate().to_owned(), PUBLIC),
    ]
}

fn write(folder: &Path, files: &[File], owner: Option<u32>, out: &mut dyn Write) -> Result<(), CommandError> {
    let failed = |path: &Path, source| CommandError::File { path: path.into(), source };
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, content, mode) in files {
        replace(folder, name, content, *mode, owner).map_err(|error| failed(&folder.join(name), error))?;
        writeln!(out, "{}", folder.join(name).display())?;
    }
    Ok(())
}
