//! The keys that seal access keys: a key in a file, or a data key that a key of KMS protects.
//!
//! KMS makes the data key, which is stored beside the secrets as KMS encrypted it; KMS decrypts it at the start, with the same
//! encryption context, and the plain one is in memory only. So a copy of the database is useless without the permission to decrypt
//! with KMS, which can be revoked and which CloudTrail logs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::LoadError;
use super::data_keys::DataKeyRow;
use super::error::KeyError;
use super::seal::{SealError, SealKeys};
use super::store::KeyStore;
use crate::kms::{HeldKey, KmsContext, KmsError};

/// What the data key is for, as KMS has to hear it each time. Policies of IAM name it.
pub const CONTEXT: &KmsContext = &[("fleetmesh.dev/purpose", "access-keys")];

/// What secrets are sealed with.
#[derive(Clone, Debug)]
pub enum SealSource {
    /// The file of `--seal-key-file`.
    File(PathBuf),
    /// The key of `--seal-kms-key`.
    Kms(Arc<dyn HeldKey>),
}

impl SealSource {
    /// The keys that seal and open the secrets in `data_dir`. `old` open as well, what was sealed before.
    ///
    /// With KMS the data key of `data_dir` is decrypted, or a first one made and stored, unless secrets there are sealed by a
    /// key that would be missing then.
    ///
    /// # Errors
    /// [`SealError::Kms`] when KMS is away or refuses, which may pass; others stay.
    pub async fn open(&self, data_dir: &Path, old: Option<SealKeys>) -> Result<SealKeys, LoadError> {
        let keys = match self {
            Self::File(path) => SealKeys::read(path, data_dir)?,
            Self::Kms(key) => data_key(key.as_ref(), data_dir, old.as_ref()).await?,
        };
        Ok(match old {
            Some(old) => keys.then(old),
            None => keys,
        })
    }
}

async fn data_key(key: &dyn HeldKey, data_dir: &Path, old: Option<&SealKeys>) -> Result<SealKeys, LoadError> {
    let arn = key.arn().to_string();
    let failed = |error: KmsError| match error {
        KmsError::Foreign(reason) => SealError::Foreign { key: arn.clone(), reason },
        KmsError::Failed(reason) => SealError::Kms { key: arn.clone(), reason },
    };
    let of_bytes = |bytes: &[u8]| {
        let no_key = || failed(KmsError::Failed("it gave no key of 32 bytes".into()));
        SealKeys::of_bytes(bytes).ok_or_else(no_key)
    };
    let stored = known(data_dir, &arn, old)?;
    let encrypted = match stored {
        Some(DataKeyRow { encrypted, .. }) => encrypted,
        None => {
            let made = key.generate_data_key(CONTEXT).await.map_err(failed)?;
            let keys = of_bytes(&made.plain)?;
            let row = DataKeyRow { name: keys.first_name(), encrypted: made.encrypted };
            let kept = KeyStore::open(data_dir, None)?.keep_data_key(&arn, &row, Timestamp::now())?;
            if kept == row {
                return Ok(keys);
            }
            // Another process was first.
            kept.encrypted
        }
    };
    let plain = key.decrypt(encrypted, CONTEXT).await.map_err(failed)?;
    Ok(of_bytes(&plain)?)
}

/// The data key of `data_dir` that the key `arn` of KMS encrypted; none when there is nothing yet that it would have to open.
fn known(data_dir: &Path, arn: &str, old: Option<&SealKeys>) -> Result<Option<DataKeyRow>, KeyError> {
    let store = KeyStore::open(data_dir, None)?;
    let stored = store.data_key(arn)?;
    if stored.is_none() {
        // A data key more would open nothing.
        store.check_opens(old)?;
    }
    Ok(stored)
}
