//! How client certificates are judged: the handshake takes any certificate whose key its sender has, or none, so that a
//! proxy that is refused learns why as the status of its stream and not as a broken connection.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fleetmesh_tls::within_bounds;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::{WebPkiClientVerifier, roots};

/// Judges whether certificates are a client's and come from a CA that is trusted.
pub type ChainVerifier = Arc<dyn ClientCertVerifier>;

/// The one implementation of cryptography in this program.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A judge that trusts `authorities`.
///
/// # Errors
/// In words: one of them is no CA.
pub fn chain_verifier(authorities: Vec<CertificateDer<'static>>) -> Result<ChainVerifier, String> {
    let roots = Arc::new(roots(authorities)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).allow_unauthenticated();
    verifier.build().map_err(|error| error.to_string())
}

/// Judges the certificate of a client at `now`. What that costs is bounded: no path is looked for in a longer chain than
/// [`within_bounds`] allows.
///
/// # Errors
/// In words: what speaks against it.
pub fn verified(
    verifier: &ChainVerifier,
    leaf: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    now: SystemTime,
) -> Result<(), String> {
    within_bounds(leaf, between)
        .map_err(|error| format!("the client certificate is not looked at: {error}"))?;
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
    verifier.verify_client_cert(leaf, between, now).map(drop).map_err(|error| words(&error))
}

fn words(error: &Error) -> String {
    let why = match error {
        Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired".into(),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "is not valid yet: is a clock wrong?".into()
            }
            // A CA of the same name with another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "was not signed by a CA of --ca-cert".into()
            }
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                "is not one for clients".into()
            }
            other => format!("is not valid: {other}"),
        },
        other => format!("is not valid: {other}"),
    };
    format!("the client certificate {why}")
}

/// Takes any certificate and none, but no chain that is too long to be judged; that its sender has the key is checked all the
/// same.
#[derive(Debug)]
pub(super) struct AcceptAny(pub(super) ChainVerifier);

impl ClientCertVerifier for AcceptAny {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        within_bounds(leaf, between)?;
        // Whom it proves is judged after the handshake, by `verified`: until then it proves nobody.
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
