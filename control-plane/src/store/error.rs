//! Errors of a store: at opening, for the operator of the control plane, and at a commit, for the API.

use std::path::PathBuf;

use crate::refusal::Refusal;

/// A store could not be opened. Each message names the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made or written.
    #[error(
        "cannot use the data directory {path}: {source}; make it a directory that this user can write, or choose another with --data-dir"
    )]
    Directory {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error(
        "the data directory {path} is in use by process {holder}; stop that one, or choose another directory with --data-dir"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process id in the lock file, or `unknown`.
        holder: String,
    },
    /// The file is damaged or no database of ours.
    #[error(
        "the database {path} cannot be read: {reason}; restore it from a backup, or move it away to start with an empty one; nothing was changed in it"
    )]
    Damaged {
        /// The database.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer program wrote it.
    #[error(
        "the database {path} has schema {found}, this program knows up to {known}: use the newer program that wrote it; nothing was changed in it"
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// The schema in the file.
        found: i64,
        /// The newest schema known here.
        known: i64,
    },
    /// It belongs to another account, region or partition.
    #[error(
        "the database {path} holds the resources of {stored}, but {given} was asked for: start with the flags it was made with, or choose another directory with --data-dir"
    )]
    OtherIdentity {
        /// The database.
        path: PathBuf,
        /// What it was made with.
        stored: String,
        /// What was given now.
        given: String,
    },
    /// The storage did not do what it was asked.
    #[error(
        "cannot open the database {path}: {reason}; check that the disk has space and the file can be written"
    )]
    Storage {
        /// The database.
        path: PathBuf,
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
