//! Certificate signing requests (PKCS #10): what the holder of a key asks a CA for, signed with that key. Pure.
//!
//! Parsed with the `der` crate, which is a dependency already; only the key and the names are taken from the request. The signer
//! decides what is certified, never the request.

use std::collections::BTreeSet;
use std::net::IpAddr;

use aws_lc_rs::signature::UnparsedPublicKey;
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Header, Reader, SliceReader, Tag};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, SanType};
use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;

use super::CertificateError;
use super::constraints::CONSTRAINTS;
use super::key::PublicKey;
use crate::secret::Secret;

/// `extensionRequest` of PKCS #9.
const EXTENSIONS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
/// `subjectAltName`.
const NAMES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// The largest request, in bytes of PEM.
const LARGEST: usize = 64 * 1024;

/// A name that a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// A host.
    Dns(String),
    /// An address.
    Address(IpAddr),
    /// A URI: the ARN of a virtual node, in ours.
    Uri(String),
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dns(name) | Self::Uri(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// A request for a certificate, and the key that it is about.
#[derive(Debug)]
pub struct NewRequest {
    /// The request, in PEM.
    pub request: String,
    /// The key, in PEM.
    pub key: Secret,
}

/// Makes a key, and a request for a certificate of it with these subject alternative names: URIs, names of hosts, and addresses.
///
/// # Errors
/// [`CertificateError::Name`], or it cannot be made.
pub fn new_request(
    uris: &[String],
    names: &[String],
    addresses: &[IpAddr],
) -> Result<NewRequest, CertificateError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for uri in uris {
        let ascii = uri.as_str().try_into().map_err(|_| CertificateError::Name(uri.clone()))?;
        params.subject_alt_names.push(SanType::URI(ascii));
    }
    for name in names {
        let ascii = name.as_str().try_into().map_err(|_| CertificateError::Name(name.clone()))?;
        params.subject_alt_names.push(SanType::DnsName(ascii));
    }
    params.subject_alt_names.extend(addresses.iter().copied().map(SanType::IpAddress));
    let key = KeyPair::generate()?;
    let request = params.serialize_request(&key)?.pem()?;
    Ok(NewRequest { request, key: Secret::new(key.serialize_pem()) })
}

/// A request whose sender has the key.
#[derive(Debug)]
pub struct SigningRequest {
    /// The key to certify.
    pub key: PublicKey,
    /// The names that are asked for; often none.
    pub names: BTreeSet<Name>,
}

impl SigningRequest {
    /// Reads a request in PEM and verifies that it was signed with the key that it is about.
    ///
    /// # Errors
    /// In words.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        if pem.len() > LARGEST {
            return Err(format!("it has more than {LARGEST} bytes"));
        }
        let der = CertificateSigningRequestDer::from_pem_slice(pem)
            .map_err(|_| "it holds no certificate signing request in PEM".to_owned())?;
        Self::parse(&der)
    }

    pub(super) fn parse(der: &[u8]) -> Result<Self, String> {
        let malformed = |error: der::Error| format!("it is no certificate signing request: {error}");
        let outer = OuterRequest::parse(der).map_err(malformed)?;
        let key = PublicKey::from_spki(outer.key)?;
        let proof = UnparsedPublicKey::new(key.verification(), key.point());
        if outer.algorithm != key.signature_oid() || proof.verify(outer.signed, outer.signature).is_err() {
            return Err("it was not signed with the key that it is about".into());
        }
        let names = match outer.attributes {
            None => BTreeSet::new(),
            Some(attributes) => requested(attributes).map_err(malformed)??,
        };
        Ok(Self { key, names })
    }
}

/// The parts of a request, as bytes.
struct OuterRequest<'a> {
    signed: &'a [u8],
    key: &'a [u8],
    attributes: Option<&'a [u8]>,
    algorithm: ObjectIdentifier,
    signature: &'a [u8],
}

