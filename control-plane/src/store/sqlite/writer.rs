//! The thread that owns the connection: takes commits in groups, decides them one after the other on the newest
//! state, makes the group durable with one `fsync`, publishes it, and only then answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fleetmesh_model::ResourceId;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc;

use super::open::{self, Opened};
use super::table::{self, TableError};
use super::{Job, Meshes, Published, bindings, version_keys};
use crate::identity::Identity;
use crate::refusal::Refusal;
use crate::store::{Change, ClientToken, Commit, CommitError, OpenError, Tip, Write};
use crate::view::{MeshView, Record};

/// Commits that share one `fsync` at most: bounds how long the first of them waits for the last.
const GROUP: usize = 128;

/// How long a spent client token is remembered. AWS does not say; a day outlives every retry.
const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// How often spent client tokens are looked through for old ones.
const TOKEN_SWEEP: SignedDuration = SignedDuration::from_mins(10);

type Answer = Result<Arc<Record>, CommitError>;

/// The owner of the connection.
pub struct Writer {
    /// Absent after a storage error whose effect on the file is unknown, until the file was read again.
    connection: Option<Connection>,
    path: std::path::PathBuf,
    identity: Identity,
    meshes: Meshes,
    revision: u64,
    swept: Timestamp,
    published: Arc<Published>,
}

/// Why a group was not stored.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    /// The file could not be read again after an earlier failure.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tables could not be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl ServeError {
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
            Self::Table(TableError::Moved { .. }) => true,
            Self::Table(TableError::Row { .. }) => false,
        }
    }
}

/// The state as a group leaves it, not yet durable.
struct Group<'a> {
    connection: &'a Connection,
    identity: &'a Identity,
    meshes: Meshes,
    revision: u64,
    now: Timestamp,
}

impl Writer {
    /// A writer on what was opened.
    pub fn new(opened: Opened, identity: Identity, published: Arc<Published>) -> Self {
        let Opened { connection, meshes, revision, keys: _ } = opened;
        let path = connection.path().map(Into::into).unwrap_or_default();
        let swept = Timestamp::UNIX_EPOCH;
        Self { connection: Some(connection), path, identity, meshes, revision, swept, published }
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
            #[cfg(test)]
            Job::Panic => panic!("struck"),
        }
    }

    /// Serves one group: all of it is durable, or none of it.
    fn serve(&mut self, commits: &[Commit]) -> Vec<Answer> {
        if commits.is_empty() {
            return Vec::new();
        }
        match self.try_serve(commits) {
            Ok(answers) => answers,
            Err(error) => {
                let error = self.failed(&error, "changes were not stored");
                commits.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    fn failed(&self, error: &ServeError, what: &str) -> CommitError {
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
        let done = || -> Result<T, ServeError> {
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

    fn try_serve(&mut self, commits: &[Commit]) -> Result<Vec<Answer>, ServeError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reopen()?,
        };
        let result = self.transact(&connection, commits);
        // A full disk leaves the file as it was. After any other failure only reading it again tells what it holds.
        let certain = match &result {
            Ok(_) => true,
            Err(TableError::Sqlite(error)) => error.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Err(TableError::Row { .. } | TableError::Moved { .. }) => false,
        };
        if certain {
            self.connection = Some(connection);
        }
        Ok(result?)
    }

    fn transact(&mut self, connection: &Connection, commits: &[Commit]) -> Result<Vec<Answer>, TableError> {
        let now = Timestamp::now();
        // Rolls back when dropped on the way out of an error.
        let transaction = connection.unchecked_transaction()?;
        let mut group = Group {
            connection: &transaction,
            identity: &self.identity,
            meshes: self.meshes.clone(),
            revision: self.revision,
            now,
        };
        let mut answers = Vec::with_capacity(commits.len());
        for commit in commits {
            answers.push(group.take(commit)?);
        }
        let Group { meshes, revision, .. } = group;
        if revision == self.revision {
            return Ok(answers);
        }
        table::set_revision(&transaction, revision)?;
        let sweep = now.duration_since(self.swept) > TOKEN_SWEEP;
        if sweep {
            table::forget_before(&transaction, now.saturating_sub(TOKEN_LIFE).unwrap_or(Timestamp::MIN))?;
        }
        transaction.commit()?;
        if sweep {
            self.swept = now;
        }
        self.meshes.clone_from(&meshes);
        self.revision = revision;
        self.published.publish(meshes, revision);
        Ok(answers)
    }

    /// Reads the file again after a failure that may or may not have reached it.
    fn reopen(&mut self) -> Result<Connection, OpenError> {
        let opened = open::open(&self.path, &self.identity)?;
        let Opened { connection, meshes, revision, keys } = opened;
        self.published.publish_keys(keys);
        if revision != self.revision {
            self.published.publish(meshes.clone(), revision);
        }
        self.meshes = meshes;
        self.revision = revision;
        Ok(connection)
    }
}

impl Group<'_> {
    /// Takes one commit into the group. The outer error is the storage's and ends the group.
    fn take(&mut self, commit: &Commit) -> Result<Answer, TableError> {
        let Commit { token, decide } = commit;
        if let Some(token) = token
            && let Some((request, record)) = table::spent(self.connection, &token.token, self.identity)?
        {
            return Ok(if request == token.request { Ok(Arc::new(record)) } else { Err(reused(token)) });
        }
        let decided = catch_unwind(AssertUnwindSafe(|| decide(Tip::new(&self.meshes))));
        match decided {
            Ok(Ok(change)) => self.apply(change, token.as_ref()),
            Ok(Err(refusal)) => Ok(Err(CommitError::Refused(refusal))),
            Err(_) => Ok(Err(CommitError::Internal { reason: "a rule panicked; see the log".into() })),
        }
    }

    fn apply(&mut self, change: Change, token: Option<&ClientToken>) -> Result<Answer, TableError> {
        match change {
            Change::Put(Write { record, replaces }) => {
                match replaces {
                    None => table::insert(self.connection, &record)?,
                    Some(version) => table::update(self.connection, &record, version)?,
                }
                if let Some(token) = token {
                    table::spend(self.connection, token, &record, self.now)?;
                }
                let record = Arc::new(record);
                self.revision += 1;
                let view = self.view(record.id.mesh_name());
                view.resources.insert(record.id.clone(), Arc::clone(&record));
                Ok(Ok(record))
            }
            Change::Delete { id, uid, version } => {
                table::delete(self.connection, &id, &uid, version)?;
                self.revision += 1;
                let removed = self.remove(&id);
                Ok(removed.ok_or_else(|| CommitError::Internal { reason: format!("{id} was not in memory") }))
            }
        }
    }

    /// The view of `mesh`, marked with the revision under way.
    fn view(&mut self, mesh: &str) -> &mut MeshView {
        let empty = || Arc::new(MeshView { revision: 0, resources: [].into() });
        let view = Arc::make_mut(self.meshes.entry(mesh.to_owned()).or_insert_with(empty));
        view.revision = self.revision;
        view
    }

    fn remove(&mut self, id: &ResourceId) -> Option<Arc<Record>> {
        if let ResourceId::Mesh { mesh } = id {
            return self.meshes.remove(mesh)?.get(id).cloned();
        }
        self.view(id.mesh_name()).resources.remove(id)
    }
}

fn reused(token: &ClientToken) -> CommitError {
    let token = &token.token;
    CommitError::Refused(Refusal::conflict(format!(
        "clientToken: {token:?} was already spent on another request; give every request its own token"
    )))
}
