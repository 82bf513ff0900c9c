//! The thread that owns the connection: takes commits in groups, decides them one after the other on the newest
//! state, makes the group durable with one `fsync`, publishes it, and only then answers.

use std::sync::Arc;

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::snapshot::VersionKeys;
use fleetmesh_mesh::store::{CommitError, JointCommit, JointError, OpenError, State};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::mpsc;

use super::group::{Group, GroupAnswer};
use super::open::{self, Opened};
use super::table::{self, TableError};
use super::{Job, PublishedViews, bindings, held, tokens, version_keys};

/// Commits that share one `fsync` at most: bounds how long the first of them waits for the last.
const GROUP: usize = 128;

/// How often a group is decided at most, when another writer is faster each time.
const ATTEMPTS: usize = 16;

/// The owner of the connection.
pub struct Writer {
    /// Absent after a storage error whose effect on the file is unknown, until the file was read again.
    connection: Option<Connection>,
    path: std::path::PathBuf,
    identity: Identity,
    state: State,
    tokens: u32,
    published: Arc<PublishedViews>,
}

/// Why a group was not stored.
#[derive(Debug, thiserror::Error)]
enum WriterError {
    /// The file could not be read again after an earlier failure.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tables could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl WriterError {
    /// Whether the same commit may succeed later without anybody repairing the database.
    fn may_pass(&self) -> bool {
        match self {
            Self::Open(error) => match error {
                OpenError::Unusable { .. } | OpenError::InUse { .. } | OpenError::Storage { .. } => true,
                OpenError::Damaged { .. }
                | OpenError::NewerSchema { .. }
                | OpenError::OtherIdentity { .. } => false,
            },
            // A record that is there already is read anew, too.
            Self::Table(TableError::Sqlite(error)) => !matches!(
                error.sqlite_error_code(),
                None | Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
            ),
            // Somebody else wrote into the file: a record that differs is read anew, one that is no record stays so.
            Self::Table(TableError::Moved { .. } | TableError::Overtaken { .. }) => true,
            Self::Table(TableError::Row { .. }) => false,
        }
    }
}

impl Writer {
    /// A writer on what was opened, which remembers so many client tokens of each mesh.
    pub fn new(opened: Opened, identity: Identity, published: Arc<PublishedViews>, tokens: u32) -> Self {
        let Opened { connection, state, keys: _, held: _ } = opened;
        let path = connection.path().map(Into::into).unwrap_or_default();
        Self { connection: Some(connection), path, identity, state, tokens, published }
    }

