//! The CA of an endpoint that has no certificate of a public CA: a file, which is read again when it changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_smithy_http_client::tls::{TlsContext, TrustStore};

/// How often the file is looked at, while there are requests. It is small, so it is read in passing.
const LOOK: Duration = Duration::from_secs(1);

/// Whom a client trusts.
#[derive(Clone, Default)]
pub struct Trust(Option<Arc<FileAuthority>>);

struct FileAuthority {
    path: PathBuf,
    seen: Mutex<SeenCertificates>,
}

struct SeenCertificates {
    at: Instant,
    pem: Vec<u8>,
    /// How often the content changed.
    changes: u64,
}

impl Trust {
    /// The CAs that this system trusts.
    pub fn system() -> Self {
        Self::default()
    }

    /// The CAs in `path` (PEM), and no others.
    ///
    /// # Errors
    /// In words: the file cannot be read, or holds no certificates of CAs.
    pub fn file(path: &Path) -> Result<Self, String> {
        let pem = read(path)?;
        let seen = Mutex::new(SeenCertificates { at: Instant::now(), pem, changes: 0 });
        Ok(Self(Some(Arc::new(FileAuthority { path: path.to_owned(), seen }))))
    }

    /// The newest content of the file as the HTTP client wants it, and how often it changed.
    fn current(&self) -> (u64, Option<TlsContext>) {
        let Some(authority) = &self.0 else { return (0, None) };
        let mut seen = authority.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.elapsed() >= LOOK {
            seen.at = Instant::now();
            // In the middle of a swap the former content stays.
            if let Ok(pem) = read(&authority.path)
                && pem != seen.pem
            {
                seen.pem = pem;
                seen.changes += 1;
            }
        }
        let store = TrustStore::empty().with_pem_certificate(seen.pem.clone());
        (seen.changes, TlsContext::builder().with_trust_store(store).build().ok())
    }
}

/// The content of `path`, checked: the HTTP client panics on what is no certificate.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match fleetmesh_tls::roots(&pem) {
        Some(_) => Ok(pem),
        None => Err(format!("{}: it holds no certificate of a CA in PEM", path.display())),
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trust").field(&self.0.as_ref().map(|authority| &authority.path)).finish()
    }
}

/// Something that is made for those whom a client trusts, and made anew when they change.
#[derive(Debug)]
pub(crate) struct Made<T> {
    trust: Trust,
    make: fn(Option<TlsContext>) -> T,
    made: Mutex<(u64, T)>,
}

impl<T: Clone> Made<T> {
    pub(crate) fn new(trust: Trust, make: fn(Option<TlsContext>) -> T) -> Self {
        let (changes, context) = trust.current();
        Self { trust, make, made: Mutex::new((changes, make(context))) }
    }

    pub(crate) fn get(&self) -> T {
        let (changes, context) = self.trust.current();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.0 != changes {
            *made = (changes, (self.make)(context));
        }
        made.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused_by_its_name() {
        let path = std::env::temp_dir().join(format!("fleetmesh-trust-{}", std::process::id()));
        let error = Trust::file(&path).expect_err("absent");
        assert!(error.contains("fleetmesh-trust-"), "{error}");
        std::fs::write(&path, "no certificate").expect("written");
        let error = Trust::file(&path).expect_err("no certificate");
        assert!(error.ends_with("it holds no certificate of a CA in PEM"), "{error}");
        std::fs::remove_file(&path).expect("removed");
    }
}
