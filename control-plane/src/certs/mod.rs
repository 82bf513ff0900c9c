//! Certificates of a mesh's own CA: the CA itself, those of proxies (which name virtual nodes) and that of the control
//! plane. Makes them and reads no clock; [`command`] reads and writes the files.

pub mod command;
mod files;
mod name;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::secret::Secret;
use crate::tls;

/// How much earlier than its making a certificate begins: clocks differ.
const BEFORE: Duration = Duration::from_secs(5 * 60);

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The CA's certificate is none.
    #[error("the CA's certificate cannot be used: {0}")]
    Authority(String),
    /// The CA's key is none.
    #[error("the CA's key cannot be used: it is no private key in PEM (PKCS #8, PKCS #1 or SEC 1)")]
    Key,
    /// The two do not belong together, or the CA may not sign.
    #[error("the CA's certificate and key do not belong together, or it may not sign: {0}")]
    Unfit(String),
    /// A name cannot stand in a certificate.
    #[error("{0:?} cannot stand in a certificate: it is not ASCII")]
    Name(String),
    /// It could not be made.
    #[error("cannot make the certificate: {0}")]
    Make(String),
}

impl From<rcgen::Error> for CertificateError {
    fn from(error: rcgen::Error) -> Self {
        Self::Make(error.to_string())
    }
}

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
    let mut params = params(name, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok(Issued { certificate, key: Secret::new(key.serialize_pem()) })
}

fn params(name: &str, Validity { now, length }: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + length).into();
    params
}

/// A CA that signs.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    verifier: tls::ChainVerifier,
}

impl Authority {
    /// Reads a CA: its certificate and key in PEM. A certificate file may hold several; the first signs.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn read(certificate: &[u8], key: &Secret) -> Result<Self, CertificateError> {
        let unreadable = |error: String| CertificateError::Authority(error);
        let der = CertificateDer::from_pem_slice(certificate)
            .map_err(|_| unreadable("it holds no certificate in PEM".into()))?;
        let private =
            PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).map_err(|_| CertificateError::Key)?;
        let private = KeyPair::try_from(&private).map_err(|_| CertificateError::Key)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name::subject(&der).map_err(unreadable)?;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok(Self {
            issuer: Issuer::new(params, private),
            certificate: String::from_utf8_lossy(certificate).into_owned(),
            verifier: tls::chain_verifier(vec![der]).map_err(unreadable)?,
        })
    }

    /// The CA's own certificate, in PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
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
        let mut params = params(name, validity);
        for uri in uris {
            let ascii = uri.as_str().try_into().map_err(|_| CertificateError::Name(uri.clone()))?;
            params.subject_alt_names.push(SanType::URI(ascii));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let signed = params.signed_by(key, &self.issuer)?;
        tls::verified(&self.verifier, signed.der(), &[], validity.now).map_err(CertificateError::Unfit)?;
        Ok(signed.pem())
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
        let mut params = params("fleetmesh control plane", validity);
        for name in names {
            let ascii = name.as_str().try_into().map_err(|_| CertificateError::Name(name.clone()))?;
            params.subject_alt_names.push(SanType::DnsName(ascii));
        }
        params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate, key: Secret::new(key.serialize_pem()) })
    }
}
