//! Who is believed here: a private CA, the server's certificate by it, one token, and the kubeconfig that has all a client needs.
//!
//! All of it lies in the data directory, for its owner alone, and is made when it is missing. The server's certificate is made anew
//! with each start.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use crate::files;

/// The CA's certificate in a data directory.
const CA_CERTIFICATE: &str = "ca.crt";
/// The CA's key in a data directory.
const CA_KEY: &str = "ca.key";
/// The token in a data directory.
const TOKEN: &str = "token";
/// The kubeconfig in a data directory.
pub const KUBECONFIG: &str = "kubeconfig";

/// How long the CA is good for.
const CA_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How long the server's certificate is good for: longer than any process runs without a restart for an update.
const CERTIFICATE_LIFE: Duration = Duration::from_secs(2 * 365 * 86_400);
/// How much a client's clock may be behind.
const LATE_CLOCKS: Duration = Duration::from_secs(3600);

/// What clients are known by and know the server by could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file.
    #[error("cannot use {path}: {source}; choose another directory with --data-dir")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate.
    #[error(
        "the authority in {path} cannot be used: {source}; delete ca.crt and ca.key there to have a new one made"
    )]
    Authority {
        /// The data directory.
        path: PathBuf,
        /// What is wrong.
        source: rcgen::Error,
    },
    /// rustls does not take the certificate.
    #[error("cannot serve TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What clients are known by, and know the server by.
pub struct Pki {
    directory: PathBuf,
    certificate: String,
    key: String,
    /// What a request has to show.
    pub token: String,
}

impl Pki {
    /// What is in `directory`; what is missing is made.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn load(directory: &Path) -> Result<Self, PkiError> {
        let of = |name: &str| {
            let path = directory.join(name);
            files::read(&path).map_err(|source| PkiError::File { path, source })
        };
        let (certificate, key) = match (of(CA_CERTIFICATE)?, of(CA_KEY)?) {
            (Some(certificate), Some(key)) => (certificate, key),
            _ => {
                let (certificate, key) = authority().map_err(|source| wrong(directory, source))?;
                write(directory, CA_KEY, &key)?;
                write(directory, CA_CERTIFICATE, &certificate)?;
                (certificate, key)
            }
        };
        let token = match of(TOKEN)?.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()) {
            Some(token) => token,
            None => {
                let token = new_token();
                write(directory, TOKEN, &token)?;
                token
            }
        };
        Ok(Self { directory: directory.to_owned(), certificate, key, token })
    }

    /// TLS for these names and addresses, beside those of loopback.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn tls(&self, names: &[String]) -> Result<Arc<ServerConfig>, PkiError> {
        let wrong = |source| wrong(&self.directory, source);
        let key = KeyPair::from_pem(&self.key).map_err(wrong)?;
        let issuer = Issuer::new(authority_params().map_err(wrong)?, key);
        let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        all.extend(names.iter().filter(|name| !is_any(name)).cloned());
        all.dedup();
        let mut params = CertificateParams::new(all).map_err(wrong)?;
        valid(&mut params, CERTIFICATE_LIFE);
        params.distinguished_name.push(DnType::CommonName, "fleetmesh standalone");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server_key = KeyPair::generate().map_err(wrong)?;
        let certificate = params.signed_by(&server_key, &issuer).map_err(wrong)?;
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Writes the kubeconfig for the API at `server`; answers where.
    ///
    /// # Errors
    /// [`PkiError::File`].
    pub fn kubeconfig(&self, server: &str) -> Result<PathBuf, PkiError> {
        use base64::Engine as _;
        let authority = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        // JSON is YAML.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "fleetmesh",
                "cluster": { "server": server, "certificate-authority-data": authority },
            }],
            "users": [{ "name": "fleetmesh", "user": { "token": self.token } }],
            "contexts": [{ "name": "fleetmesh", "context": { "cluster": "fleetmesh", "user": "fleetmesh" } }],
            "current-context": "fleetmesh",
        });
        write(&self.directory, KUBECONFIG, &format!("{config:#}\n"))?;
        Ok(self.directory.join(KUBECONFIG))
    }
}

fn wrong(directory: &Path, source: rcgen::Error) -> PkiError {
    PkiError::Authority { path: directory.to_owned(), source }
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), PkiError> {
    let path = directory.join(name);
    files::replace(&path, text.as_bytes()).map_err(|source| PkiError::File { path, source })
}

/// 256 bits that nobody can guess.
fn new_token() -> String {
    // Two of version 4, each of 122 bits by the system's generator.
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

/// A CA that signs servers, and its key.
fn authority() -> Result<(String, String), rcgen::Error> {
    let (params, key) = (authority_params()?, KeyPair::generate()?);
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// What its certificate says. What it signs needs the name alone, which is always the same.
fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    valid(&mut params, CA_LIFE);
    params.distinguished_name.push(DnType::CommonName, "fleetmesh standalone CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn valid(params: &mut CertificateParams, life: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - LATE_CLOCKS).into();
    params.not_after = (now + life).into();
}

/// Whether it is the address of every interface, which is nobody's name.
fn is_any(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}
