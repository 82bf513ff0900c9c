//! Whom a question trusts: the CAs of this system, or those that a provider names.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::Failure;

/// The TLS of a question. The CAs of this system are read once.
///
/// # Errors
/// `pem` holds no certificates of CAs.
pub fn config(pem: Option<&str>) -> Result<Arc<ClientConfig>, Failure> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let Some(pem) = pem else {
        if let Some(config) = SYSTEM.get() {
            return Ok(Arc::clone(config));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let config = trusting(roots)?;
        return Ok(Arc::clone(SYSTEM.get_or_init(|| config)));
    };
    let mut roots = RootCertStore::empty();
    let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes());
    let valid = certificates.all(|certificate| certificate.is_ok_and(|found| roots.add(found).is_ok()));
    if valid && !roots.is_empty() { trusting(roots) } else { Err(Failure::Authority) }
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, Failure> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| Failure::Untrusted)?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
