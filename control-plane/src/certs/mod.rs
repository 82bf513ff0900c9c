//! Certificates of a mesh's own CA: the root, the intermediate that signs for it, those of proxies (which name virtual
//! nodes) and that of the control plane. Makes them, and reads no clock and no files.
//!
//! The root's key can stay offline: an intermediate signs, and every certificate carries it along. A CA of one certificate, whose
//! key signs, continues to work. A bundle may hold several roots, so that one can replace another. The signing key may be held by
//! KMS, which signs then.

mod constraints;
mod error;
#[cfg(test)]
mod held_tests;
mod key;
mod name;
mod read;
mod request;
mod signer;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, DnsName};

use crate::kms::KmsKeyHandle;
use crate::secret::Secret;
use crate::tls;
pub use error::CertificateError;
pub use key::PublicKey;
pub use request::{Name, NewRequest, SigningRequest, new_request};
use signer::{HeldSigner, Reason, Signer};

/// How much earlier than its making a certificate begins: clocks differ.
const BEFORE: Duration = Duration::from_secs(5 * 60);

/// A certificate with its key, in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: Secret,
}

/// For how long a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub struct Validity {
    /// The moment of its making.
    pub now: SystemTime,
    /// How long it is valid from then on.
    pub length: Duration,
}

/// Makes a CA that may sign certificates of proxies and servers, and no other CA's.
///
/// # Errors
/// See [`CertificateError`].
pub fn new_authority(name: &str, validity: Validity) -> Result<Issued, CertificateError> {
    self_signed(name, validity, 0)
}

/// Makes a CA that may sign intermediates, which sign certificates of proxies and servers.
///
/// # Errors
/// See [`CertificateError`].
pub fn new_root(name: &str, validity: Validity) -> Result<Issued, CertificateError> {
    self_signed(name, validity, 1)
}

/// The same for a key that KMS holds, which is asked for its public half and for a signature; the certificate in PEM.
///
/// # Errors
/// See [`CertificateError`].
pub fn new_authority_of(
    held: &KmsKeyHandle,
    name: &str,
    validity: Validity,
) -> Result<String, CertificateError> {
    let (reason, public) = (Reason::default(), held_public_key(held)?);
    let signer = HeldSigner { held: held.clone(), public, reason: reason.clone() };
    let params = authority_params(name, validity, 0)?;
    let certificate = params.self_signed(&Signer::Held(signer)).map_err(|error| reason.of(error))?;
    Ok(certificate.pem())
}

/// The public half of a key that KMS holds.
fn held_public_key(held: &KmsKeyHandle) -> Result<PublicKey, CertificateError> {
    let key = held.arn().to_string();
    let failed = |reason: String| CertificateError::Unread { key: key.clone(), reason };
    let public = held.public_key().map_err(|error| failed(error.to_string()))?;
    PublicKey::from_spki(&public).map_err(failed)
}

fn self_signed(name: &str, validity: Validity, below: u8) -> Result<Issued, CertificateError> {
    let params = authority_params(name, validity, below)?;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok(Issued { certificate, key: Secret::new(key.serialize_pem()) })
}

/// What a CA's certificate says; `below` is how many further CAs may stand between it and what is signed.
fn authority_params(
    name: &str,
    validity: Validity,
    below: u8,
) -> Result<CertificateParams, CertificateError> {
    let mut params = params(name, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn params(name: &str, Validity { now, length }: Validity) -> Result<CertificateParams, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + length).into();
    params.serial_number = Some(serial()?);
    Ok(params)
}

/// A random serial number of 128 bits. Made from the key, as the library would, it would repeat with the key.
fn serial() -> Result<SerialNumber, CertificateError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| CertificateError::Random)?;
    Ok(SerialNumber::from_slice(&bytes))
}

/// A CA that signs.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, Signer>,
    reason: Reason,
    bundle: String,
    /// The certificates between a root and what is signed, the signing one first; none when a root signs.
    between: Vec<CertificateDer<'static>>,
    chain: String,
    end: SystemTime,
    /// Whether what is signed says which key signed it.
    names_key: bool,
    may_sign_authorities: bool,
    verifier: tls::ChainVerifier,
}

impl Authority {
    /// Signs what `params` say of `key`.
    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<Certificate, CertificateError> {
        params.use_authority_key_identifier_extension = self.names_key;
        params.signed_by(key, &self.issuer).map_err(|error| self.reason.of(error))
    }

    /// The certificates of the CA's roots, in PEM: what it signs is trusted by them.
    pub fn certificate(&self) -> &str {
        &self.bundle
    }

    /// When the certificate that signs ends.
    pub fn end(&self) -> SystemTime {
        self.end
    }

    /// Refuses what would outlive the certificate that signs it.
    ///
    /// # Errors
    /// [`CertificateError::Outlives`].
    pub fn check_end(&self, Validity { now, length }: Validity) -> Result<(), CertificateError> {
        let end = now + length;
        // Certificates count whole seconds.
        if end.duration_since(self.end).is_ok_and(|late| late >= Duration::from_secs(1)) {
            let text = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
            return Err(CertificateError::Outlives { end: text(end), authority: text(self.end) });
        }
        Ok(())
    }

