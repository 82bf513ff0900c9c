//! Errors of a store: at opening, for the operator of the control plane, and at a commit, for the API.

use std::fmt;

use super::change::Fault;
use crate::refusal::Refusal;

/// Where a store keeps what it holds, in words for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePlace {
    /// What and where, for example `the data directory /var/lib/fleetmesh`.
    pub name: String,
    /// How to have another, for example `choose another directory with --data-dir`.
    pub another: &'static str,
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A store could not be opened. Each message names the place and the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached, made or written.
    #[error("cannot use {place}: {reason}; make it one that this user can write, or {}", .place.another)]
    Unusable {
        /// Where.
        place: StorePlace,
        /// What is in the way.
        reason: String,
    },
    /// Somebody else has it, and it is for one at a time.
    #[error("{place} is in use by {holder}; stop that one, or {}", .place.another)]
    InUse {
        /// Where.
        place: StorePlace,
        /// Who has it, as far as is known.
        holder: String,
    },
    /// It is damaged, or not one of ours.
    #[error(
        "{place} cannot be read: {reason}; restore it from a backup, or move it away to start with an empty one; nothing was changed in it"
    )]
    Damaged {
        /// Where.
        place: StorePlace,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer program wrote it.
    #[error(
        "{place} has schema {found}, this program knows up to {known}: use the newer program that wrote it; nothing was changed in it"
    )]
    NewerSchema {
        /// Where.
        place: StorePlace,
        /// The schema that it has.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// It belongs to another account, region or partition.
    #[error(
        "{place} holds the resources of {stored}, but {given} was asked for: start with the flags it was made with, or {}", .place.another
    )]
    OtherIdentity {
        /// Where.
        place: StorePlace,
        /// What it was made with.
        stored: String,
        /// What was given now.
        given: String,
    },
    /// What is underneath did not do what it was asked.
    #[error("cannot open {place}: {reason}; check that it has space and can be written")]
    Storage {
        /// Where.
        place: StorePlace,
        /// What failed.
        reason: String,
    },
}

/// A commit did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The decision, or the client token, spoke against it.
    #[error("{0}")]
    Refused(Refusal),
    /// The storage could not take it; nothing of it is stored. The same commit may succeed later.
    #[error("the change was not stored: {reason}")]
    Unavailable {
        /// What failed, with the file.
        reason: String,
    },
    /// A fault of this program, or a database that somebody else damaged; nothing of the commit is stored, and trying
    /// again does not help by itself.
    #[error("internal error: {reason}")]
    Internal {
        /// What failed.
        reason: String,
    },
}

/// A commit of several changes did not happen: nothing of it is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JointError {
    /// The decision, or client tokens, spoke against these requests, at least one.
    #[error("{}", in_words(.0))]
    Refused(Vec<Fault>),
    /// As of a commit of one change.
    #[error(transparent)]
    NotStored(#[from] CommitError),
}

fn in_words(faults: &[Fault]) -> String {
    let words = faults.iter().map(|Fault { part, refusal }| format!("part {part}: {refusal}"));
    words.collect::<Vec<_>>().join("; ")
}

impl From<JointError> for CommitError {
    /// That of a commit of one change.
    fn from(error: JointError) -> Self {
        match error {
            JointError::NotStored(error) => error,
            JointError::Refused(faults) => match faults.into_iter().next() {
                Some(Fault { part: _, refusal }) => Self::Refused(refusal),
                None => Self::Internal { reason: "a refusal without a reason".into() },
            },
        }
    }
}
