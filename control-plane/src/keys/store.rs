//! The database of issued keys. Every use opens it anew: it is small, and several processes use it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::{AccessKey, Secrets};
use crate::secret::Secret;

/// `PRAGMA application_id`: "FMAK".
const APPLICATION_ID: i64 = 0x464d_414b;
/// A revoked key keeps its row, without its secret.
const SCHEMA: &str = "CREATE TABLE access_key (
    id TEXT NOT NULL PRIMARY KEY, secret TEXT, description TEXT NOT NULL,
    created_at INTEGER NOT NULL, revoked_at INTEGER
) STRICT";
/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(5);
/// What every id begins with, so that people tell these keys from AWS's (`AKIA`).
const PREFIX: &str = "FMKY";
/// Random characters of an id: 80 bits.
const ID_CHARACTERS: usize = 16;
/// Random bytes of a secret: 40 characters.
const SECRET_BYTES: usize = 30;
/// The alphabet of ids, RFC 4648's base 32.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

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
    /// The file is something else.
    #[error("{path} holds no access keys of Fleetmesh: move it away")]
    Foreign {
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
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// What is shown of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// What its maker wrote about it.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
}

/// The open database.
#[derive(Debug)]
pub struct KeyStore {
    connection: Connection,
    path: PathBuf,
}

impl KeyStore {
    /// Opens the database in `directory`; both are made if need be, the file for its owner's eyes only.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn open(directory: &Path) -> Result<Self, KeyError> {
        let path = directory.join("access-keys.db");
        let failed = |path: &Path, source| KeyError::Path { path: path.into(), source };
        fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
        let made = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let mode = made.and_then(|file| file.metadata()).map_err(|error| failed(&path, error))?.permissions();
        if mode.mode() & 0o077 != 0 {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
                .map_err(|error| failed(&path, error))?;
        }
        let connection = Connection::open(&path).map_err(|source| database(&path, source))?;
        prepare(&connection).map_err(|source| database(&path, source))?;
        let store = Self { connection, path };
        if store.pragma("application_id")? != APPLICATION_ID {
            return Err(KeyError::Foreign { path: store.path });
        }
        Ok(store)
    }

    /// Makes a key. Only this answer holds its secret in a readable way.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn create(&self, description: &str, now: Timestamp) -> Result<AccessKey, KeyError> {
        let mut random = [0; ID_CHARACTERS + SECRET_BYTES];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| KeyError::Random)?;
        let (id, secret) = random.split_at(ID_CHARACTERS);
        let letters = id.iter().map(|byte| char::from(BASE32[usize::from(byte % 32)]));
        let key = AccessKey {
            id: PREFIX.chars().chain(letters).collect(),
            secret: Secret::new(STANDARD_NO_PAD.encode(secret)),
        };
        let row = (&key.id, key.secret.reveal(), description, now.as_millisecond());
        self.execute("INSERT INTO access_key VALUES (?1, ?2, ?3, ?4, NULL)", row)?;
        Ok(key)
    }

    /// Every key there ever was, oldest first.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn list(&self) -> Result<Vec<Listed>, KeyError> {
        let time = |millis: i64| Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
        let query = || -> rusqlite::Result<Vec<Listed>> {
            let text =
                "SELECT id, description, created_at, revoked_at FROM access_key ORDER BY created_at, id";
            let mut statement = self.connection.prepare(text)?;
            let rows = statement.query_map([], |row| {
                Ok(Listed {
                    id: row.get(0)?,
                    description: row.get(1)?,
                    created_at: time(row.get(2)?),
                    revoked_at: row.get::<_, Option<i64>>(3)?.map(time),
                })
            })?;
            rows.collect()
        };
        query().map_err(|source| self.failed(source))
    }

    /// Revokes `id` and forgets its secret. Revoking again changes nothing.
    ///
    /// # Errors
    /// [`KeyError::Unknown`], among others.
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<(), KeyError> {
        let text = "SELECT id FROM access_key WHERE id = ?1";
        let known = self.connection.query_row(text, [id], |_| Ok(())).optional();
        if known.map_err(|source| self.failed(source))?.is_none() {
            return Err(KeyError::Unknown { id: id.into(), path: self.path.clone() });
        }
        let text =
            "UPDATE access_key SET secret = NULL, revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL";
        self.execute(text, (id, now.as_millisecond()))
    }

    /// The secrets of all keys that count.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn secrets(&self) -> Result<Secrets, KeyError> {
        let query = || -> rusqlite::Result<Secrets> {
            let text = "SELECT id, secret FROM access_key WHERE secret IS NOT NULL AND revoked_at IS NULL";
            let mut statement = self.connection.prepare(text)?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, Secret::new(row.get::<_, String>(1)?))))?;
            rows.collect()
        };
        query().map_err(|source| self.failed(source))
    }

    fn execute(&self, text: &str, parameters: impl rusqlite::Params) -> Result<(), KeyError> {
        self.connection.execute(text, parameters).map(drop).map_err(|source| self.failed(source))
    }

    fn pragma(&self, name: &str) -> Result<i64, KeyError> {
        let value = self.connection.pragma_query_value(None, name, |row| row.get(0));
        value.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> KeyError {
        database(&self.path, source)
    }
}

fn database(path: &Path, source: rusqlite::Error) -> KeyError {
    KeyError::Database { path: path.into(), source }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    // What is deleted is overwritten: a forgotten secret is not in the file any more.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    let tables = "SELECT count(*) FROM sqlite_schema";
    let is_empty = || connection.query_row(tables, [], |row| Ok(row.get::<_, i64>(0)? == 0));
    if !is_empty()? {
        return Ok(());
    }
    let transaction =
        rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
    // Another process may have been first.
    if is_empty()? {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    transaction.commit()
}
