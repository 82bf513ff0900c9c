//! KMS of unit tests: a real key in memory, whose answers can be switched off.

use std::sync::{Arc, Mutex};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{Digest, SHA256, SHA384};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
};
use futures::future::{BoxFuture, ready};
use rcgen::PublicKeyData;

use super::{DataKey, HeldKey, KeyArn, KmsContext, KmsError, Signing};

/// A key of KMS.
#[derive(Debug)]
pub(crate) struct FakeKey {
    arn: KeyArn,
    signing: Signing,
    pair: EcdsaKeyPair,
    master: RandomizedNonceKey,
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
        let mut master = [0; 32];
        aws_lc_rs::rand::fill(&mut master).expect("random numbers");
        let master = RandomizedNonceKey::new(&AES_256_GCM, &master).expect("a key");
        Arc::new(Self { arn, signing, pair, master, away: Mutex::default(), asked: Mutex::default() })
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

    fn generate_data_key(&self, context: &'static KmsContext) -> BoxFuture<'_, Result<DataKey, KmsError>> {
        let generate = || {
            let mut plain = vec![0; 32];
            aws_lc_rs::rand::fill(&mut plain).expect("random numbers");
            let mut sealed = plain.clone();
            let nonce = self.master.seal_in_place_append_tag(authenticated(context), &mut sealed);
            let encrypted = [nonce.expect("sealed").as_ref().as_slice(), &sealed].concat();
            DataKey { plain, encrypted }
        };
        Box::pin(ready(self.answer(generate)))
    }

    fn decrypt(
        &self,
        encrypted: Vec<u8>,
        context: &'static KmsContext,
    ) -> BoxFuture<'_, Result<Vec<u8>, KmsError>> {
        let decrypt = || {
            let (nonce, sealed) = encrypted.split_at(NONCE_LEN);
            let nonce = Nonce::try_assume_unique_for_key(nonce).expect("a nonce");
            let mut sealed = sealed.to_vec();
            let opened = self.master.open_in_place(nonce, authenticated(context), &mut sealed);
            let foreign = |_| KmsError::Foreign("InvalidCiphertextException".into());
            opened.map(|plain| plain.to_vec()).map_err(foreign)
        };
        Box::pin(ready(self.answer(decrypt).and_then(|plain| plain)))
    }
}

fn authenticated(context: &KmsContext) -> Aad<Vec<u8>> {
    Aad::from(format!("{context:?}").into_bytes())
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
