//! Access keys of this control plane: what requests from other hosts are signed with. They have nothing to do with AWS's
//! keys, which nobody but AWS can verify.
//!
//! Issued keys are in `access-keys.db` of the data directory, a SQLite database of its own: `fleetmesh control-plane
//! keys` changes it while the control plane runs. Verifying an HMAC takes the secret itself, so the file holds secrets;
//! it has mode 0600, and they are sealed by the key of `--seal-key-file`. Keys of `--access-keys-file` are taken beside
//! them. What a key may do is its [policy](crate::rights::Policy).

pub mod command;
mod error;
mod file;
mod row;
mod schema;
pub mod seal;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::reload::{self, FileError, INTERVAL, Named};
use crate::rights::Holder;
use crate::secret::Secret;
pub use error::KeyError;
use seal::SealKeys;
pub use store::{KeyStore, Listed, NewKey, new_key};

/// A key: what signs requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id, which requests carry.
    pub id: String,
    /// Its secret, which nothing carries.
    pub secret: Secret,
}

/// A key that signs, with what it may do.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Who has it, and what he may do.
    pub holder: Arc<Holder>,
    /// Its secret.
    pub secret: Secret,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// Keys by their ids.
pub type Table = HashMap<String, Arc<Key>>;

/// The keys that count at the moment.
#[derive(Debug, Default)]
pub struct Keys {
    issued: RwLock<Table>,
    given: RwLock<Table>,
    seal: Option<Arc<SealKeys>>,
}

impl Keys {
    /// No keys yet; those in a data directory are sealed with `seal`.
    pub fn new(seal: Option<Arc<SealKeys>>) -> Self {
        Self { seal, ..Self::default() }
    }

    /// The key `id`; none when there is no such key or it was revoked. It may have ended.
    pub fn find(&self, id: &str) -> Option<Arc<Key>> {
        let find =
            |keys: &RwLock<Table>| keys.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        find(&self.issued).or_else(|| find(&self.given))
    }

    /// The secret of `id`; none when there is no such key or it was revoked.
    pub fn secret(&self, id: &str) -> Option<Secret> {
        self.find(id).map(|key| key.secret.clone())
    }

    /// Reads the keys of `directory` and of `file`, once. Those of `directory` that are sealed with an old key are sealed anew
    /// before, and when none ever was, all are.
    ///
    /// # Errors
    /// Either cannot be read. The message names the file.
    pub fn load(&self, directory: &Path, file: Option<&Path>) -> Result<(), LoadError> {
        let store = KeyStore::open(directory, self.seal.as_deref())?;
        let sealed = store.seal_at_start(Timestamp::now())?;
        if sealed > 0 {
            tracing::info!(keys = sealed, "the secrets of access keys were sealed");
        }
        let issued = store.keys()?;
        if self.seal.is_none() && !issued.is_empty() {
            tracing::warn!(
                keys = issued.len(),
                directory = %directory.display(),
                "the secrets of access keys lie in the clear: seal them with --seal-key-file"
            );
        }
        replace(&self.issued, issued);
        if let Some(path) = file {
            replace(&self.given, file::read(&named(path))?);
        }
        Ok(())
    }

    /// Whether there is no key, so that no request can be signed.
    pub fn is_empty(&self) -> bool {
        let empty = |keys: &RwLock<Table>| keys.read().unwrap_or_else(PoisonError::into_inner).is_empty();
        empty(&self.issued) && empty(&self.given)
    }

    /// Takes in every change within [`INTERVAL`], until `shutdown`. What cannot be read is logged once and leaves the
    /// keys as they were.
    pub async fn follow(&self, directory: PathBuf, file: Option<PathBuf>, shutdown: CancellationToken) {
        let issued = self.follow_issued(directory, shutdown.clone());
        let given = async {
            if let Some(path) = file {
                let load = || {
                    replace(&self.given, file::read(&named(&path))?);
                    Ok(())
                };
                reload::follow(vec![named(&path)], load, shutdown).await;
            }
        };
        tokio::join!(issued, given);
    }

    async fn follow_issued(&self, directory: PathBuf, shutdown: CancellationToken) {
        let mut looks = tokio::time::interval(INTERVAL);
        let (mut complained, mut known) = (false, Vec::new());
        while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
            let (directory, seal) = (directory.clone(), self.seal.clone());
            let read = move || KeyStore::open(&directory, seal.as_deref())?.look();
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok((keys, unsealed))) => {
                    complained = false;
                    replace(&self.issued, keys);
                    if unsealed != known && !unsealed.is_empty() {
                        tracing::warn!(
                            ids = unsealed.join(", "),
                            "access keys that are not sealed are not taken: if you made them, run `fleetmesh control-plane keys seal`"
                        );
                    }
                    known = unsealed;
                }
                Ok(Err(error)) if !std::mem::replace(&mut complained, true) => {
                    tracing::error!(%error, "the access keys cannot be read: those that were read last stay in use");
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

fn named(path: &Path) -> Named {
    Named { flag: "--access-keys-file", path: path.to_path_buf() }
}

fn replace(keys: &RwLock<Table>, new: Table) {
    *keys.write().unwrap_or_else(PoisonError::into_inner) = new;
}

/// The keys could not be read at the start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Those that were issued.
    #[error(transparent)]
    Issued(#[from] KeyError),
    /// What they are sealed with.
    #[error(transparent)]
    Seal(#[from] seal::SealError),
    /// Those of the file.
    #[error(transparent)]
    Given(#[from] FileError),
}
