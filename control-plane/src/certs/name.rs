//! The subject of a CA's certificate, which is the issuer of what it signs: both must be identical to the byte. Pure.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Header, Reader, SliceReader, Tag};
use rcgen::{DistinguishedName, DnType, DnValue};
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The subject of `certificate`.
///
/// # Errors
/// In words: it is no certificate, or its subject is of a kind that no CA of ours has.
pub fn subject(certificate: &CertificateDer<'_>) -> Result<DistinguishedName, String> {
    let parsed = EndEntityCert::try_from(certificate).map_err(|error| error.to_string())?;
    let attributes = attributes(parsed.subject()).map_err(|error| format!("its subject: {error}"))?;
    let mut name = DistinguishedName::new();
    for (oid, value) in attributes {
        let oid: Vec<u64> = oid.arcs().map(u64::from).collect();
        name.push(DnType::from_oid(&oid), text(&value)?);
    }
    Ok(name)
}

/// What a `Name` says, in order: sets of sequences of a type and a value.
fn attributes(content: &[u8]) -> der::Result<Vec<(ObjectIdentifier, AnyRef<'_>)>> {
    let mut reader = SliceReader::new(content)?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        Header::decode(&mut reader)?.tag().assert_eq(Tag::Set)?;
        Header::decode(&mut reader)?.tag().assert_eq(Tag::Sequence)?;
        found.push((ObjectIdentifier::decode(&mut reader)?, AnyRef::decode(&mut reader)?));
    }
    Ok(found)
}

fn text(value: &AnyRef<'_>) -> Result<DnValue, String> {
    let unreadable = |_| "its subject is no text".to_owned();
    let bytes = || String::from_utf8(value.value().to_vec()).map_err(|_| "its subject is no text".to_owned());
    match value.header().tag() {
        Tag::Utf8String => Ok(DnValue::Utf8String(bytes()?)),
        Tag::PrintableString => Ok(DnValue::PrintableString(bytes()?.try_into().map_err(unreadable)?)),
        Tag::Ia5String => Ok(DnValue::Ia5String(bytes()?.try_into().map_err(unreadable)?)),
        other => Err(format!(
            "its subject has a value of type {other}: UTF8String, PrintableString or IA5String was expected"
        )),
    }
}
