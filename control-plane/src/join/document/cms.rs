//! Signed messages (CMS `SignedData`, RFC 5652) of the one form that EC2 makes: content of the type `data` inside, one signer,
//! SHA-256 and RSA. Read as BER, because EC2 writes indefinite lengths. Certificates in the message are ignored: the caller decides
//! whose signature it accepts. Pure.

use der::asn1::{ContextSpecific, ObjectIdentifier, OctetString};
use der::{Decode, DecodeValue, ErrorKind, FixedTag, Header, Reader, Tag, TagNumber};
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// The first byte of a set, in place of that of the attributes' tag when they are signed.
const SET: u8 = 0x31;

/// What `message` holds, when the key of one of `certificates` signed it.
///
/// # Errors
/// In words: it is no such message, or none of them signed it.
pub fn verify(message: &[u8], certificates: &[CertificateDer<'_>]) -> Result<Vec<u8>, String> {
    let signed = Signed::read(message)?;
    if certificates.iter().any(|certificate| signed.is_by(certificate)) {
        Ok(signed.content)
    } else {
        Err("no certificate that is trusted signed it".into())
    }
}

/// A message of which it is not known yet who signed it.
pub struct Signed {
    content: Vec<u8>,
    /// The bytes that are signed: the content, or attributes with its digest.
    covered: Vec<u8>,
    signature: OctetString,
}

impl Signed {
    /// Reads a message.
    ///
    /// # Errors
    /// In words: it is none of the form, or its signature is not of its content.
    pub fn read(message: &[u8]) -> Result<Self, String> {
        let outer = Outer::from_ber(message).map_err(|error| format!("it is no signed message: {error}"))?;
        let SignedData { content, signers } = outer.0;
        let Ok([signer]) = <[CmsSigner<'_>; 1]>::try_from(signers) else {
            return Err("it does not have exactly one signature".into());
        };
        Ok(Self { covered: signer.covers(&content)?, content, signature: signer.signature })
    }

    /// What it holds, which anybody may have made unless [`Self::is_by`].
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Whether the key of `certificate` signed it, an RSA key of 2,048 bits or more.
    pub fn is_by(&self, certificate: &CertificateDer<'_>) -> bool {
        let algorithm = webpki::aws_lc_rs::RSA_PKCS1_2048_8192_SHA256;
        let by = EndEntityCert::try_from(certificate);
        by.is_ok_and(|by| by.verify_signature(algorithm, &self.covered, self.signature.as_bytes()).is_ok())
    }
}

/// A sequence of a type that follows it: `ContentInfo`.
struct Outer<'a>(SignedData<'a>);

/// `SignedData`, of which the content and the signers are kept.
struct SignedData<'a> {
    content: Vec<u8>,
    signers: Vec<CmsSigner<'a>>,
}

/// `EncapsulatedContentInfo`.
struct SignedContent(Vec<u8>);

/// `AlgorithmIdentifier`, without its parameters.
struct Algorithm(ObjectIdentifier);

/// The set of `SignerInfo`.
struct Signers<'a>(Vec<CmsSigner<'a>>);

/// `SignerInfo`.
struct CmsSigner<'a> {
    digest: ObjectIdentifier,
    /// The attributes as they were sent, when there are any: they are signed then, and the content by its digest in them.
    attributes: Option<&'a [u8]>,
    algorithm: ObjectIdentifier,
    signature: OctetString,
}

/// `Attribute`, of which the values are kept as they are.
struct Attribute<'a> {
    kind: ObjectIdentifier,
    values: &'a [u8],
}

impl CmsSigner<'_> {
    /// The bytes whose signature it is, when it is one of `content`.
    fn covers(&self, content: &[u8]) -> Result<Vec<u8>, String> {
        if self.digest != SHA_256 || ![RSA, RSA_SHA_256].contains(&self.algorithm) {
            return Err(format!(
                "it is signed by {} and {}, not by SHA-256 and RSA",
                self.digest, self.algorithm
            ));
        }
        let Some(attributes) = self.attributes else { return Ok(content.to_vec()) };
        let mut signed = attributes.to_vec();
        if let Some(first) = signed.first_mut() {
            *first = SET;
        }
        let found = Attributes::from_der(&signed).map_err(|error| format!("its attributes: {error}"))?;
        let kind = found.only(CONTENT_TYPE).and_then(|value| ObjectIdentifier::from_der(value).ok());
        let digest =
            found.only(MESSAGE_DIGEST).and_then(|value| <&der::asn1::OctetStringRef>::from_der(value).ok());
        let right = digest.is_some_and(|digest| digest.as_bytes() == Sha256::digest(content).as_slice());
        if kind == Some(DATA) && right {
            Ok(signed)
        } else {
            Err("its attributes are not of its content".into())
        }
    }
}

/// The attributes that are signed.
struct Attributes<'a>(Vec<Attribute<'a>>);

