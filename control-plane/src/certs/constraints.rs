//! The constraints in a CA's certificate that matter for what it signs. Pure.
//!
//! How many CAs may follow it: a verifier need not check that of trusted roots, but Envoy's does. And the id of its key: of two roots
//! with the same name, one of which replaces the other, Envoy finds the right one only by that.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tag};

use super::request::sequence;

/// `basicConstraints`.
pub const CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
/// `subjectKeyIdentifier`.
const KEY_IDENTIFIER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");

/// Whether the holder of `certificate` may sign the certificate of a CA.
pub fn may_sign_authorities(certificate: &[u8]) -> bool {
    matches!(constraints(certificate), Ok(Some((true, below))) if below != Some(0))
}

/// What its key is called, when it says so.
pub fn key_identifier(certificate: &[u8]) -> Option<Vec<u8>> {
    let value = extension(certificate, KEY_IDENTIFIER).ok()??;
    <&OctetStringRef>::from_der(value).ok().map(|identifier| identifier.as_bytes().to_vec())
}

/// Whether it is a CA's, and how many CAs may stand below it; none when it does not say.
fn constraints(certificate: &[u8]) -> der::Result<Option<(bool, Option<u8>)>> {
    extension(certificate, CONSTRAINTS)?.map(read).transpose()
}

/// The value of an extension of a certificate.
fn extension(certificate: &[u8], wanted: ObjectIdentifier) -> der::Result<Option<&[u8]>> {
    let mut tbs = sequence(sequence(certificate)?.tlv_bytes()?)?;
    while !tbs.is_finished() {
        let tag = Tag::peek(&tbs)?;
        let field = tbs.tlv_bytes()?;
        if !tag.is_context_specific() || tag.number().value() != 3 {
            continue;
        }
        let mut extensions = sequence(AnyRef::from_der(field)?.value())?;
        while !extensions.is_finished() {
            let mut extension = sequence(extensions.tlv_bytes()?)?;
            if ObjectIdentifier::decode(&mut extension)? != wanted {
                continue;
            }
            if Tag::peek(&extension)? == Tag::Boolean {
                extension.tlv_bytes()?;
            }
            return Ok(Some(<&OctetStringRef>::decode(&mut extension)?.as_bytes()));
        }
    }
    Ok(None)
}

fn read(value: &[u8]) -> der::Result<(bool, Option<u8>)> {
    let mut reader: SliceReader<'_> = sequence(value)?;
    let authority = !reader.is_finished() && bool::decode(&mut reader)?;
    let below = (!reader.is_finished()).then(|| u8::decode(&mut reader)).transpose()?;
    Ok((authority, below))
}
