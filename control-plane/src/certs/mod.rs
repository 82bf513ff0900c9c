//! Certificates of a mesh's own CA: the root, the intermediate that signs for it, those of proxies (which name virtual
//! nodes) and that of the control plane. Makes them and reads no clock; [`command`] reads and writes the files.
//!
//! The root's key can stay offline: an intermediate signs, and every certificate carries it along. A CA of one certificate,
//! whose key signs, goes on working. A bundle may hold several roots, so that one can replace another.

pub mod command;
mod constraints;
mod files;
mod key;
mod name;
mod request;
mod sign;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use webpki::EndEntityCert;

use crate::secret::Secret;
use crate::tls;
pub use key::PublicKey;
pub use request::{Name, SigningRequest};

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
    #[error("{0:?} cannot stand in a certificate: it is not ASCII, or no name of a host")]
    Name(String),
    /// It would outlive its CA, and be of no use from then on.
    #[error(
        "the certificate would end at {end}, after the CA that signs it, at {authority}: choose a shorter --validity, or renew the CA"
    )]
    Outlives {
        /// When the certificate would end.
        end: String,
        /// When the CA ends.
        authority: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
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
    self_signed(name, validity, 0)
}

/// Makes a CA that may sign intermediates, which sign certificates of proxies and servers.
///
/// # Errors
/// See [`CertificateError`].
pub fn new_root(name: &str, validity: Validity) -> Result<Issued, CertificateError> {
    self_signed(name, validity, 1)
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
    issuer: Issuer<'static, KeyPair>,
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
        let unreadable = |error: String| CertificateError::Authority(error);
        let roots = certificates(bundle)?;
        let between = signing.map(certificates).transpose()?.unwrap_or_default();
        let private =
            PrivateKeyDer::from_pem_slice(key.reveal().as_bytes()).map_err(|_| CertificateError::Key)?;
        let private = KeyPair::try_from(&private).map_err(|_| CertificateError::Key)?;
        let signer = between.first().or_else(|| of_key(&roots, &private)).or(roots.first());
        let signer = signer.ok_or_else(|| unreadable("it holds no certificate in PEM".into()))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name::subject(signer).map_err(unreadable)?;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let identifier = constraints::key_identifier(signer);
        let names_key = identifier.is_some();
        if let Some(identifier) = identifier {
            params.key_identifier_method = KeyIdMethod::PreSpecified(identifier);
        }
        Ok(Self {
            names_key,
            issuer: Issuer::new(params, private),
            bundle: String::from_utf8_lossy(bundle).into_owned(),
            end: tls::not_after(signer).map_err(unreadable)?,
            may_sign_authorities: constraints::may_sign_authorities(signer),
            verifier: tls::chain_verifier(roots).map_err(unreadable)?,
            chain: signing.map(String::from_utf8_lossy).map(ensure_line).unwrap_or_default(),
            between,
        })
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
        let mut params = authority_params(name, validity, 0)?;
        params.use_authority_key_identifier_extension = self.names_key;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let issued = Issued { certificate, key: Secret::new(key.serialize_pem()) };
        // It is of use when what it signs is trusted.
        let signed =
            Self::read_with(self.bundle.as_bytes(), Some(issued.certificate.as_bytes()), &issued.key)?;
        signed.issue_client("check", &[], validity)?;
        Ok(issued)
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
        let mut params = params(name, validity)?;
        for uri in uris {
            let ascii = uri.as_str().try_into().map_err(|_| CertificateError::Name(uri.clone()))?;
            params.subject_alt_names.push(SanType::URI(ascii));
        }
        params.use_authority_key_identifier_extension = self.names_key;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let signed = params.signed_by(key, &self.issuer)?;
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
        params.use_authority_key_identifier_extension = self.names_key;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        Ok(params.signed_by(key, &self.issuer)?.pem() + &self.chain)
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
