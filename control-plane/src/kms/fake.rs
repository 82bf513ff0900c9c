//! KMS of unit tests: a real key in memory, and what it answers can be taken away.

use std::sync::{Arc, Mutex};

use aws_lc_rs::digest::{Digest, SHA256, SHA384};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
};
use futures::future::{BoxFuture, ready};
use rcgen::PublicKeyData;

use super::{HeldKey, KeyArn, KmsError, Signing};

/// A key of KMS.
#[derive(Debug)]
pub(crate) struct FakeKey {
    arn: KeyArn,
    signing: Signing,
    pair: EcdsaKeyPair,
    /// What KMS says in the place of an answer.
    pub(crate) away: Mutex<Option<KmsError>>,
    /// How often it was asked.
    pub(crate) asked: Mutex<u32>,
}

impl FakeKey {
    /// A new key, whose ARN ends in `id`.
    pub(crate) fn new(id: &str, signing: Signing) -> Arc<Self> {
        let pair = match signing {
            Signing::EcdsaSha256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING),
            Signing::EcdsaSha384 => EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING),
        };
        let arn = format!("arn:aws:kms:us-west-2:111122223333:key/{id}").parse().expect("an ARN");
        let pair = pair.expect("a key");
        Arc::new(Self { arn, signing, pair, away: Mutex::default(), asked: Mutex::default() })
    }

    fn answer<T>(&self, answer: impl FnOnce() -> T) -> Result<T, KmsError> {
        *self.asked.lock().expect("no panic") += 1;
        self.away.lock().expect("no panic").clone().map_or_else(|| Ok(answer()), Err)
    }
}

impl HeldKey for FakeKey {
    fn arn(&self) -> &KeyArn {
        &self.arn
    }

    fn public_key(&self) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        let der = || {
            let algorithm = match self.signing {
                Signing::EcdsaSha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
                Signing::EcdsaSha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            };
            Point(self.pair.public_key().as_ref(), algorithm).subject_public_key_info()
        };
        Box::pin(ready(self.answer(der)))
    }

    fn sign(&self, digest: Vec<u8>, signing: Signing) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        let algorithm = match signing {
            Signing::EcdsaSha256 => &SHA256,
            Signing::EcdsaSha384 => &SHA384,
        };
        let sign = || {
            let digest = Digest::import_less_safe(&digest, algorithm).expect("a digest of its length");
            // KMS says so of an algorithm that is not the key's.
            let refused = |_| KmsError::Failed("InvalidKeyUsageException".into());
            self.pair.sign_digest(&digest).map(|signature| signature.as_ref().to_vec()).map_err(refused)
        };
        Box::pin(ready(self.answer(sign).and_then(|signed| signed)))
    }
}

struct Point<'a>(&'a [u8], &'static rcgen::SignatureAlgorithm);

impl PublicKeyData for Point<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.1
    }
}
