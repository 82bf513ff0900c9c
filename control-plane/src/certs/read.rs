//! Reading a CA: its certificates, and the key that signs or the name of one that KMS holds.

use rcgen::{CertificateParams, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use webpki::EndEntityCert;

use super::signer::{HeldSigner, Reason, Signer};
use super::{Authority, CertificateError, PublicKey, constraints, name};
use crate::kms::KmsKeyHandle;
use crate::secret::Secret;
use crate::tls;

impl Authority {
    /// Reads a CA whose root signs: `bundle`, the certificates of its roots, and the key of one of them, all in PEM.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn read(bundle: &[u8], key: &Secret) -> Result<Self, CertificateError> {
        Self::read_with(bundle, None, key)
    }

    /// Reads a CA: `bundle`, the certificates of its roots, of which there is more than one while one replaces the other;
    /// `signing`, the intermediate that `key` belongs to and those between it and a root, the lowest first, unless a root
    /// signs; all in PEM.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn read_with(bundle: &[u8], signing: Option<&[u8]>, key: &Secret) -> Result<Self, CertificateError> {
        let private =
            PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).map_err(|_| CertificateError::Key)?;
        let private = KeyPair::try_from(&private).map_err(|_| CertificateError::Key)?;
        let files = PemFiles::read(bundle, signing)?;
        let own = of_key(&files.roots, &private).cloned();
        let signer = files.between.first().cloned().or(own).unwrap_or_else(|| files.first.clone());
        files.authority(&signer, Signer::Own(private), Reason::default())
    }

    /// The same with a key that KMS holds. KMS is not asked: the first certificate of `signing`, or else of `bundle`, says
    /// what the public key is, and everything that KMS signs is verified by it.
    ///
    /// Who signs with it waits for KMS: not on a thread of the runtime.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn read_held(
        bundle: &[u8],
        signing: Option<&[u8]>,
        held: &KmsKeyHandle,
    ) -> Result<Self, CertificateError> {
        let files = PemFiles::read(bundle, signing)?;
        let signer = files.between.first().unwrap_or(&files.first).clone();
        let unfit = |reason: String| CertificateError::Authority(reason);
        let parsed = EndEntityCert::try_from(&signer).map_err(|error| unfit(error.to_string()))?;
        let public = PublicKey::from_spki(&parsed.subject_public_key_info()).map_err(unfit)?;
        let reason = Reason::default();
        let held = HeldSigner { held: held.clone(), public, reason: reason.clone() };
        files.authority(&signer, Signer::Held(held), reason)
    }
}

/// What a CA is read from, but for its key.
struct PemFiles<'a> {
    bundle: &'a [u8],
    signing: Option<&'a [u8]>,
    /// The first of `roots`.
    first: CertificateDer<'static>,
    roots: Vec<CertificateDer<'static>>,
    between: Vec<CertificateDer<'static>>,
}

impl<'a> PemFiles<'a> {
    fn read(bundle: &'a [u8], signing: Option<&'a [u8]>) -> Result<Self, CertificateError> {
        let roots = certificates(bundle)?;
        let none = || CertificateError::Authority("it holds no certificate in PEM".into());
        let first = roots.first().cloned().ok_or_else(none)?;
        let between = signing.map(certificates).transpose()?.unwrap_or_default();
        Ok(Self { bundle, signing, first, roots, between })
    }

    /// The CA whose certificate `signer` belongs to `key`.
    fn authority(
        self,
        signer: &CertificateDer<'_>,
        key: Signer,
        reason: Reason,
    ) -> Result<Authority, CertificateError> {
        let unreadable = CertificateError::Authority;
        let mut params = CertificateParams::default();
        params.distinguished_name = name::subject(signer).map_err(unreadable)?;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let identifier = constraints::key_identifier(signer);
        let names_key = identifier.is_some();
        if let Some(identifier) = identifier {
            params.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
        }
        Ok(Authority {
            names_key,
            issuer: Issuer::new(params, key),
            reason,
            bundle: String::from_utf8_lossy(self.bundle).into_owned(),
            end: tls::not_after(signer).map_err(unreadable)?,
            may_sign_authorities: constraints::may_sign_authorities(signer),
            verifier: tls::chain_verifier(self.roots).map_err(unreadable)?,
            chain: self.signing.map(String::from_utf8_lossy).map(ensure_line).unwrap_or_default(),
            between: self.between,
        })
    }
}

/// All certificates in `pem`.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let none = || CertificateError::Authority("it holds no certificate in PEM".into());
    found.ok().filter(|found| !found.is_empty()).ok_or_else(none)
}

/// The certificate of `key` among `certificates`.
fn of_key<'a>(
    certificates: &'a [CertificateDer<'static>],
    key: &KeyPair,
) -> Option<&'a CertificateDer<'static>> {
    let public = key.subject_public_key_info();
    let is_of = |certificate: &&CertificateDer<'_>| {
        let parsed = EndEntityCert::try_from(*certificate);
        parsed.is_ok_and(|parsed| *parsed.subject_public_key_info() == *public)
    };
    certificates.iter().find(is_of)
}

/// PEM that more may follow.
fn ensure_line(text: std::borrow::Cow<'_, str>) -> String {
    if text.ends_with('\n') { text.into_owned() } else { text.into_owned() + "\n" }
}
