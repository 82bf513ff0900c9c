//! Why the database of keys cannot be used.

use std::path::{Path, PathBuf};

use super::seal::SealError;
use super::store::LIVE_PER_NAME;

/// The database of keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The directory or file cannot be made.
    #[error("cannot use {path}: {source}; choose a directory that this user can write with --data-dir")]
    Path {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be read or written.
    #[error("cannot use the access keys in {path}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: rusqlite::Error,
    },
    /// There is no database.
    #[error(
        "there are no access keys in {directory}: {file} is not there; give the data directory of the control plane with --data-dir, or make a key with `fleetmesh control-plane keys create`"
    )]
    Missing {
        /// The directory.
        directory: PathBuf,
        /// The name of the file.
        file: &'static str,
    },
    /// The file is something else.
    #[error("{path} holds no access keys of Fleetmesh: move it away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error("{path} was written by a later version of Fleetmesh: use that version")]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// There is no such key.
    #[error("there is no access key {id:?} in {path}: `fleetmesh control-plane keys list` shows them")]
    Unknown {
        /// The key's id.
        id: String,
        /// The file.
        path: PathBuf,
    },
    /// The name has no key that counts.
    #[error(
        "no access key named {name:?} counts in {path}: `fleetmesh control-plane keys list` shows them, `keys create --name` makes one"
    )]
    NoSuchName {
        /// The name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// The name has as many keys as it may have.
    #[error("{name:?} has {LIVE_PER_NAME} keys that count, {ids}: revoke one of them first")]
    TooMany {
        /// The name.
        name: String,
        /// The ids of its keys.
        ids: String,
    },
    /// The name has keys of another account, which a rotation of it would replace.
    #[error("{name:?} has keys of another account that count: choose another name, or revoke them first")]
    OtherAccount {
        /// The name.
        name: String,
    },
    /// The secrets are sealed, and there is nothing to open them with.
    #[error("the access keys in {path} are sealed: give {}", kms.flag(""))]
    Sealed {
        /// The file.
        path: PathBuf,
        /// The key of KMS that seals them, if one does.
        kms: Kms,
    },
    /// No key opens a secret.
    #[error(
        "the secret of {id} in {path} does not open with the key that was given: give {}, or have it sealed anew by `fleetmesh control-plane keys seal` with {}; if that is the one, the row was altered: revoke the key", kms.flag(""), kms.flag("old-")
    )]
    OtherSeal {
        /// The key's id.
        id: String,
        /// The file.
        path: PathBuf,
        /// The key of KMS that sealed it, if one did.
        kms: Kms,
    },
    /// The file of keys that seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// The ARN of the key of KMS that seals, if one does, and no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kms(pub Option<String>);

impl Kms {
    /// The flag that opens what it sealed; with `old-` that of `keys seal`.
    fn flag(&self, old: &str) -> String {
        match &self.0 {
            Some(arn) => format!("--{old}seal-kms-key {arn}"),
            None => format!("--{old}seal-key-file, the file with the key that sealed it"),
        }
    }
}

/// An error of the database in `path`.
pub fn database(path: &Path, source: rusqlite::Error) -> KeyError {
    KeyError::Database { path: path.into(), source }
}
