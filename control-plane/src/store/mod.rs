//! The store: what a change is, what a store promises, and the stores there are. Nothing outside this module knows
//! which store is underneath; the API commits through [`Store`], proxies are served from [`Views`].

pub mod change;
pub mod error;
mod sqlite;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use change::{Change, ClientToken, Commit, Decide, Tip, Write};
pub use error::{CommitError, OpenError};
pub use sqlite::SqliteStore;

use crate::view::{Record, Views};

/// A durable set of meshes.
///
/// # Guarantees
/// - A commit whose future resolved to `Ok` is on stable storage and visible through [`Views`]; `kill -9` and a power
///   cut lose nothing of it. A commit that failed left no trace that a later reader could see.
/// - Commits of one store are decided one after the other, each on the outcome of all before it, so a rule that
///   held when it was checked holds in what is stored.
/// - Everything stored is in memory before the store exists: an unfinished load cannot be served.
/// - Changes are watched through [`Views::revisions`], which starts at the last commit: a reader that keeps the
///   revision of the views it worked on misses none.
pub trait Store: Views {
    /// Decides and commits one change.
    ///
    /// # Errors
    /// [`CommitError::Refused`] when `decide` refused or the client token was spent on another request;
    /// [`CommitError::Unavailable`] when the storage could not take it, which may pass.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Arc<Record>, CommitError>>;
}
