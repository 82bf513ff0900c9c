//! TLS for listeners that other hosts reach: the server's certificate, and who proxies prove to be by theirs. The files
//! are read again when they change. Connections that exist keep the server's certificate that they were made with, and end
//! when no CA that is trusted by then signed the client's.

mod certificate;
#[cfg(test)]
mod tests;
mod verifier;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use fleetmesh_mesh::holder::Holder;
use fleetmesh_mesh::identity::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use webpki::EndEntityCert;

use crate::reload::{self, FileError, Named};
pub use certificate::Certificate;
pub(crate) use certificate::not_after;
use verifier::AcceptAny;
pub use verifier::{ChainVerifier, chain_verifier, verified};

/// Protocols of the App Mesh API; gRPC speaks the first alone.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A process of this host, or of whoever may enter the folder of a Unix socket. It is not asked who it is.
    Local,
    /// Somebody from elsewhere who has not proved to be anybody, and why not.
    Unproven(String),
    /// The holder of a certificate that the control plane's CA signed.
    Certified(Arc<Certificate>),
}

impl Caller {
    /// Who has the certificate; none without one.
    pub fn holder(&self) -> Option<Holder> {
        match self {
            Self::Certified(certificate) => Some(certificate.holder),
            Self::Local | Self::Unproven(_) => None,
        }
    }
}

/// What a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The App Mesh API: callers prove themselves by the signatures of their requests.
    Api,
    /// Proxies: they prove themselves by certificates.
    Proxies,
    /// Instances that join: they prove themselves by STS.
    Join,
}

/// The files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The server's certificate and those between it and its CA (PEM).
    pub certificate: PathBuf,
    /// The server's key (PEM).
    pub key: PathBuf,
    /// The certificates of the CAs that sign those of proxies (PEM).
    pub ca: Option<PathBuf>,
}

impl TlsFiles {
    fn certificate(&self) -> Named {
        Named { flag: "--tls-cert", path: self.certificate.clone() }
    }

    fn key(&self) -> Named {
        Named { flag: "--tls-key", path: self.key.clone() }
    }

    fn ca(&self) -> Option<Named> {
        self.ca.clone().map(|path| Named { flag: "--ca-cert", path })
    }

    fn all(&self) -> Vec<Named> {
        [self.certificate(), self.key()].into_iter().chain(self.ca()).collect()
    }
}

/// What was read of the files.
pub(crate) struct Material {
    leaf: CertificateDer<'static>,
    api: Arc<ServerConfig>,
    proxies: Option<(Arc<ServerConfig>, ChainVerifier)>,
}

impl Material {
    fn load(files: &TlsFiles) -> Result<Self, FileError> {
        let (certificate, key) = (files.certificate(), files.key());
        let chain = certificates(&certificate)?;
        let leaf = chain.first().cloned().ok_or_else(|| certificate.error("it holds no certificate"))?;
        let parsed = PrivateKeyDer::from_pem_slice(&key.read()?)
            .map_err(|_| key.error("it holds no private key in PEM (PKCS #8, PKCS #1 or SEC 1)"))?;
        let base = || {
            ServerConfig::builder_with_provider(verifier::provider()).with_safe_default_protocol_versions()
        };
        let unusable = |error: rustls::Error| certificate.error(format!("with its key: {error}"));
        let api = base().map_err(unusable)?.with_no_client_auth();
        let api = api.with_single_cert(chain.clone(), parsed.clone_key()).map_err(unusable)?;
        let proxies = match files.ca() {
            None => None,
            Some(ca) => {
                let chain_verifier = chain_verifier(certificates(&ca)?).map_err(|reason| ca.error(reason))?;
                let builder = base().map_err(unusable)?;
                let builder =
                    builder.with_client_cert_verifier(Arc::new(AcceptAny(Arc::clone(&chain_verifier))));
                let config = builder.with_single_cert(chain, parsed).map_err(unusable)?;
                Some((ready(config, &PROTOCOLS[..1]), chain_verifier))
            }
        };
        Ok(Self { leaf, api: ready(api, &PROTOCOLS), proxies })
    }