    /// `validity`, which ends with the certificate that signs at the latest; in whole seconds.
    pub fn capped(&self, Validity { now, length }: Validity) -> Validity {
        let left = self.end.duration_since(now).unwrap_or_default();
        Validity { now, length: Duration::from_secs(length.min(left).as_secs()) }
    }

    /// An intermediate, which signs certificates of proxies and servers in the place of this root.
    ///
    /// # Errors
    /// See [`CertificateError`]: among them, this is no root that may sign CAs.
    pub fn issue_intermediate(&self, name: &str, validity: Validity) -> Result<Issued, CertificateError> {
        if !self.may_sign_authorities {
            let reason = "it may not sign CAs: `fleetmesh certs init` makes a root that may";
            return Err(CertificateError::Unfit(reason.into()));
        }
        let key = KeyPair::generate()?;
        let certificate = self.sign(authority_params(name, validity, 0)?, &key)?.pem();
        let issued = Issued { certificate, key: Secret::new(key.serialize_pem()) };
        // It is of use when what it signs is trusted.
        let signed =
            Self::read_with(self.bundle.as_bytes(), Some(issued.certificate.as_bytes()), &issued.key)?;
        signed.issue_client("check", &[], validity)?;
        Ok(issued)
    }

    /// The same for a key that KMS holds, which signs nothing for it; the certificate in PEM.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn issue_intermediate_of(
        &self,
        held: &KmsKeyHandle,
        name: &str,
        validity: Validity,
    ) -> Result<String, CertificateError> {
        let public = held_public_key(held)?;
        // One for another key shows that what such an intermediate signs is trusted.
        self.issue_intermediate(name, validity)?;
        Ok(self.sign(authority_params(name, validity, 0)?, &public)?.pem())
    }

    /// A certificate for a proxy, with a new key: `uris` are its subject alternative names.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn issue_client(
        &self,
        name: &str,
        uris: &[String],
        validity: Validity,
    ) -> Result<Issued, CertificateError> {
        let key = KeyPair::generate()?;
        let certificate = self.sign_client(name, uris, &key, validity)?;
        Ok(Issued { certificate, key: Secret::new(key.serialize_pem()) })
    }

    /// The same for a key that somebody else has.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn sign_client(
        &self,
        name: &str,
        uris: &[String],
        key: &impl PublicKeyData,
        validity: Validity,
    ) -> Result<String, CertificateError> {
        self.sign_for(vec![ExtendedKeyUsagePurpose::ClientAuth], name, uris, key, validity)
    }

    /// A certificate for both ends of connections between proxies, for a key that somebody else has: `uri` is its only name.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn sign_peer(
        &self,
        name: &str,
        uri: &str,
        key: &impl PublicKeyData,
        validity: Validity,
    ) -> Result<String, CertificateError> {
        let both = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign_for(both, name, &[uri.to_owned()], key, validity)
    }

    /// A certificate of a proxy for these purposes, among them a client's.
    fn sign_for(
        &self,
        purposes: Vec<ExtendedKeyUsagePurpose>,
        name: &str,
        uris: &[String],
        key: &impl PublicKeyData,
        validity: Validity,
    ) -> Result<String, CertificateError> {
        let mut params = params(name, validity)?;
        for uri in uris {
            let ascii = uri.as_str().try_into().map_err(|_| CertificateError::Name(uri.clone()))?;
            params.subject_alt_names.push(SanType::URI(ascii));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = purposes;
        let signed = self.sign(params, key)?;
        tls::verified(&self.verifier, signed.der(), &self.between, validity.now)
            .map_err(CertificateError::Unfit)?;
        Ok(signed.pem() + &self.chain)
    }

    /// A certificate for a server that is reached by these names and addresses.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn issue_server(
        &self,
        names: &[String],
        addresses: &[IpAddr],
        validity: Validity,
    ) -> Result<Issued, CertificateError> {
        let key = KeyPair::generate()?;
        let certificate = self.sign_server(names, addresses, &key, validity)?;
        Ok(Issued { certificate, key: Secret::new(key.serialize_pem()) })
    }

    /// The same for a key that somebody else has.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn sign_server(
        &self,
        names: &[String],
        addresses: &[IpAddr],
        key: &impl PublicKeyData,
        validity: Validity,
    ) -> Result<String, CertificateError> {
        let mut params = params("fleetmesh control plane", validity)?;
        for name in names {
            let refused = || CertificateError::Name(name.clone());
            let host = name.strip_prefix("*.").unwrap_or(name);
            DnsName::try_from(host).map_err(|_| refused())?;
            params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into().map_err(|_| refused())?));
        }
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok(self.sign(params, key)?.pem() + &self.chain)
    }
}
