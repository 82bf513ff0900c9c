//! `fleetmesh certs request` and `sign`: a certificate for a key that never leaves its machine.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;
use fleetmesh_control_plane::certs::{Name, NewRequest, SigningRequest, Validity, new_request};

use super::args::{SignerArgs, proxy_validity, server_validity};
use super::files::{PRIVATE, PUBLIC};
use super::{CertsCommandError, arns, authority, common_name, read, write};
use crate::control_plane::IdentityArgs;

/// What a certificate is for: a proxy, or a control plane.
#[derive(Args, Clone, Debug)]
pub struct NameArgs {
    #[command(flatten)]
    identity: IdentityArgs,

    /// A virtual node that the proxy may run, as an ARN or its last part (mesh/apps/virtualNode/serviceB). May be
    /// repeated
    #[arg(long = "resource", value_name = "ARN", conflicts_with_all = ["names", "addresses"])]
    resources: Vec<String>,

    /// A name that the control plane is reached by. May be repeated
    #[arg(long = "dns", value_name = "NAME")]
    names: Vec<String>,

    /// An address that the control plane is reached by. May be repeated
    #[arg(long = "ip", value_name = "ADDRESS")]
    addresses: Vec<IpAddr>,
}

/// Options of `certs request`.
#[derive(Args, Clone, Debug)]
pub struct RequestArgs {
    #[command(flatten)]
    names: NameArgs,

    /// The folder for tls.key and tls.csr; made if need be
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

/// Options of `certs sign`.
#[derive(Args, Clone, Debug)]
pub struct SignArgs {
    #[command(flatten)]
    signer: SignerArgs,

    /// The request (PKCS #10, PEM), of a key on P-256 or P-384. Names in it have to be among those given here
    #[arg(long, value_name = "FILE")]
    csr: PathBuf,

    #[command(flatten)]
    names: NameArgs,

    /// How long it is valid: 90d at the most for a proxy, 825d for a control plane; 1h and 90d by default
    #[arg(long, value_name = "TIME")]
    validity: Option<String>,

    /// The folder for tls.crt and ca.crt; made if need be
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

/// Makes a key, and a request for it.
pub fn request(args: &RequestArgs, out: &mut dyn Write) -> Result<(), CertsCommandError> {
    let RequestArgs { names: NameArgs { identity, resources, names, addresses }, out_dir } = args;
    let uris = arns(resources, &identity.identity())?;
    let NewRequest { request, key } = new_request(&uris, names, addresses)?;
    let files = [("tls.key", key.reveal().to_owned(), PRIVATE), ("tls.csr", request, PUBLIC)];
    write(out_dir, &files, None, out)
}

/// Signs a request.
pub fn sign(args: &SignArgs, now: SystemTime, out: &mut dyn Write) -> Result<(), CertsCommandError> {
    let SignArgs { signer, csr, names, validity: length, out_dir } = args;
    let refused = |reason: String| CertsCommandError::Request { path: csr.clone(), reason };
    let request = SigningRequest::read(&read(csr)?).map_err(refused)?;
    let arns = arns(&names.resources, &names.identity.identity())?;
    if let Some(name) = request.names.difference(&allowed(&arns, names)).next() {
        return Err(refused(format!("it asks for {name}, which is not among the names given here")));
    }
    let for_proxy = !arns.is_empty();
    if !for_proxy && names.names.is_empty() && names.addresses.is_empty() {
        return Err(refused(
            "say what it is for: --resource of a proxy, --dns or --ip of a control plane".into(),
        ));
    }
    let length = match length.as_deref() {
        Some(text) if for_proxy => proxy_validity(text),
        Some(text) => server_validity(text),
        None => Ok(Duration::from_secs(if for_proxy { 3600 } else { 90 * 24 * 3600 })),
    };
    let length = length.map_err(|reason| refused(format!("--validity: {reason}")))?;
    let (authority, validity) = (authority(signer)?, Validity { now, length });
    authority.check_end(validity)?;
    let certificate = if for_proxy {
        authority.sign_client(&common_name(&arns), &arns, &request.key, validity)?
    } else {
        authority.sign_server(&names.names, &names.addresses, &request.key, validity)?
    };
    let files = [("tls.crt", certificate, PUBLIC), ("ca.crt", authority.certificate().to_owned(), PUBLIC)];
    write(out_dir, &files, None, out)
}

/// The names that the request may ask for.
fn allowed(arns: &[String], NameArgs { names, addresses, .. }: &NameArgs) -> BTreeSet<Name> {
    let uris = arns.iter().cloned().map(Name::Uri);
    let hosts = names.iter().cloned().map(Name::Dns);
    uris.chain(hosts).chain(addresses.iter().copied().map(Name::Address)).collect()
}
