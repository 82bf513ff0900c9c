//! Access keys of this control plane: requests from other hosts are signed with them. They have nothing to do with AWS's keys, which
//! nobody but AWS can verify.
//!
//! Issued keys are in `access-keys.db` of the data directory, a SQLite database of its own: `fleetmesh control-plane keys` changes
//! it while the control plane runs. Verifying an HMAC takes the secret itself, so the file holds secrets; it has mode 0600, and they
//! are sealed by the key of `--seal-key-file` or `--seal-kms-key`. Keys of `--access-keys-file` are accepted beside them. What a key
//! may do is its [policy](crate::rights::Policy).

mod data_keys;
pub mod envelope;
mod error;
mod file;
#[cfg(test)]
mod kms_tests;
mod row;
mod schema;
pub mod seal;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::reload::{self, FileError, INTERVAL, Named};
use crate::rights::KeyHolder;
use crate::secret::Secret;
pub use envelope::SealSource;
pub use error::KeyError;
use seal::{SealError, SealKeys};
pub use store::{KeyStore, Listed, Look, NewKey, new_key};

/// How long KMS may take at the start, before all else is served without the issued keys.
const AT_THE_START: Duration = Duration::from_secs(3);
/// How long KMS may take later on.
const LIMIT: Duration = Duration::from_secs(15);
/// The longest pause between two times that KMS is asked.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

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
    pub holder: Arc<KeyHolder>,
    /// Its secret.
    pub secret: Secret,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

/// Keys by their ids.
pub type KeyTable = HashMap<String, Arc<Key>>;

/// The keys that count at the moment.
#[derive(Debug, Default)]
pub struct Keys {
    issued: RwLock<KeyTable>,
    given: RwLock<KeyTable>,
    seal: RwLock<Seal>,
}

/// What opens the issued keys.
#[derive(Debug)]
enum Seal {
    /// This; or nothing, and they are in the clear.
    Open(Option<Arc<SealKeys>>),
    /// What KMS did not give yet: they are not known.
    Shut(SealSource),
}

impl Default for Seal {
    fn default() -> Self {
        Self::Open(None)
    }
}

impl Keys {
    /// No keys yet; those in a data directory are sealed with `seal`.
    pub fn new(seal: Option<Arc<SealKeys>>) -> Self {
        Self { seal: RwLock::new(Seal::Open(seal)), ..Self::default() }
    }

    /// No keys yet; those in a data directory are sealed with what [`Self::open`] gets of `source`.
    pub fn of(source: Option<SealSource>) -> Self {
        let seal = source.map(Seal::Shut).unwrap_or_default();
        Self { seal: RwLock::new(seal), ..Self::default() }
    }

    /// Gets what opens the keys of `directory`, if that was not got before. While KMS is away the issued keys stay unknown:
    /// [`Self::follow`] asks again.
    ///
    /// # Errors
    /// What will not pass: see [`SealSource::open`].
    pub async fn open(&self, directory: &Path) -> Result<(), LoadError> {
        match self.try_open(directory, AT_THE_START).await {
            Err(LoadError::Seal(error @ SealError::Kms { .. })) => {
                tracing::error!(%error, "the issued access keys are not accepted until KMS answers; everything else works");
                Ok(())
            }
            opened => opened,
        }
    }

    async fn try_open(&self, directory: &Path, limit: Duration) -> Result<(), LoadError> {
        let source = match &*self.seal.read().unwrap_or_else(PoisonError::into_inner) {
            Seal::Open(_) => return Ok(()),
            Seal::Shut(source) => source.clone(),
        };
        let late = || {
            let SealSource::Kms(key) = &source else { return SealError::Random.into() };
            let reason = format!("no answer within {limit:?}");
            LoadError::from(SealError::Kms { key: key.arn().to_string(), reason })
        };
        let opened = tokio::time::timeout(limit, source.open(directory, None)).await;
        let opened = opened.map_err(|_| late())??;
        *self.seal.write().unwrap_or_else(PoisonError::into_inner) = Seal::Open(Some(Arc::new(opened)));
        Ok(())
    }

    /// Whether the issued keys are not known because KMS was not asked yet.
    pub fn are_shut(&self) -> bool {
        matches!(*self.seal.read().unwrap_or_else(PoisonError::into_inner), Seal::Shut(_))
    }

