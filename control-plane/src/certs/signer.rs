//! The key that a CA signs with: one of its own, or one that KMS holds.
//!
//! The library's error cannot say why a remote key did not sign, so the reason is kept beside it.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, SHA384, digest};
use aws_lc_rs::signature::UnparsedPublicKey;
use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};

use super::{CertificateError, PublicKey};
use crate::kms::{KmsKeyHandle, Signing};

/// Why the key did not sign last, if it did not.
#[derive(Clone, Debug, Default)]
pub struct Reason(Arc<Mutex<Option<CertificateError>>>);

impl Reason {
    fn put(&self, error: CertificateError) -> rcgen::Error {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        rcgen::Error::RemoteKeyError
    }

    /// The reason behind `error`.
    pub fn of(&self, error: rcgen::Error) -> CertificateError {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_else(|| error.into())
    }
}

/// A key that signs.
pub enum Signer {
    /// Its own.
    Own(KeyPair),
    /// Held by KMS.
    Held(HeldSigner),
}

/// A key that KMS holds, whose public half is known without asking KMS.
pub struct HeldSigner {
    /// The key.
    pub held: KmsKeyHandle,
    /// Its public half, as a certificate or KMS says it.
    pub public: PublicKey,
    /// Why it did not sign.
    pub reason: Reason,
}

impl HeldSigner {
    /// A signature that verifies under the public key, whatever KMS says.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CertificateError> {
        let signing = self.public.signing();
        let digest = match signing {
            Signing::EcdsaSha256 => digest(&SHA256, message),
            Signing::EcdsaSha384 => digest(&SHA384, message),
        };
        let key = self.held.arn().to_string();
        let signature = self
            .held
            .sign(digest.as_ref().to_vec(), signing)
            .map_err(|error| CertificateError::Kms { key: key.clone(), reason: error.to_string() })?;
        // A certificate that does not verify would be refused everywhere, and nobody would know why.
        let verifies = UnparsedPublicKey::new(self.public.verification(), self.public.point());
        match verifies.verify(message, &signature) {
            Ok(()) => Ok(signature),
            Err(_) => Err(CertificateError::OtherKey { key }),
        }
    }
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Own(key) => key.der_bytes(),
            Self::Held(HeldSigner { public, .. }) => public.der_bytes(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Own(key) => PublicKeyData::algorithm(key),
            Self::Held(HeldSigner { public, .. }) => public.algorithm(),
        }
    }
}

impl SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Own(key) => key.sign(message),
            Self::Held(held) => held.sign(message).map_err(|error| held.reason.put(error)),
        }
    }
}
