//! The store: what a store promises, and the stores there are. Nothing outside this module knows which store is underneath; the
//! API commits through [`Store`], proxies are served from [`Views`]. What a change is, and what it does to the state of a store,
//! is [`fleetmesh_mesh::store`]'s.

#[cfg(test)]
mod contract;
mod sqlite;

use std::sync::Arc;

use fleetmesh_mesh::store::{Binding, Commit, CommitError, JointCommit, JointError};
use fleetmesh_mesh::view::Record;
use futures::future::BoxFuture;
use jiff::Timestamp;

pub use sqlite::SqliteStore;

use crate::views::Views;

/// A durable set of meshes.
///
/// # Guarantees
/// - A commit whose future resolved to `Ok` is on stable storage and visible through [`Views`]; `kill -9` and a power
///   cut lose nothing of it. A commit that failed left no trace that a later reader could see.
/// - The changes of a joint commit are in storage and in views together: nobody reads one without the others.
/// - A change is stored only as the next commit of the very state that it was decided on ([`Decided::on`](fleetmesh_mesh::store::Decided::on)), so a rule that
///   held when it was checked holds in what is stored, whoever else writes. A refusal holds on the newest state, too. Who is
///   overtaken by another writer reads what that one did and decides again, a bounded number of times.
/// - Everything stored is in memory before the store exists: an unfinished load cannot be served.
/// - Changes are watched through [`Views::revisions`], which starts at the last commit: a reader that keeps the
///   revision of the views it worked on misses none.
/// - A spent client token takes a few hundred bytes whatever was asked for, and of each mesh only the last ones are remembered, as
///   many as the store was opened with: a token goes when so many others were spent in its mesh after it, the oldest first.
pub trait Store: Views {
    /// Decides and commits one change.
    ///
    /// # Errors
    /// [`CommitError::Refused`] when `decide` refused or the client token was spent on another request;
    /// [`CommitError::Unavailable`] when the storage could not take it, or other writers were faster each time, which may pass.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Arc<Record>, CommitError>> {
        Box::pin(async move {
            let mut records = self.commit_together(commit.into()).await?;
            let none = || CommitError::Internal { reason: "a commit without an answer".into() };
            records.pop().ok_or_else(none)
        })
    }

    /// Decides and commits several changes as one: all of them are stored by one commit, of one revision, or none. Gives what each
    /// of them is answered.
    ///
    /// # Errors
    /// [`JointError::Refused`] with those that `decide` refused, or whose client tokens were spent on other requests; else as of
    /// [`Self::commit`].
    fn commit_together(&self, commit: JointCommit) -> BoxFuture<'_, Result<Vec<Arc<Record>>, JointError>>;

    /// Makes a new key for versions ([`Views::version_keys`]) when the newest is older than [`KEY_LIFE`](fleetmesh_mesh::store::KEY_LIFE) at `now`. The one
    /// before it is still recognised; older ones are gone.
    ///
    /// # Errors
    /// [`CommitError::Unavailable`] or [`CommitError::Internal`] when the storage could not take it; the keys are as before.
    fn renew_keys(&self, now: Timestamp) -> BoxFuture<'_, Result<(), CommitError>>;

    /// Binds an instance to a key, unless a certificate for another stands in the way at `now`; says whether it did.
    ///
    /// # Errors
    /// As of [`Self::renew_keys`]; nothing is bound then.
    fn bind(&self, binding: Binding, now: Timestamp) -> BoxFuture<'_, Result<bool, CommitError>>;

    /// Forgets client tokens that were spent [`TOKEN_LIFE`](fleetmesh_mesh::store::TOKEN_LIFE) before `now`, the oldest first and [`TOKEN_PIECE`](fleetmesh_mesh::store::TOKEN_PIECE) at the most; says
    /// whether it was as many, so that there may be more. A disk that takes no change does not keep it from that.
    ///
    /// # Errors
    /// As of [`Self::renew_keys`]; nothing is forgotten then.
    fn forget_tokens(&self, now: Timestamp) -> BoxFuture<'_, Result<bool, CommitError>>;

    /// Resolves when the store takes nothing any more although it is in use: whoever stores for it panicked. Else never.
    fn ended(&self) -> BoxFuture<'_, ()>;
}