impl<'a> Attributes<'a> {
    /// The one value of the one attribute of this kind.
    fn only(&self, kind: ObjectIdentifier) -> Option<&'a [u8]> {
        let mut found = self.0.iter().filter(|attribute| attribute.kind == kind);
        match (found.next(), found.next()) {
            (Some(attribute), None) => Some(attribute.values),
            _ => None,
        }
    }
}

/// Passes over whatever comes next.
fn skip<'a, R: Reader<'a>>(reader: &mut R) -> der::Result<()> {
    let length = Header::decode(reader)?.length();
    reader.drain(length)
}

/// Passes over what comes next while it has a tag of this context.
fn skip_optional<'a, R: Reader<'a>>(reader: &mut R) -> der::Result<()> {
    while !reader.is_finished() && Tag::peek(reader)?.is_context_specific() {
        skip(reader)?;
    }
    Ok(())
}

/// The value in the explicit tag [0] of this context.
fn explicit<'a, R: Reader<'a>, T: Decode<'a, Error = der::Error>>(reader: &mut R) -> der::Result<T> {
    let found = ContextSpecific::<T>::decode_explicit(reader, TagNumber(0))?;
    found.map(|found| found.value).ok_or_else(|| ErrorKind::Failed.into())
}

fn oid<'a, R: Reader<'a>>(reader: &mut R, expected: ObjectIdentifier) -> der::Result<()> {
    let oid = ObjectIdentifier::decode(reader)?;
    if oid == expected { Ok(()) } else { Err(ErrorKind::OidUnknown { oid }.into()) }
}

impl FixedTag for Outer<'_> {
    const TAG: Tag = Tag::Sequence;
}

impl<'a> DecodeValue<'a> for Outer<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _: Header) -> der::Result<Self> {
        oid(reader, SIGNED_DATA)?;
        explicit(reader).map(Self)
    }
}

impl FixedTag for SignedData<'_> {
    const TAG: Tag = Tag::Sequence;
}

impl<'a> DecodeValue<'a> for SignedData<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _: Header) -> der::Result<Self> {
        // The version, the digests' algorithms.
        skip(reader)?;
        skip(reader)?;
        let SignedContent(content) = SignedContent::decode(reader)?;
        // Certificates and revocations.
        skip_optional(reader)?;
        let Signers(signers) = Signers::decode(reader)?;
        Ok(Self { content, signers })
    }
}

impl FixedTag for SignedContent {
    const TAG: Tag = Tag::Sequence;
}

impl<'a> DecodeValue<'a> for SignedContent {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _: Header) -> der::Result<Self> {
        oid(reader, DATA)?;
        explicit::<R, OctetString>(reader).map(|content| Self(content.into_bytes().into()))
    }
}

impl FixedTag for Algorithm {
    const TAG: Tag = Tag::Sequence;
}

impl<'a> DecodeValue<'a> for Algorithm {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _: Header) -> der::Result<Self> {
        let oid = ObjectIdentifier::decode(reader)?;
        while !reader.is_finished() {
            skip(reader)?;
        }
        Ok(Self(oid))
    }
}

impl FixedTag for Signers<'_> {
    const TAG: Tag = Tag::Set;
}

impl<'a> DecodeValue<'a> for Signers<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _: Header) -> der::Result<Self> {
        let mut signers = Vec::new();
        while !reader.is_finished() {
            signers.push(CmsSigner::decode(reader)?);
        }
        Ok(Self(signers))
    }
}

impl FixedTag for CmsSigner<'_> {
    const TAG: Tag = Tag::Sequence;
}

impl<'a> DecodeValue<'a> for CmsSigner<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _: Header) -> der::Result<Self> {
        // The version, and who signed: the certificates that are trusted say that.
        skip(reader)?;
        skip(reader)?;
        let Algorithm(digest) = Algorithm::decode(reader)?;
        let attributes = match Tag::peek(reader)? {
            Tag::ContextSpecific { number: TagNumber(0), constructed: true } => Some(reader.tlv_bytes()?),
            _ => None,
        };
        let Algorithm(algorithm) = Algorithm::decode(reader)?;
        let signature = OctetString::decode(reader)?;
        skip_optional(reader)?;
        Ok(Self { digest, attributes, algorithm, signature })
    }
}

impl FixedTag for Attributes<'_> {
    const TAG: Tag = Tag::Set;
}

impl<'a> DecodeValue<'a> for Attributes<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _: Header) -> der::Result<Self> {
        let mut attributes = Vec::new();
        while !reader.is_finished() {
            attributes.push(Attribute::decode(reader)?);
        }
        Ok(Self(attributes))
    }
}

impl FixedTag for Attribute<'_> {
    const TAG: Tag = Tag::Sequence;
}

impl<'a> DecodeValue<'a> for Attribute<'a> {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _: Header) -> der::Result<Self> {
        let kind = ObjectIdentifier::decode(reader)?;
        let header = Header::decode(reader)?;
        header.tag().assert_eq(Tag::Set)?;
        let values = reader.read_slice(header.length())?;
        // Each has one value only, which is then all that is read of them.
        Ok(Self { kind, values })
    }
}
