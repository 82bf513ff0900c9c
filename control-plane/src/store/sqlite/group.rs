//! Commits that share one transaction: each is decided on the outcome of those before it, and taken only when the file is at the
//! commit that it was decided on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fleetmesh_model::{Kind, ResourceId};
use jiff::Timestamp;
use rusqlite::Connection;

use super::MeshRevisions;
use super::table::{self, TableError};
use super::tokens;
use crate::refusal::Refusal;
use crate::store::{Change, ClientToken, Commit, CommitError, Decided, Tip, Write};
use crate::view::{MeshView, Record};

/// What a commit comes to.
pub type GroupAnswer = Result<Arc<Record>, CommitError>;

/// The state as a group leaves it, not yet durable.
pub struct Group<'a> {
    /// The open transaction.
    pub connection: &'a Connection,
    /// The meshes after the commits so far.
    pub meshes: MeshRevisions,
    /// The last of these commits.
    pub revision: u64,
    /// When the group is committed.
    pub now: Timestamp,
    /// How many client tokens of a mesh are remembered.
    pub tokens: u32,
}

impl Group<'_> {
    /// Takes one commit into the group. The outer error is the storage's and ends the group.
    pub fn take(&mut self, commit: &Commit) -> Result<GroupAnswer, TableError> {
        let token = commit.token.as_ref();
        if let Some(token) = token
            && let Some(spent) = tokens::spent(self.connection, &token.mesh, &token.token, self.now)?
            && let Some(current) = spent.current(&self.meshes)
        {
            table::confirm(self.connection, self.revision)?;
            return Ok(spent.answer(token, current).map(Arc::new).ok_or_else(|| reused(token)));
        }
        let tip = Tip::new(&self.meshes, self.revision);
        match catch_unwind(AssertUnwindSafe(|| commit.decided_on(tip))) {
            Ok(Ok(decided)) => self.apply(decided, token),
            Ok(Err(refusal)) => {
                table::confirm(self.connection, self.revision)?;
                Ok(Err(CommitError::Refused(refusal)))
            }
            Err(_) => Ok(Err(CommitError::Internal { reason: "a rule panicked; see the log".into() })),
        }
    }

    fn apply(&mut self, decided: Decided, token: Option<&ClientToken>) -> Result<GroupAnswer, TableError> {
        let Decided { on, change } = decided;
        self.revision = table::advance(self.connection, on)?;
        match change {
            Change::Put(Write { record, replaces }) => {
                match replaces {
                    None => table::insert(self.connection, &record)?,
                    Some(version) => table::update(self.connection, &record, version)?,
                }
                if let Some(token) = token {
                    tokens::spend(self.connection, token, &record, self.now, self.tokens)?;
                }
                let record = Arc::new(record);
                let view = self.view(record.id.mesh_name());
                view.resources.insert(record.id.clone(), Arc::clone(&record));
                Ok(Ok(record))
            }
            Change::Delete { id, uid, version } => {
                table::delete(self.connection, &id, &uid, version)?;
                if id.kind() == Kind::Mesh {
                    tokens::forget_mesh(self.connection, id.name())?;
                }
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
        if id.kind() == Kind::Mesh {
            return self.meshes.remove(id.name())?.get(id).cloned();
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
