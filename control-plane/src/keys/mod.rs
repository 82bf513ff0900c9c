//! Access keys of this control plane: what requests from other hosts are signed with. They have nothing to do with AWS's
//! keys, which nobody but AWS can verify.
//!
//! Issued keys are in `access-keys.db` of the data directory, a SQLite database of its own: `fleetmesh control-plane
//! keys` changes it while the control plane runs. Verifying an HMAC takes the secret itself, so the file holds secrets;
//! it has mode 0600. Keys of `--access-keys-file` are taken beside them.

pub mod command;
mod file;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use tokio_util::sync::CancellationToken;

use crate::reload::{self, FileError, INTERVAL, Named};
use crate::secret::Secret;
pub use store::{KeyError, KeyStore, Listed};

/// A key: what signs requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id, which requests carry.
    pub id: String,
    /// Its secret, which nothing carries.
    pub secret: Secret,
}

type Secrets = HashMap<String, Secret>;

/// The keys that count at the moment.
#[derive(Debug, Default)]
pub struct Keys {
    issued: RwLock<Secrets>,
    given: RwLock<Secrets>,
}

impl Keys {
    /// The secret of `id`; none when there is no such key or it was revoked.
    pub fn secret(&self, id: &str) -> Option<Secret> {
        let find =
            |keys: &RwLock<Secrets>| keys.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        find(&self.issued).or_else(|| find(&self.given))
    }

    /// Reads the keys of `directory` and of `file`, once.
    ///
    /// # Errors
    /// Either cannot be read. The message names the file.
    pub fn load(&self, directory: &Path, file: Option<&Path>) -> Result<(), LoadError> {
        replace(&self.issued, KeyStore::open(directory)?.secrets()?);
        if let Some(path) = file {
            replace(&self.given, file::read(&named(path))?);
        }
        Ok(())
    }

    /// Whether there is no key, so that no request can be signed.
    pub fn is_empty(&self) -> bool {
        let empty = |keys: &RwLock<Secrets>| keys.read().unwrap_or_else(PoisonError::into_inner).is_empty();
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
        let mut complained = false;
        while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
            let directory = directory.clone();
            let read = move || KeyStore::open(&directory)?.secrets();
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok(secrets)) => {
                    complained = false;
                    replace(&self.issued, secrets);
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

fn replace(keys: &RwLock<Secrets>, new: Secrets) {
    *keys.write().unwrap_or_else(PoisonError::into_inner) = new;
}

/// The keys could not be read at the start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Those that were issued.
    #[error(transparent)]
    Issued(#[from] KeyError),
    /// Those of the file.
    #[error(transparent)]
    Given(#[from] FileError),
}