    /// What a listener for `purpose` accepts connections with.
    pub(crate) fn config(&self, purpose: Purpose) -> Option<Arc<ServerConfig>> {
        match purpose {
            Purpose::Api | Purpose::Join => Some(Arc::clone(&self.api)),
            Purpose::Proxies => self.proxies.as_ref().map(|(config, _)| Arc::clone(config)),
        }
    }

    /// Whether `chain`, as of [`Self::caller`], still leads to a CA that is trusted.
    fn trusts(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> bool {
        let Some(((_, verifier), (leaf, between))) = self.proxies.as_ref().zip(chain.split_first()) else {
            return false;
        };
        verified(verifier, leaf, between, now).is_ok()
    }

    /// Whom `chain`, the certificate of a client that has its key and those that came with it, proves at `now`.
    pub(crate) fn caller(
        &self,
        chain: Option<&[CertificateDer<'static>]>,
        identity: &Identity,
        now: SystemTime,
    ) -> Caller {
        let Some((_, verifier)) = &self.proxies else {
            return Caller::Unproven("this listener takes no client certificates".into());
        };
        let Some(([leaf], between)) = chain.map(|chain| chain.split_at(chain.len().min(1))) else {
            return Caller::Unproven("no client certificate was sent".into());
        };
        match verified(verifier, leaf, between, now) {
            Err(reason) => Caller::Unproven(reason),
            Ok(()) => match Certificate::parse(leaf, identity) {
                Ok(certificate) => Caller::Certified(Arc::new(certificate)),
                Err(reason) => Caller::Unproven(format!("the client certificate cannot be read: {reason}")),
            },
        }
    }
}

/// What both kinds of listeners have in common.
fn ready(mut config: ServerConfig, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    // No session is resumed: each connection is judged by the certificate and the CA of its own time.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

/// The certificates in `file`, at least one.
fn certificates(file: &Named) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file.read()?).collect();
    match parsed {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(file.error("it holds no certificate in PEM")),
    }
}

/// The TLS of a control plane's listeners.
#[derive(Clone)]
pub struct Tls {
    pub(crate) material: watch::Receiver<Arc<Material>>,
    pub(crate) identity: Arc<Identity>,
    source: Arc<(TlsFiles, watch::Sender<Arc<Material>>)>,
}

impl Tls {
    /// Reads `files`. Proxies prove to be virtual nodes of `identity`.
    ///
    /// # Errors
    /// A file cannot be read or used; the message names it and its flag.
    pub fn load(files: TlsFiles, identity: Identity) -> Result<Self, FileError> {
        let (sender, material) = watch::channel(Arc::new(Material::load(&files)?));
        Ok(Self { material, identity: Arc::new(identity), source: Arc::new((files, sender)) })
    }

    /// Whether the server's certificate is for `name`.
    pub(crate) fn serves(&self, name: &ServerName<'_>) -> bool {
        let material = self.material.borrow();
        let leaf = EndEntityCert::try_from(&material.leaf);
        leaf.is_ok_and(|leaf| leaf.verify_is_valid_for_subject_name(name).is_ok())
    }

    /// Whether proxies can prove themselves.
    pub fn knows_proxies(&self) -> bool {
        self.source.0.ca.is_some()
    }

    /// Waits until the CAs have changed and none of them signed `chain` any more: a root that was taken out for its key is
    /// lost to an attacker ends what that key let in, and one that is replaced while both are there ends nothing.
    pub(crate) async fn distrusts(&self, chain: &[CertificateDer<'static>]) {
        let mut material = self.material.clone();
        while material.changed().await.is_ok() {
            let new = Arc::clone(&material.borrow_and_update());
            if !new.trusts(chain, SystemTime::now()) {
                return;
            }
        }
        // Nobody reads the files any more.
        std::future::pending().await
    }

    /// Reads the files again whenever they change, until `shutdown`.
    pub async fn follow(self, shutdown: CancellationToken) {
        let (files, sender) = &*self.source;
        let load = || {
            sender.send_replace(Arc::new(Material::load(files)?));
            Ok(())
        };
        reload::follow(files.all(), load, shutdown).await;
    }
}

/// Roots of trust for [`WebPkiClientVerifier`].
fn roots(certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|error| format!("a certificate in it is no CA's: {error}"))?;
    }
    Ok(roots)
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.source.0).finish_non_exhaustive()
    }
}
