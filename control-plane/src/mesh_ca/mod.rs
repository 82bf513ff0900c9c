//! The CA of the mesh: it signs the certificates of connections between proxies, and nothing else. It is no part of the CA by which
//! proxies and control planes know each other (`--ca-cert`), which therefore accepts nothing that it signs, and is made by the
//! control plane itself: `mesh-ca.json` in the data directory, sealed as access keys are.
//!
//! One authority takes over from another by [`succession`].

mod file;
mod succession;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Mutex;

use crate::certs::{Authority, Validity, new_authority};
use crate::keys::SealSource;
use crate::keys::seal::SealKeys;
use crate::private;
use crate::tls;
use file::Member;
use succession::Term;

/// The file in the data directory.
const FILE: &str = "mesh-ca.json";
/// What its certificates say whose they are.
const NAME: &str = "fleetmesh mesh";
/// How long KMS may take to open the file.
const LIMIT: Duration = Duration::from_secs(3);
/// How long nothing is tried again after a failure: everybody who joins meanwhile would wait for it.
const PAUSE: Duration = Duration::from_secs(30);

/// Why the mesh has no CA at the moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the CA of the mesh cannot be used, so that proxies get no certificate of the mesh: {0}")]
pub struct MeshCaError(String);

impl MeshCaError {
    fn file(path: &Path, reason: &str) -> Self {
        Self(format!("{}: {reason}", path.display()))
    }
}

/// The CA of the mesh, in a data directory that belongs to this process.
#[derive(Debug)]
pub struct MeshCa {
    data_dir: PathBuf,
    source: Option<SealSource>,
    known: Mutex<Known>,
}

/// What was read or made.
#[derive(Debug, Default)]
struct Known {
    /// What opens and seals the file; known once the file was read.
    seal: Option<Arc<SealKeys>>,
    /// In the order of their making; `None` before the file was read.
    members: Option<Vec<Member>>,
    /// The last failure.
    failed: Option<(Instant, MeshCaError)>,
}

impl MeshCa {
    /// The CA in `data_dir`, whose keys are sealed with `source`. Nothing is read yet.
    pub fn new(data_dir: impl Into<PathBuf>, source: Option<SealSource>) -> Self {
        Self { data_dir: data_dir.into(), source, known: Mutex::default() }
    }

    /// What signs at `now`, and is trusted by whoever has its [`Authority::certificate`]. It is read or made at first, and made
    /// anew in time.
    ///
    /// # Errors
    /// The file cannot be used, or KMS does not open it. For [`PAUSE`] after that nothing is tried.
    pub async fn authority(&self, now: SystemTime) -> Result<Authority, MeshCaError> {
        let mut known = self.known.lock().await;
        if let Some((at, error)) = &known.failed
            && at.elapsed() < PAUSE
        {
            return Err(error.clone());
        }
        let found = self.current(&mut known, now).await;
        known.failed = found.as_ref().err().map(|error| (Instant::now(), error.clone()));
        found
    }

    async fn current(&self, known: &mut Known, now: SystemTime) -> Result<Authority, MeshCaError> {
        let path = self.data_dir.join(FILE);
        let mut members = match known.members.take() {
            Some(members) => members,
            None => self.read(known, &path).await?,
        };
        let terms = terms(&members)?;
        if succession::is_due(&terms, now) {
            let validity = Validity { now, length: succession::LIFE };
            let issued = new_authority(NAME, validity).map_err(|error| MeshCaError(error.to_string()))?;
            let lives = |term: &Term| !term.is_over(now);
            let mut kept: Vec<Member> =
                terms.iter().zip(members).filter(|(term, _)| lives(term)).map(|(_, member)| member).collect();
            kept.push(Member { made: now, issued });
            file::write(&path, &kept, known.seal.as_deref())?;
            tracing::info!(authorities = kept.len(), "a CA of the mesh was made");
            members = kept;
        }
        let authority = authority(&members, now);
        known.members = Some(members);
        authority
    }

    /// Reads the file. What lies in the clear or is sealed by an old key is sealed anew when there is a seal.
    async fn read(&self, known: &mut Known, path: &Path) -> Result<Vec<Member>, MeshCaError> {
        if known.seal.is_none()
            && let Some(source) = &self.source
        {
            let opened = tokio::time::timeout(LIMIT, source.open(&self.data_dir, None)).await;
            let opened = opened.map_err(|_| MeshCaError(format!("KMS gave no answer within {LIMIT:?}")))?;
            known.seal = Some(Arc::new(opened.map_err(|error| MeshCaError(error.to_string()))?));
        }
        private::tighten_file(path);
        let (members, anew) = file::read(path, known.seal.as_deref())?;
        if anew {
            file::write(path, &members, known.seal.as_deref())?;
        }
        Ok(members)
    }
}

fn terms(members: &[Member]) -> Result<Vec<Term>, MeshCaError> {
    let term = |member: &Member| {
        let certificate = CertificateDer::from_pem_slice(member.issued.certificate.as_bytes());
        let certificate = certificate.map_err(|_| MeshCaError("a certificate in it is none".into()))?;
        let end = tls::not_after(&certificate).map_err(MeshCaError)?;
        Ok(Term { made: member.made, end })
    };
    members.iter().map(term).collect()
}

/// The one that signs at `now`, with the certificates of all that are trusted.
fn authority(members: &[Member], now: SystemTime) -> Result<Authority, MeshCaError> {
    let terms = terms(members)?;
    let signing = succession::signs(&terms, now).and_then(|place| members.get(place));
    let signing = signing.ok_or_else(|| MeshCaError("none of its authorities is valid".into()))?;
    let living = terms.iter().zip(members).filter(|(term, _)| !term.is_over(now));
    let bundle: String = living.map(|(_, member)| member.issued.certificate.as_str()).collect();
    Authority::read(bundle.as_bytes(), &signing.issued.key).map_err(|error| MeshCaError(error.to_string()))
}
