//! The CAs that an outbound request trusts: those of this system, or those of a provider.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

use super::OutboundFailure;

/// The TLS of a question. The CAs of this system are read once.
///
/// # Errors
/// `pem` holds no certificates of CAs.
pub fn config(pem: Option<&str>) -> Result<Arc<ClientConfig>, OutboundFailure> {
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
    trusting(fleetmesh_tls::roots(pem.as_bytes()).ok_or(OutboundFailure::Authority)?)
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, OutboundFailure> {
    let builder = fleetmesh_tls::trusting(roots).map_err(|_| OutboundFailure::Untrusted)?;
    Ok(Arc::new(builder.with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use base64::Engine as _;
    use fleetmesh_tls::attacks;

    use super::*;

    /// The path-building of one handshake would hold a thread of the runtime for seconds, and no time limit ends it.
    #[test]
    fn a_server_whose_chain_has_paths_without_number_is_refused_before_one_is_looked_for() {
        let authority = attacks::among("a", 1).unwrap().certificates.remove(1);
        let base_64 = base64::engine::general_purpose::STANDARD.encode(authority);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{base_64}\n-----END CERTIFICATE-----\n");
        let said = attacks::shown_to(config(Some(&pem)).unwrap(), attacks::endless().unwrap()).unwrap();
        let why = said.unwrap().to_string();
        assert!(why.contains("at most 5 certificates and 16384 bytes are looked at"), "{why}");
    }
}