    /// What opens the issued keys; `None` while that is not known.
    fn seal(&self) -> Option<Option<Arc<SealKeys>>> {
        match &*self.seal.read().unwrap_or_else(PoisonError::into_inner) {
            Seal::Open(seal) => Some(seal.clone()),
            Seal::Shut(_) => None,
        }
    }

    /// The key `id`; none when there is no such key or it was revoked. It may have ended.
    pub fn find(&self, id: &str) -> Option<Arc<Key>> {
        let find =
            |keys: &RwLock<KeyTable>| keys.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        find(&self.issued).or_else(|| find(&self.given))
    }

    /// The secret of `id`; none when there is no such key or it was revoked.
    pub fn secret(&self, id: &str) -> Option<Secret> {
        self.find(id).map(|key| key.secret.clone())
    }

    /// Reads the keys of `directory` and of `file`, once. Those of `directory` that are sealed with an old key are sealed anew
    /// before, and when none ever was, all are. While KMS is away those of `directory` are left out.
    ///
    /// # Errors
    /// Either cannot be read. The message names the file.
    pub fn load(&self, directory: &Path, file: Option<&Path>) -> Result<(), LoadError> {
        if let Some(seal) = self.seal() {
            self.load_issued(directory, seal.as_deref())?;
        }
        if let Some(path) = file {
            replace(&self.given, file::read(&named(path))?);
        }
        Ok(())
    }

    fn load_issued(&self, directory: &Path, seal: Option<&SealKeys>) -> Result<(), KeyError> {
        let store = KeyStore::open(directory, seal)?;
        let sealed = store.seal_at_start(Timestamp::now())?;
        if sealed > 0 {
            tracing::info!(keys = sealed, "the secrets of access keys were sealed");
        }
        let issued = store.keys()?;
        if seal.is_none() && !issued.is_empty() {
            tracing::warn!(
                keys = issued.len(),
                directory = %directory.display(),
                "the secrets of access keys lie in the clear: seal them with --seal-key-file or --seal-kms-key"
            );
        }
        replace(&self.issued, issued);
        Ok(())
    }

    /// Whether there is no key, so that no request can be signed.
    pub fn is_empty(&self) -> bool {
        if self.are_shut() {
            return false;
        }
        let empty = |keys: &RwLock<KeyTable>| keys.read().unwrap_or_else(PoisonError::into_inner).is_empty();
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

    /// Asks KMS for what opens the issued keys until it gives it, less and less often; they are read then.
    async fn open_late(&self, directory: &Path) {
        let mut pause = INTERVAL;
        while self.are_shut() {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match self.try_open(directory, LIMIT).await.and_then(|()| self.load(directory, None)) {
                Ok(()) => tracing::info!("KMS opened the access keys"),
                Err(error) => tracing::error!(%error, "the issued access keys are not accepted yet"),
            }
        }
    }

    /// Lets `keys` count, and those of `unreadable` as they were before: what became of them is not known, but that nobody
    /// revoked them.
    fn take(&self, mut keys: KeyTable, unreadable: &[String]) {
        let mut issued = self.issued.write().unwrap_or_else(PoisonError::into_inner);
        for id in unreadable {
            if let Some(known) = issued.get(id) {
                keys.insert(id.clone(), Arc::clone(known));
            }
        }
        *issued = keys;
    }

    async fn follow_issued(&self, directory: PathBuf, shutdown: CancellationToken) {
        if shutdown.run_until_cancelled(self.open_late(&directory)).await.is_none() {
            return;
        }
        let mut looks = tokio::time::interval(INTERVAL);
        let (mut complained, mut known, mut closed) = (false, Vec::new(), Vec::new());
        while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
            let (directory, seal) = (directory.clone(), self.seal().flatten());
            let read = move || KeyStore::open(&directory, seal.as_deref())?.look();
            match tokio::task::spawn_blocking(read).await {
                Ok(Ok(Look { keys, unsealed, unreadable })) => {
                    complained = false;
                    let ids: Vec<String> = unreadable.iter().map(|(id, _)| id.clone()).collect();
                    self.take(keys, &ids);
                    if let Some((_, error)) = unreadable.first().filter(|_| ids != closed) {
                        tracing::error!(
                            %error,
                            ids = ids.join(", "),
                            "access keys cannot be decrypted: those that were read before stay in use; revoke those that nobody needs"
                        );
                    }
                    closed = ids;
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

fn replace(keys: &RwLock<KeyTable>, new: KeyTable) {
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
