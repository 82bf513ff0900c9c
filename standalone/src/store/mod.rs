//! The objects on disk: one SQLite file, one thread that writes it, commits in groups. Everything is in memory, too; reads never
//! wait for the disk.

mod sqlite;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;

use fleetmesh_standalone_core::store::{Guard, HistoryBounds, Ledger, Stored, Write};
use tokio::sync::{mpsc, oneshot, watch};

use crate::files::{self, Lock, LockError};
use writer::{Job, Writer};

/// The database in a data directory.
const DATABASE: &str = "standalone.db";
/// The lock of a data directory.
const LOCK: &str = "standalone.lock";
/// Writes that may wait for the disk.
const QUEUE: usize = 1024;

/// The data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works with it.
    #[error("{path} is in use by {holder}: stop it, or choose another directory with --data-dir")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// The file is no database of ours, or a broken one.
    #[error(
        "the database {path} is damaged: {reason}; restore it from a back-up, or choose another directory with --data-dir"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A later version of this program made the file.
    #[error("the database {path} has schema {found}, and this program knows {known}: run a newer fleetmesh")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest that is known.
        known: i64,
    },
    /// It cannot be read or written.
    #[error("cannot use {path}: {reason}; choose another directory with --data-dir")]
    Unusable {
        /// The directory or file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
}

/// A write was not stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// What it relied on is no longer so: decide again.
    #[error("another write was faster")]
    Overtaken,
    /// The disk did not take it.
    #[error("{0}")]
    Unavailable(String),
}

/// What readers share with the writer.
pub(crate) struct Shared {
    ledger: RwLock<Ledger>,
    revision: watch::Sender<u64>,
}

impl Shared {
    fn read<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&self.ledger.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Ledger)) {
        let mut ledger = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut ledger);
        let revision = ledger.state.revision();
        drop(ledger);
        // Whoever hears of a revision finds its objects.
        self.revision.send_replace(revision);
    }
}

/// The objects. Dropping it finishes the writes under way.
///
/// A write that was answered is on stable storage: `kill -9` and a power cut lose nothing of it. No resource version is used twice.
pub struct Store {
    shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    _lock: Option<Lock>,
}

impl Store {
    /// Opens the store in `directory`, which is made if need be.
    ///
    /// # Errors
    /// [`OpenError`]; nothing in the directory was changed then, except that it and the lock may be new.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let unusable = |path: &Path, error: std::io::Error| OpenError::Unusable {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        files::folder(directory).map_err(|error| unusable(directory, error))?;
        let lock = Lock::take(&directory.join(LOCK)).map_err(|error| match error {
            LockError::Taken(holder) => OpenError::InUse { path: directory.to_owned(), holder },
            LockError::System(error) => unusable(directory, error),
        })?;
        Self::start(&directory.join(DATABASE), Some(lock))
    }

    /// A store that forgets everything when it is dropped.
    ///
    /// # Errors
    /// SQLite's.
    pub fn in_memory() -> Result<Self, OpenError> {
        Self::start(Path::new(":memory:"), None)
    }

    fn start(path: &Path, lock: Option<Lock>) -> Result<Self, OpenError> {
        let (connection, state) = sqlite::open(path)?;
        let (revision, _) = watch::channel(state.revision());
        let ledger = RwLock::new(Ledger::new(state, HistoryBounds::default()));
        let shared = Arc::new(Shared { ledger, revision });
        let (queue, jobs) = mpsc::channel(QUEUE);
        let writer = Writer::new(connection, path.to_owned(), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || writer.run(jobs));
        let thread = thread
            .map_err(|error| OpenError::Unusable { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self { shared, queue: Some(queue), writer: Some(thread), _lock: lock })
    }

    /// Looks at the objects and the last changes. It is short: writes wait meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        self.shared.read(look)
    }

    /// The last revision, and each one after it.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.shared.revision.subscribe()
    }

    /// Stores a write if the guards hold then, and answers the object as it is stored.
    ///
    /// # Errors
    /// [`CommitError`]; nothing is stored then, unless the disk failed in the very moment of storing.
    pub async fn commit(&self, write: Write, guards: Vec<Guard>) -> Result<Arc<Stored>, CommitError> {
        let stopped = || CommitError::Unavailable("the store has stopped".into());
        let (outcome, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(Job { write, guards, outcome }).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Resolves when the thread that writes has ended although the store is in use.
    pub async fn ended(&self) {
        match &self.queue {
            Some(queue) => queue.closed().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's thread ended by a panic");
        }
    }
}
