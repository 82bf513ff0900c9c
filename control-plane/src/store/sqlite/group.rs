//! Commits that share one transaction: each is decided on the outcome of those before it ([`State::step`]), and taken only when
//! the file is at the commit that it was decided on.

use std::sync::Arc;

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::store::{
    Change, ClientToken, Decided, DecidedPart, JointCommit, JointError, State, Step, Write,
};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::Kind;
use jiff::Timestamp;
use rusqlite::Connection;

use super::table::{self, TableError};
use super::tokens;

/// What a commit comes to.
pub type GroupAnswer = Result<Vec<Arc<Record>>, JointError>;

/// The state as a group leaves it, not yet durable.
pub struct Group<'a> {
    /// The open transaction.
    pub connection: &'a Connection,
    /// Whose it is.
    pub identity: &'a Identity,
    /// The state after the commits so far.
    pub state: State,
    /// When the group is committed.
    pub now: Timestamp,
    /// How many client tokens of a mesh are remembered.
    pub tokens: u32,
}

impl Group<'_> {
    /// Takes one commit into the group. The outer error is the storage's and ends the group.
    pub fn take(&mut self, commit: &JointCommit) -> Result<GroupAnswer, TableError> {
        let spent = |token: &Option<ClientToken>| match token {
            Some(token) => tokens::spent(self.connection, &token.mesh, &token.token, self.now),
            None => Ok(None),
        };
        let spent: Vec<_> = commit.tokens.iter().map(spent).collect::<Result<_, _>>()?;
        match self.state.step(commit, &spent) {
            Step::Answered(answer) => {
                table::confirm(self.connection, self.state.revision)?;
                Ok(answer.map_err(JointError::Refused))
            }
            Step::Failed(error) => Ok(Err(error.into())),
            Step::Decided(decided) => {
                self.write(&decided, &commit.tokens)?;
                Ok(self.state.apply(decided).map_err(Into::into))
            }
        }
    }

    /// Writes what was decided as the next commit of the file.
    fn write(&self, decided: &Decided, tokens: &[Option<ClientToken>]) -> Result<(), TableError> {
        let Decided { on, parts } = decided;
        table::advance(self.connection, *on)?;
        for (part, token) in parts.iter().zip(tokens) {
            match part {
                DecidedPart::Answered(_) => {}
                DecidedPart::Change(change) => self.change(change, token.as_ref())?,
            }
        }
        Ok(())
    }

    fn change(&self, change: &Change, token: Option<&ClientToken>) -> Result<(), TableError> {
        match change {
            Change::Put(Write { record, replaces }) => {
                match replaces {
                    None => table::insert(self.connection, record, self.identity)?,
                    Some(version) => table::update(self.connection, record, *version, self.identity)?,
                }
                if let Some(token) = token {
                    tokens::spend(self.connection, token, record, self.now, self.tokens)?;
                }
            }
            Change::Delete { id, uid, version } => {
                table::delete(self.connection, id, uid, *version)?;
                if id.kind() == Kind::Mesh {
                    tokens::forget_mesh(self.connection, id.mesh_name())?;
                }
            }
        }
        Ok(())
    }
}
