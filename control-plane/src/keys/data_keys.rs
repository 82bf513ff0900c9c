//! Data keys in the database: each encrypted by a key of KMS, beside the secrets that it seals.

use jiff::Timestamp;
use rusqlite::Connection;

use super::error::{KeyError, Kms};
use super::row::{KeyRow, Stored};
use super::schema;
use super::seal::SealKeys;
use super::store::KeyStore;

/// Data keys, each as a key of KMS encrypted it; `name` is what [`SealKeys`](super::seal::SealKeys) call it. It is
/// made when it is needed for the first time, and versions that know nothing of it are not hindered by it.
const DATA_KEYS: &str = "CREATE TABLE IF NOT EXISTS data_key (
    kms_key TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL, encrypted BLOB NOT NULL, created_at INTEGER NOT NULL
) STRICT";

/// A key that secrets are sealed with, as a key of KMS encrypted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataKeyRow {
    /// What sealed secrets call it.
    pub name: String,
    /// What KMS decrypts.
    pub encrypted: Vec<u8>,
}

impl KeyStore<'_> {
    /// The data key that the key `arn` of KMS encrypted.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn data_key(&self, arn: &str) -> Result<Option<DataKeyRow>, KeyError> {
        Ok(self.data_keys()?.into_iter().find(|(kms, _)| kms == arn).map(|(_, key)| key))
    }

    /// Stores `key` as that of the key `arn` of KMS, unless there is one, and answers which there is.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn keep_data_key(&self, arn: &str, key: &DataKeyRow, now: Timestamp) -> Result<DataKeyRow, KeyError> {
        let transaction = self.transaction()?;
        add(&self.connection, arn, key, now.as_millisecond()).map_err(|source| self.failed(source))?;
        let kept = self.data_key(arn)?;
        self.commit(transaction)?;
        Ok(kept.unwrap_or_else(|| key.clone()))
    }

    /// Whether `keys` have the key of every sealed secret.
    ///
    /// # Errors
    /// [`KeyError::OtherSeal`] when one of them is sealed with another.
    pub fn check_opens(&self, keys: Option<&SealKeys>) -> Result<(), KeyError> {
        for row in self.rows()?.into_iter().filter(|row| row.listed.revoked_at.is_none()) {
            match &row.stored {
                Stored::Sealed(sealed) if !keys.is_some_and(|keys| keys.has(&sealed.key)) => {
                    return Err(self.other_seal(&row, &sealed.key));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Forgets all data keys but the one of this name.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub(super) fn forget_other_data_keys(&self, name: &str) -> Result<(), KeyError> {
        forget_others(&self.connection, name).map_err(|source| self.failed(source))
    }

    fn data_keys(&self) -> Result<Vec<(String, DataKeyRow)>, KeyError> {
        read(&self.connection).map_err(|source| self.failed(source))
    }

    /// The key of KMS that encrypted the data key of this name.
    fn kms_key(&self, name: &str) -> Option<String> {
        // It is for a message alone.
        let keys = self.data_keys().unwrap_or_default();
        keys.into_iter().find(|(_, key)| key.name == name).map(|(arn, _)| arn)
    }

    /// The secret of `row` was sealed with the key of this name, which is none that was given.
    pub(super) fn other_seal(&self, row: &KeyRow, name: &str) -> KeyError {
        KeyError::OtherSeal {
            id: row.listed.id.clone(),
            path: self.path.clone(),
            kms: Kms(self.kms_key(name)),
        }
    }

    /// Secrets are sealed, with the key of this name if it is known, and nothing was given.
    pub(super) fn no_seal(&self, name: Option<&str>) -> KeyError {
        let only = || Some(self.data_keys().ok()?.into_iter().next()?.0);
        KeyError::Sealed {
            path: self.path.clone(),
            kms: Kms(name.map_or_else(only, |name| self.kms_key(name))),
        }
    }
}

/// Data keys: the ARN of the key of KMS, and what it encrypted.
fn read(connection: &Connection) -> rusqlite::Result<Vec<(String, DataKeyRow)>> {
    if !schema::has_table(connection, "data_key")? {
        return Ok(Vec::new());
    }
    let mut query = connection.prepare("SELECT kms_key, name, encrypted FROM data_key")?;
    let key =
        |row: &rusqlite::Row<'_>| Ok((row.get(0)?, DataKeyRow { name: row.get(1)?, encrypted: row.get(2)? }));
    query.query_map([], key)?.collect()
}

/// Stores a data key, unless there is one of the same key of KMS.
fn add(connection: &Connection, arn: &str, key: &DataKeyRow, now: i64) -> rusqlite::Result<()> {
    connection.execute_batch(DATA_KEYS)?;
    let text = "INSERT INTO data_key VALUES (?1, ?2, ?3, ?4) ON CONFLICT (kms_key) DO NOTHING";
    connection.execute(text, (arn, &key.name, &key.encrypted, now)).map(drop)
}

/// Forgets all data keys but the one of this name.
fn forget_others(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    if !schema::has_table(connection, "data_key")? {
        return Ok(());
    }
    connection.execute("DELETE FROM data_key WHERE name <> ?1", [name]).map(drop)
}
