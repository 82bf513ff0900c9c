//! The thread that owns the connection: takes writes in groups, checks their guards one after the other, makes the group durable
//! with one `fsync`, shows it to readers, and only then answers.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use fleetmesh_standalone_core::store::state::NAMESPACES;
use fleetmesh_standalone_core::store::{EventKind, Guard, HistoryBounds, Key, Ledger, State, Stored, Write};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{CommitError, Shared, sqlite};

/// Writes that share one `fsync` at most: bounds how long the first of them waits for the last.
const GROUP: usize = 128;

/// A write, what it relies on, and who waits for it.
pub(super) struct Job {
    pub write: Write,
    pub guards: Vec<Guard>,
    pub outcome: oneshot::Sender<Result<Arc<Stored>, CommitError>>,
}

/// The owner of the connection.
pub(super) struct Writer {
    connection: Connection,
    path: PathBuf,
    shared: Arc<Shared>,
    /// Whether the file may have more than readers were shown.
    is_uncertain: bool,
}

/// The objects as the writes so far leave them, which are not durable yet.
struct Group<'a> {
    shared: &'a Shared,
    revision: u64,
    /// What was changed: the object after it, or nothing.
    changed: HashMap<Key, Option<Arc<Stored>>>,
    events: Vec<(EventKind, Arc<Stored>)>,
}

impl Group<'_> {
    fn holds(&self, guard: &Guard) -> bool {
        let changed = |key: &Key| self.changed.get(key);
        let at = |key: &Key| match changed(key) {
            Some(object) => object.clone(),
            None => self.shared.read(|ledger| ledger.state.get(key).cloned()),
        };
        match guard {
            Guard::Absent(key) => at(key).is_none(),
            Guard::At(key, revision) => at(key).is_some_and(|object| object.revision == *revision),
            Guard::Active(namespace) => {
                at(&Key::new(NAMESPACES, "", namespace)).is_some_and(|object| !object.is_deleting)
            }
        }
    }

    fn take(&mut self, connection: &Connection, write: &Write) -> rusqlite::Result<Arc<Stored>> {
        self.revision += 1;
        let object = State::stored(write.clone(), self.revision);
        sqlite::write(connection, write.kind, &object)?;
        let left = (write.kind != EventKind::Deleted).then(|| Arc::clone(&object));
        self.changed.insert(write.key.clone(), left);
        self.events.push((write.kind, Arc::clone(&object)));
        Ok(object)
    }
}

impl Writer {
    pub(super) fn new(connection: Connection, path: PathBuf, shared: Arc<Shared>) -> Self {
        Self { connection, path, shared, is_uncertain: false }
    }

    /// Works until no sender is left.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP);
        while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
            let answers = self.serve(&group);
            for (job, answer) in group.drain(..).zip(answers) {
                // A caller that went away does not need its answer; the write stands.
                let _ = job.outcome.send(answer);
            }
        }
    }

    /// Serves one group: all of it is durable, or none of it.
    fn serve(&mut self, jobs: &[Job]) -> Vec<Result<Arc<Stored>, CommitError>> {
        let served = self.certain().and_then(|()| self.transact(jobs));
        served.unwrap_or_else(|error| {
            tracing::error!(database = %self.path.display(), %error, "changes were not stored");
            self.is_uncertain = true;
            let error = CommitError::Unavailable(format!("{}: {error}", self.path.display()));
            jobs.iter().map(|_| Err(error.clone())).collect()
        })
    }

    fn transact(&self, jobs: &[Job]) -> rusqlite::Result<Vec<Result<Arc<Stored>, CommitError>>> {
        // Rolls back when dropped on the way out of an error.
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let mut group = Group {
            shared: &self.shared,
            revision: self.shared.read(|ledger| ledger.state.revision()),
            changed: HashMap::new(),
            events: Vec::with_capacity(jobs.len()),
        };
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(if job.guards.iter().all(|guard| group.holds(guard)) {
                Ok(group.take(&transaction, &job.write)?)
            } else {
                Err(CommitError::Overtaken)
            });
        }
        let Group { revision, events, .. } = group;
        if events.is_empty() {
            return Ok(answers);
        }
        sqlite::advance(&transaction, revision)?;
        transaction.commit()?;
        self.shared.change(|ledger| {
            for (kind, object) in events {
                ledger.record(kind, object);
            }
        });
        Ok(answers)
    }

    /// Finds out what a failure left in the file. When it has more than readers were shown, they are shown it, and watches have to
    /// begin anew.
    fn certain(&mut self) -> rusqlite::Result<()> {
        if !self.is_uncertain {
            return Ok(());
        }
        let stored = sqlite::last_revision(&self.connection)?;
        if stored != self.shared.read(|ledger| ledger.state.revision()) {
            let state = sqlite::load(&self.connection, &self.path).map_err(|error| {
                tracing::error!(%error, "the file could not be read again");
                rusqlite::Error::InvalidQuery
            })?;
            self.shared.change(|ledger| *ledger = Ledger::new(state, HistoryBounds::default()));
        }
        self.is_uncertain = false;
        Ok(())
    }
}
