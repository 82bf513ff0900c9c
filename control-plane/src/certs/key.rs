//! Public keys whose private keys somebody else holds: their points are checked to lie on the curve. Pure.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use der::asn1::{BitStringRef, ObjectIdentifier};
use der::{Decode, Reader, Tag};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData, SignatureAlgorithm};

use super::request::sequence;
use crate::kms::Signing;

/// `id-ecPublicKey`.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `prime256v1`.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// `secp384r1`.
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// `ecdsa-with-SHA256`.
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// `ecdsa-with-SHA384`.
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");

/// The curves that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
}

/// A key of ECDSA on P-256 or P-384.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    curve: Curve,
    point: Vec<u8>,
}

impl PublicKey {
    /// A key of P-256: `point` is uncompressed (65 bytes, the first of which is 4).
    ///
    /// # Errors
    /// In words: it is not of this form, or no point of the curve.
    pub fn p256(point: &[u8]) -> Result<Self, String> {
        Self::checked(Curve::P256, point)
    }

    /// The key of a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// In words: it is of another kind, or no point of its curve.
    pub(super) fn from_spki(der: &[u8]) -> Result<Self, String> {
        let parse = || -> der::Result<(Option<ObjectIdentifier>, Vec<u8>)> {
            let mut reader = sequence(der)?;
            let mut algorithm = sequence(reader.tlv_bytes()?)?;
            let kind = ObjectIdentifier::decode(&mut algorithm)?;
            // Keys of other kinds have other parameters.
            let curve = if kind == EC { Some(ObjectIdentifier::decode(&mut algorithm)?) } else { None };
            let bits = BitStringRef::decode(&mut reader)?;
            let bytes = bits.as_bytes().ok_or_else(|| der::Error::from(Tag::BitString.value_error()))?;
            Ok((curve, bytes.to_vec()))
        };
        let (curve, point) = parse().map_err(|error| format!("its key cannot be read: {error}"))?;
        let curve = match curve {
            Some(P256) => Curve::P256,
            Some(P384) => Curve::P384,
            _ => return Err("its key is not one of ECDSA on P-256 or P-384: make such a key".into()),
        };
        Self::checked(curve, &point)
    }

    fn checked(curve: Curve, point: &[u8]) -> Result<Self, String> {
        let length = match curve {
            Curve::P256 => 65,
            Curve::P384 => 97,
        };
        let key = Self { curve, point: point.to_vec() };
        if point.len() != length || point.first() != Some(&4) {
            return Err("the key is no uncompressed point of its curve".into());
        }
        // It is parsed to see that it is on the curve: a certificate must not vouch for anything else.
        match ParsedPublicKey::new(key.verification(), point) {
            Ok(_) => Ok(key),
            Err(_) => Err("the key is no point of its curve".into()),
        }
    }

    pub(super) fn verification(&self) -> &'static EcdsaVerificationAlgorithm {
        match self.curve {
            Curve::P256 => &ECDSA_P256_SHA256_ASN1,
            Curve::P384 => &ECDSA_P384_SHA384_ASN1,
        }
    }

    /// What it signs with.
    pub(super) fn signature_oid(&self) -> ObjectIdentifier {
        match self.curve {
            Curve::P256 => SHA256,
            Curve::P384 => SHA384,
        }
    }

    /// How KMS signs with it.
    pub(super) fn signing(&self) -> Signing {
        match self.curve {
            Curve::P256 => Signing::EcdsaSha256,
            Curve::P384 => Signing::EcdsaSha384,
        }
    }

    /// The point.
    pub(super) fn point(&self) -> &[u8] {
        &self.point
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self.curve {
            Curve::P256 => &PKCS_ECDSA_P256_SHA256,
            Curve::P384 => &PKCS_ECDSA_P384_SHA384,
        }
    }
}