impl<'a> OuterRequest<'a> {
    fn parse(der: &'a [u8]) -> der::Result<Self> {
        let mut outer = sequence(der)?;
        let signed = outer.tlv_bytes()?;
        let mut algorithm = sequence(outer.tlv_bytes()?)?;
        let algorithm = ObjectIdentifier::decode(&mut algorithm)?;
        let signature = BitStringRef::decode(&mut outer)?;
        let signature = signature.as_bytes().ok_or_else(|| der::Error::from(Tag::BitString.value_error()))?;
        outer.finish()?;
        let mut info = sequence(signed)?;
        // The version and the subject, which no certificate of ours takes over.
        info.tlv_bytes()?;
        info.tlv_bytes()?;
        let key = info.tlv_bytes()?;
        let attributes = (!info.is_finished()).then(|| info.tlv_bytes()).transpose()?;
        info.finish()?;
        Ok(Self { signed, key, attributes, algorithm, signature })
    }
}

/// Reads into the sequence that `der` is.
pub(super) fn sequence(der: &[u8]) -> der::Result<SliceReader<'_>> {
    SliceReader::new(content(der, Tag::Sequence)?)
}

fn content(der: &[u8], expected: Tag) -> der::Result<&[u8]> {
    let value = AnyRef::from_der(der)?;
    value.header().tag().assert_eq(expected)?;
    Ok(value.value())
}

type Requested = Result<BTreeSet<Name>, String>;

/// The names among the attributes, each an extension that is asked for.
fn requested(attributes: &[u8]) -> der::Result<Requested> {
    let mut reader = SliceReader::new(AnyRef::from_der(attributes)?.value())?;
    let mut names = BTreeSet::new();
    while !reader.is_finished() {
        let mut attribute = sequence(reader.tlv_bytes()?)?;
        if ObjectIdentifier::decode(&mut attribute)? != EXTENSIONS {
            continue;
        }
        let mut values = SliceReader::new(content(attribute.tlv_bytes()?, Tag::Set)?)?;
        let mut extensions = sequence(values.tlv_bytes()?)?;
        while !extensions.is_finished() {
            let extension = extensions.tlv_bytes()?;
            match read_extension(extension)? {
                Ok(more) => names.extend(more),
                Err(reason) => return Ok(Err(reason)),
            }
        }
    }
    Ok(Ok(names))
}

fn read_extension(extension: &[u8]) -> der::Result<Requested> {
    let mut reader = sequence(extension)?;
    let oid = ObjectIdentifier::decode(&mut reader)?;
    if Tag::peek(&reader)? == Tag::Boolean {
        reader.tlv_bytes()?;
    }
    let value = <&OctetStringRef>::decode(&mut reader)?.as_bytes();
    if oid == NAMES {
        return general_names(value);
    }
    // A leading boolean says that the key is to be a CA's.
    let constraints = oid == CONSTRAINTS && !sequence(value)?.is_finished();
    Ok(if constraints { Err("it asks for a CA's certificate".into()) } else { Ok(BTreeSet::new()) })
}

fn general_names(der: &[u8]) -> der::Result<Requested> {
    let mut reader = sequence(der)?;
    let mut names = BTreeSet::new();
    while !reader.is_finished() {
        let name = reader.tlv_bytes()?;
        let mut inner = SliceReader::new(name)?;
        let header = Header::decode(&mut inner)?;
        let value = inner.read_slice(header.length())?;
        let text = || {
            std::str::from_utf8(value)
                .map(str::to_owned)
                .map_err(|_| der::Error::from(header.tag().value_error()))
        };
        names.insert(match (header.tag().number().value(), value.len()) {
            (2, _) => Name::Dns(text()?),
            (6, _) => Name::Uri(text()?),
            (7, 4) => Name::Address(IpAddr::from(<[u8; 4]>::try_from(value).unwrap_or_default())),
            (7, 16) => Name::Address(IpAddr::from(<[u8; 16]>::try_from(value).unwrap_or_default())),
            _ => return Ok(Err("it asks for a name that is no host, address or URI".into())),
        });
    }
    Ok(Ok(names))
}