    /// Works until no sender is left.
    pub fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP);
        while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
            let (mut commits, mut outcomes, mut others) = (Vec::new(), Vec::new(), Vec::new());
            for job in group.drain(..) {
                match job {
                    Job::Commit(commit, outcome) => {
                        commits.push(commit);
                        outcomes.push(outcome);
                    }
                    other => others.push(other),
                }
            }
            let answers = self.serve(&commits);
            for (outcome, answer) in outcomes.into_iter().zip(answers) {
                // A caller that went away does not need its answer; the commit stands.
                let _ = outcome.send(answer);
            }
            others.into_iter().for_each(|job| self.other(job));
        }
    }

    /// Does what is no commit. Each is durable by itself.
    fn other(&mut self, job: Job) {
        // A caller that went away does not need its answer; what was done stands.
        match job {
            Job::Commit(commit, outcome) => {
                let answer = self.serve(std::slice::from_ref(&commit)).pop();
                let _ = answer.map(|answer| outcome.send(answer));
            }
            Job::RenewKeys(now, outcome) => {
                let keys = self.with("the keys of versions were not renewed", |connection| {
                    version_keys::renewed(connection, now)
                });
                let _ = outcome.send(keys.map(|keys| self.published.publish_keys(keys)));
            }
            Job::Bind(binding, now, outcome) => {
                let bound = self.with("an instance was not bound to its key", |connection| {
                    bindings::bind(connection, &binding, now)
                });
                let _ = outcome.send(bound);
            }
            Job::ForgetTokens(now, outcome) => {
                let more = self.with("client tokens that are over were not forgotten", |connection| {
                    tokens::forget(connection, now)
                });
                let _ = outcome.send(more);
            }
            Job::Hold(node, memory, outcome) => {
                let stored = self.with("what proxies refuse was not stored", |connection| {
                    held::store(connection, &node, memory.as_deref())
                });
                let _ = outcome.send(stored.map(|()| self.published.publish_held(node, memory)));
            }
            #[cfg(test)]
            Job::Panic => panic!("struck"),
        }
    }

    /// Serves one group: all of it is durable, or none of it.
    fn serve(&mut self, commits: &[JointCommit]) -> Vec<GroupAnswer> {
        if commits.is_empty() {
            return Vec::new();
        }
        match self.try_serve(commits) {
            Ok(answers) => answers,
            Err(error) => {
                let error = self.failed(&error, "changes were not stored");
                commits.iter().map(|_| Err(JointError::NotStored(error.clone()))).collect()
            }
        }
    }

    fn failed(&self, error: &WriterError, what: &str) -> CommitError {
        tracing::error!(database = %self.path.display(), %error, "{what}");
        let reason = format!("{}: {error}", self.path.display());
        match error.may_pass() {
            true => CommitError::Unavailable { reason },
            false => CommitError::Internal { reason },
        }
    }

    /// Does `work` on the connection; `what` is logged when that fails. The file is read again before the next.
    fn with<T>(
        &mut self,
        what: &str,
        work: impl FnOnce(&Connection) -> Result<T, TableError>,
    ) -> Result<T, CommitError> {
        let done = || -> Result<T, WriterError> {
            let connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.reopen()?,
            };
            let done = work(&connection)?;
            self.connection = Some(connection);
            Ok(done)
        };
        done().map_err(|error| self.failed(&error, what))
    }

    /// Decides the group, and decides it anew when another writer was faster.
    fn try_serve(&mut self, commits: &[JointCommit]) -> Result<Vec<GroupAnswer>, WriterError> {
        let mut tried = self.attempt(commits);
        for _ in 1..ATTEMPTS {
            if !matches!(tried, Err(WriterError::Table(TableError::Overtaken { .. }))) {
                break;
            }
            tried = self.attempt(commits);
        }
        tried
    }

    /// Decides the group once. When another writer was faster, what that one did is read first of all.
    fn attempt(&mut self, commits: &[JointCommit]) -> Result<Vec<GroupAnswer>, WriterError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reopen()?,
        };
        let mut result = self.transact(&connection, commits);
        if matches!(result, Err(TableError::Overtaken { .. })) {
            result = self.catch_up(&connection).and(result);
        }
        // A full disk leaves the file as it was. After any other failure it has to be read again.
        let certain = match &result {
            Ok(_) | Err(TableError::Overtaken { .. }) => true,
            Err(TableError::Sqlite(error)) => tokens::is_full(error),
            Err(TableError::Row { .. } | TableError::Moved { .. }) => false,
        };
        if certain {
            if matches!(&result, Err(TableError::Sqlite(_)))
                && let Err(error) = make_room(&connection)
            {
                tracing::warn!(database = %self.path.display(), %error, "no room was made on the full disk");
            }
            self.connection = Some(connection);
        }
        Ok(result?)
    }

    fn transact(
        &mut self,
        connection: &Connection,
        commits: &[JointCommit],
    ) -> Result<Vec<GroupAnswer>, TableError> {
        let now = Timestamp::now();
        // Rolls back when dropped on the way out of an error. Nobody else writes from here on, so the file stays at the
        // commit that it is found at.
        let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
        let mut group = Group {
            connection: &transaction,
            identity: &self.identity,
            state: self.state.clone(),
            now,
            tokens: self.tokens,
        };
        let mut answers = Vec::with_capacity(commits.len());
        for commit in commits {
            answers.push(group.take(commit)?);
        }
        let Group { state, .. } = group;
        if state.revision == self.state.revision {
            return Ok(answers);
        }
        transaction.commit()?;
        self.state = state.clone();
        self.published.publish(state);
        Ok(answers)
    }

    /// Reads what another writer committed.
    fn catch_up(&mut self, connection: &Connection) -> Result<(), TableError> {
        let transaction = connection.unchecked_transaction()?;
        let state = table::load(&transaction, &self.identity)?;
        let keys = version_keys::load(&transaction)?;
        drop(transaction);
        self.show(state, keys);
        Ok(())
    }

    /// Reads the file again after a failure that may or may not have reached it.
    fn reopen(&mut self) -> Result<Connection, OpenError> {
        let opened = open::open(&self.path, &self.identity)?;
        let Opened { connection, state, keys, held: _ } = opened;
        self.show(state, keys);
        Ok(connection)
    }

    /// Goes on from what the file holds.
    fn show(&mut self, state: State, keys: VersionKeys) {
        self.published.publish_keys(keys);
        if state.revision != self.state.revision {
            self.published.publish(state.clone());
        }
        self.state = state;
    }
}

/// Makes what room there is for the next commit, when the disk is full.
fn make_room(connection: &Connection) -> Result<(), TableError> {
    tokens::checkpoint(connection)?;
    tokens::forget(connection, Timestamp::now())?;
    Ok(())
}
