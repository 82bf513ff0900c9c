//! The store in one SQLite file (WAL, `synchronous=FULL`). One thread owns the connection and commits in groups: what
//! arrives while one `fsync` is under way shares the next. Readers never touch the file: they get immutable views.
//!
//! Layout of the data directory: `control-plane.db` (plus SQLite's `-wal` and `-shm`) and `control-plane.lock`, which
//! the process holds locked while it lives and which holds its process id.

mod bindings;
mod forms;
mod group;
mod held;
mod layout;
mod lock;
mod names;
mod open;
mod table;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod token_tests;
mod tokens;
mod version_keys;
mod writer;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::snapshot::VersionKeys;
use fleetmesh_mesh::store::{Binding, CommitError, JointCommit, OpenError, State};
use fleetmesh_mesh::view::{MeshView, Meshes};
use fleetmesh_model::{MeshName, ResourceId};
use group::GroupAnswer;
use held::HeldByNode;
use open::Opened;

use super::Store;
use crate::views::Views;

/// Commits that may wait for the writer before callers wait to hand theirs over.
const QUEUE: usize = 1024;

/// What is on its way to the writer, and where the outcome goes.
enum Job {
    /// A commit.
    Commit(JointCommit, oneshot::Sender<GroupAnswer>),
    /// A look at the age of the keys.
    RenewKeys(Timestamp, oneshot::Sender<Result<(), CommitError>>),
    /// An instance and its key.
    Bind(Binding, Timestamp, oneshot::Sender<Result<bool, CommitError>>),
    /// A look for client tokens that are over.
    ForgetTokens(Timestamp, oneshot::Sender<Result<bool, CommitError>>),
    /// What proxies of a node refuse and run instead.
    Hold(ResourceId, Option<Vec<u8>>, oneshot::Sender<Result<(), CommitError>>),
    /// The end of the thread.
    #[cfg(test)]
    Panic,
}

/// What the writer shows to readers.
struct PublishedViews {
    meshes: RwLock<Arc<Meshes>>,
    revision: watch::Sender<u64>,
    keys: RwLock<Arc<VersionKeys>>,
    held: RwLock<HeldByNode>,
}

impl PublishedViews {
    fn meshes(&self) -> Arc<Meshes> {
        Arc::clone(&self.meshes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Publishes `state`, then its revision: whoever hears of a revision finds its state.
    fn publish(&self, state: State) {
        let State { meshes, revision, forms: _ } = state;
        *self.meshes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(meshes);
        self.revision.send_replace(revision);
    }

    fn held(&self) -> RwLockReadGuard<'_, HeldByNode> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish_held(&self, node: ResourceId, memory: Option<Vec<u8>>) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        match memory {
            Some(memory) => _ = held.insert(node, memory.into()),
            None => _ = held.remove(&node),
        }
    }

    fn publish_keys(&self, keys: VersionKeys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}

/// The SQLite store. Dropping it finishes the commits under way and releases the data directory.
pub struct SqliteStore {
    published: Arc<PublishedViews>,
    queue: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Held for as long as the store is open.
    _lock: Option<lock::Lock>,
}

impl SqliteStore {
    /// Whether there is a store in `directory`.
    pub fn exists(directory: &Path) -> bool {
        layout::database(directory).exists()
    }

    /// Opens the store in `directory`, which is made if need be, and loads all of it. Of each mesh it remembers the last `tokens`
    /// client tokens.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing in the directory was changed then, except that it and the lock file may be new.
    pub fn open(directory: &Path, identity: &Identity, tokens: u32) -> Result<Self, OpenError> {
        let lock = lock::Lock::take(directory)?;
        let opened = open::open(&layout::database(directory), identity)?;
        Self::serve(Some(lock), directory, identity, opened, tokens)
    }

    /// Opens the store in `directory` beside others that have it open: what a second writer would do.
    #[cfg(test)]
    fn open_beside(directory: &Path, identity: &Identity) -> Result<Self, OpenError> {
        let opened = open::open(&layout::database(directory), identity)?;
        Self::serve(None, directory, identity, opened, fleetmesh_mesh::store::TOKENS_PER_MESH)
    }

    /// Starts the writer on what was opened.
    fn serve(
        lock: Option<lock::Lock>,
        directory: &Path,
        identity: &Identity,
        opened: Opened,
        tokens: u32,
    ) -> Result<Self, OpenError> {
        let (revision, _) = watch::channel(opened.state.revision);
        let meshes = RwLock::new(Arc::new(opened.state.meshes.clone()));
        let keys = RwLock::new(Arc::new(opened.keys.clone()));
        let held = RwLock::new(opened.held.clone());
        let published = Arc::new(PublishedViews { meshes, revision, keys, held });
        let (queue, jobs) = mpsc::channel(QUEUE);
        let writer = writer::Writer::new(opened, identity.clone(), Arc::clone(&published), tokens);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run(jobs))
            .map_err(|error| OpenError::Unusable {
                place: layout::data_directory(directory),
                reason: error.to_string(),
            })?;
        Ok(Self { published, queue: Some(queue), writer: Some(thread), _lock: lock })
    }
}

impl SqliteStore {
    /// Hands a job to the writer and awaits its outcome.
    async fn ask<T, E: From<CommitError>>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Job,
    ) -> Result<T, E> {
        let stopped = || E::from(CommitError::Unavailable { reason: "the store has stopped".into() });
        let (outcome, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(job(outcome)).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.queue.take();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's thread ended by a panic");
        }
    }
}

impl Views for SqliteStore {
    fn mesh(&self, name: &MeshName) -> Option<Arc<MeshView>> {
        self.published.meshes().get(name).cloned()
    }

    fn mesh_names(&self) -> Vec<MeshName> {
        self.published.meshes().keys().cloned().collect()
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.published.revision.subscribe()
    }

    fn version_keys(&self) -> Arc<VersionKeys> {
        Arc::clone(&self.published.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn held(&self, node: &ResourceId) -> Option<Arc<[u8]>> {
        self.published.held().get(node).cloned()
    }

    fn holding(&self) -> Vec<ResourceId> {
        self.published.held().keys().cloned().collect()
    }

    fn hold(&self, node: ResourceId, memory: Option<Vec<u8>>) -> BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(self.ask(move |outcome| Job::Hold(node, memory, outcome)))
    }
}

impl Store for SqliteStore {
    fn commit_together(&self, commit: JointCommit) -> BoxFuture<'_, GroupAnswer> {
        Box::pin(self.ask(|outcome| Job::Commit(commit, outcome)))
    }

    fn renew_keys(&self, now: Timestamp) -> BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(self.ask(move |outcome| Job::RenewKeys(now, outcome)))
    }

    fn bind(&self, binding: Binding, now: Timestamp) -> BoxFuture<'_, Result<bool, CommitError>> {
        Box::pin(self.ask(move |outcome| Job::Bind(binding, now, outcome)))
    }

    fn forget_tokens(&self, now: Timestamp) -> BoxFuture<'_, Result<bool, CommitError>> {
        Box::pin(self.ask(move |outcome| Job::ForgetTokens(now, outcome)))
    }

    fn ended(&self) -> BoxFuture<'_, ()> {
        // The thread holds the other end as long as it lives.
        Box::pin(async {
            match &self.queue {
                Some(queue) => queue.closed().await,
                None => std::future::pending().await,
            }
        })
    }
}
