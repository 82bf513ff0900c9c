//! Keys that AWS KMS holds: it signs and decrypts with them, and nobody gets them. This program uses them by the trait
//! [`HeldKey`], so that tests of its users need no AWS.
//!
//! KMS is a service like any other: sometimes it is unavailable, and it denies requests. Every error names the key.

mod arn;
mod client;
#[cfg(test)]
pub(crate) mod fake;

use std::fmt;
use std::io;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::runtime::{Builder, Handle, Runtime};

pub use arn::KeyArn;
pub use client::AwsKey;

/// What a data key is for. KMS decrypts it together with the same pairs only, and its log and its policies know them: they
/// are no secret.
pub type KmsContext = [(&'static str, &'static str)];

/// How a key of an elliptic curve signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// With a key on P-256: `ECDSA_SHA_256`.
    EcdsaSha256,
    /// With a key on P-384: `ECDSA_SHA_384`.
    EcdsaSha384,
}

/// A key that KMS made to encrypt data with.
pub struct DataKey {
    /// The key, 32 bytes, which nothing but memory holds.
    pub plain: Vec<u8>,
    /// The same, as KMS encrypted it: to be stored.
    pub encrypted: Vec<u8>,
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(** redacted **)")
    }
}

/// Why KMS did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KmsError {
    /// What was to be decrypted is of another key or another context, or was altered. It stays so.
    #[error("{0}")]
    Foreign(String),
    /// It does not answer, or refuses: the key is disabled, or the credentials have no right to it. That may pass.
    #[error("{0}")]
    Failed(String),
}

/// One key of KMS.
pub trait HeldKey: fmt::Debug + Send + Sync + 'static {
    /// Its name.
    fn arn(&self) -> &KeyArn;

    /// Its public half, as a DER `SubjectPublicKeyInfo` (`kms:GetPublicKey`).
    ///
    /// # Errors
    /// See [`KmsError`].
    fn public_key(&self) -> BoxFuture<'_, Result<Vec<u8>, KmsError>>;

    /// Signs a digest, which has the length that `signing` says; the signature is DER (`kms:Sign` with a message type of
    /// DIGEST).
    ///
    /// # Errors
    /// See [`KmsError`].
    fn sign(&self, digest: Vec<u8>, signing: Signing) -> BoxFuture<'_, Result<Vec<u8>, KmsError>>;

    /// A new key to encrypt data with, bound to `context` (`kms:GenerateDataKey`).
    ///
    /// # Errors
    /// See [`KmsError`].
    fn generate_data_key(&self, context: &'static KmsContext) -> BoxFuture<'_, Result<DataKey, KmsError>>;

    /// The plain key of [`DataKey::encrypted`], with the context that it was made with (`kms:Decrypt`).
    ///
    /// # Errors
    /// [`KmsError::Foreign`] when it is another key's or of another context; see [`KmsError`].
    fn decrypt(
        &self,
        encrypted: Vec<u8>,
        context: &'static KmsContext,
    ) -> BoxFuture<'_, Result<Vec<u8>, KmsError>>;
}

/// A key, and what waits for KMS on behalf of code that is not asynchronous.
#[derive(Clone)]
pub struct KmsKeyHandle {
    key: Arc<dyn HeldKey>,
    handle: Handle,
    /// The runtime of a command that has no other.
    _runtime: Option<Arc<Runtime>>,
}

impl KmsKeyHandle {
    /// `key`, which is waited for by the runtime of `handle`, from threads that may block.
    pub fn new(key: Arc<dyn HeldKey>, handle: Handle) -> Self {
        Self { key, handle, _runtime: None }
    }

    /// The key with this ARN, for a command that runs outside of any runtime.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn of_command(arn: &KeyArn) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let handle = runtime.handle().clone();
        Ok(Self { key: Arc::new(AwsKey::new(arn.clone())), handle, _runtime: Some(Arc::new(runtime)) })
    }

    /// The key's name.
    pub fn arn(&self) -> &KeyArn {
        self.key.arn()
    }

    /// [`HeldKey::public_key`], from a thread that may block.
    ///
    /// # Errors
    /// See [`KmsError`].
    pub fn public_key(&self) -> Result<Vec<u8>, KmsError> {
        self.handle.block_on(self.key.public_key())
    }

    /// [`HeldKey::sign`], from a thread that may block.
    ///
    /// # Errors
    /// See [`KmsError`].
    pub fn sign(&self, digest: Vec<u8>, signing: Signing) -> Result<Vec<u8>, KmsError> {
        self.handle.block_on(self.key.sign(digest, signing))
    }
}

impl fmt::Debug for KmsKeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.key).finish()
    }
}
