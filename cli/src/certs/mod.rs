//! `fleetmesh certs`: reads and writes the files of a mesh's own CA, and of what it signs.

mod args;
mod files;
mod sign;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fleetmesh_control_plane::certs::{
    Authority, CertificateError, Issued, Validity, new_authority, new_authority_of, new_root,
};
use fleetmesh_control_plane::kms::{KeyArn, KmsKeyHandle};
use fleetmesh_control_plane::secret::Secret;
use fleetmesh_instance::bootstrap::secrets;
use fleetmesh_mesh::identity::Identity;
use fleetmesh_model::{Arn, ResourceId};

pub use args::CertsCommand;
use args::{CaArgs, InitArgs, IntermediateArgs, IssueArgs, ServerArgs, SignerArgs};
use files::{PRIVATE, PUBLIC, replace};

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
        CertsCommand::Request(args) => sign::request(&args, out),
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
fn common_name(arns: &[String]) -> String {
    let name = arns.first().map_or("proxy", String::as_str);
    // A common name has at most 64 characters.
    name.rsplit('/').next().unwrap_or(name).chars().take(64).collect()
}

/// The full ARNs of virtual nodes.
fn arns(resources: &[String], identity: &Identity) -> Result<Vec<String>, CertsCommandError> {
    resources.iter().map(|text| arn(text, identity)).collect()
}

/// The full ARN of a virtual node.
fn arn(text: &str, identity: &Identity) -> Result<String, CertsCommandError> {
    let refused = |reason: String| CertsCommandError::Resource { text: text.to_owned(), reason };
    let arn = if text.starts_with("arn:") {
        Arn::parse(text).map_err(refused)?
    } else {
        let Identity { partition, region, account, others: _ } = identity.clone();
        let (resource, owner) = ResourceId::parse_short(text).map_err(refused)?;
        let account = owner.map_or(account, |owner| owner.to_string());
        Arn { partition, region, account, resource }
    };
    let kind = arn.resource.kind();
    if !kind.info().has_proxies {
        return Err(refused(format!("it is a {kind}, and a proxy runs a VirtualNode or a VirtualGateway")));
    }
    Ok(arn.to_string())
}

fn authority(signer: &SignerArgs) -> Result<Authority, CertsCommandError> {
    let SignerArgs { ca_cert, signing_cert, ca_key, ca_kms_key } = signer;
    let signing = signing_cert.as_deref().map(read).transpose()?;
    let (bundle, signing) = (read(ca_cert)?, signing.as_deref());
    if let Some(arn) = ca_kms_key {
        return Ok(Authority::read_held(&bundle, signing, &held(arn)?)?);
    }
    let key = ca_key.as_deref().map(read).transpose()?.unwrap_or_default();
    Ok(Authority::read_with(&bundle, signing, &Secret::new(String::from_utf8_lossy(&key)))?)
}

fn read(path: &Path) -> Result<Vec<u8>, CertsCommandError> {
    fs::read(path).map_err(|source| CertsCommandError::File { path: path.into(), source })
}

type File = (&'static str, String, u32);

fn triple(Issued { certificate, key }: Issued, authority: &Authority) -> [File; 3] {
    [
        ("tls.crt", certificate, PUBLIC),
        ("tls.key", key.reveal().to_owned(), PRIVATE),
        ("ca.crt", authority.certificate().to_owned(), PUBLIC),
    ]
}

fn write(
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
