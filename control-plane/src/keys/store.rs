//! The database of issued keys. Every use opens it anew: it is small, and several processes use it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::{KeyError, database};
use super::row::{KeyRow, Stored};
use super::schema::{self, pragma};
use super::seal::SealKeys;
use super::{AccessKey, KeyTable};
use crate::private;
use crate::rights::KeyPolicy;
use crate::secret::Secret;

/// The database in the data directory.
const FILE: &str = "access-keys.db";
/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(5);
/// The prefix of every id, so that people can distinguish these keys from AWS's (`AKIA`).
const PREFIX: &str = "FMKY";
/// Random characters of an id: 80 bits.
const ID_CHARACTERS: usize = 16;
/// Random bytes of a secret: 40 characters.
const SECRET_BYTES: usize = 30;
/// The alphabet of ids, RFC 4648's base 32.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Keys of one name that may count at a time: one in use, and one that replaces it.
pub const LIVE_PER_NAME: usize = 2;

/// What a new key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Whose it is, such as `ci`; empty for a key without a name, of which there may be many.
    pub name: String,
    /// What its maker writes about it.
    pub description: String,
    /// What it may do.
    pub policy: KeyPolicy,
    /// When it ends, if it does.
    pub expires_at: Option<Timestamp>,
}

impl Default for NewKey {
    fn default() -> Self {
        let (name, description) = (String::new(), String::new());
        Self { name, description, policy: KeyPolicy::EVERYTHING, expires_at: None }
    }
}

/// What is shown of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// What it was made for.
    pub about: NewKey,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// Whether its secret is sealed; one that was revoked has none.
    pub sealed: bool,
}

impl Listed {
    /// Whether it counts at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.about.expires_at.is_none_or(|end| now < end)
    }
}

/// The issued keys that were not revoked.
#[derive(Default)]
pub struct Look {
    /// Those that count, by their ids.
    pub keys: KeyTable,
    /// Those that are in the clear although there is a seal: they were not written by who has its key.
    pub unsealed: Vec<String>,
    /// Those whose secrets cannot be opened.
    pub unreadable: Vec<(String, KeyError)>,
}

/// The open database.
#[derive(Debug)]
pub struct KeyStore<'a> {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    seal: Option<&'a SealKeys>,
}

impl<'a> KeyStore<'a> {
    /// Opens the database in `directory`; both are made if need be, the file for its owner's eyes only. Secrets are sealed
    /// and opened with `seal`; without it they are stored in the clear, and sealed ones cannot be used.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn open(directory: &Path, seal: Option<&'a SealKeys>) -> Result<Self, KeyError> {
        let path = directory.join(FILE);
        let failed = |path: &Path, source| KeyError::Path { path: path.into(), source };
        private::folder(directory).map_err(|error| failed(directory, error))?;
        let made = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let mode = made.and_then(|file| file.metadata()).map_err(|error| failed(&path, error))?.permissions();
        if mode.mode() & 0o077 != 0 {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
                .map_err(|error| failed(&path, error))?;
        }
        let opened = Connection::open(&path).map_err(|source| database(&path, source))?;
        opened.busy_timeout(BUSY).map_err(|source| database(&path, source))?;
        schema::prepare(&opened).map_err(|source| database(&path, source))?;
        let store = Self { connection: opened, path, seal };
        if store.pragma("application_id")? != schema::APPLICATION_ID {
            return Err(KeyError::Foreign { path: store.path });
        }
        if store.pragma("user_version")? > schema::VERSION {
            return Err(KeyError::Newer { path: store.path });
        }
        Ok(store)
    }

    /// Opens the database in `directory` as [`Self::open`] does, but makes none.
    ///
    /// # Errors
    /// [`KeyError::Missing`], among others.
    pub fn open_existing(directory: &Path, seal: Option<&'a SealKeys>) -> Result<Self, KeyError> {
        let path = directory.join(FILE);
        match path.try_exists() {
            Ok(true) => Self::open(directory, seal),
            Ok(false) => Err(KeyError::Missing { directory: directory.into(), file: FILE }),
            Err(source) => Err(KeyError::Path { path, source }),
        }
    }

    /// Makes a key. Only this answer holds its secret in a readable way.
    ///
    /// # Errors
    /// The name has [`LIVE_PER_NAME`] keys that count, among others: see [`KeyError`].
    pub fn create(&self, about: &NewKey, now: Timestamp) -> Result<AccessKey, KeyError> {
        let transaction = self.transaction()?;
        let key = self.insert(about, now)?;
        self.commit(transaction)?;
        Ok(key)
    }

    fn insert(&self, about: &NewKey, now: Timestamp) -> Result<AccessKey, KeyError> {
        let rows = self.rows()?;
        let same = |row: &&KeyRow| row.listed.is_live(now) && row.listed.about.name == about.name;
        let of_another = |row: &KeyRow| row.listed.about.policy.account != about.policy.account;
        if !about.name.is_empty() && rows.iter().filter(same).any(of_another) {
            return Err(KeyError::OtherAccount { name: about.name.clone() });
        }
        let live: Vec<&str> = rows.iter().filter(same).map(|row| row.listed.id.as_str()).collect();
        if !about.name.is_empty() && live.len() >= LIVE_PER_NAME {
            return Err(KeyError::TooMany { name: about.name.clone(), ids: live.join(", ") });
        }
        match self.seal {
            None if self.is_sealed(&rows)? => {
                let name = rows.iter().find_map(|row| match &row.stored {
                    Stored::Sealed(sealed) => Some(sealed.key.as_str()),
                    _ => None,
                });
                return Err(self.no_seal(name));
            }
            None => {}
            // From the first that is sealed on, all are.
            Some(seal) => drop(self.seal_rows(seal, false, now)?),
        }
        let key = new_key()?;
        let (id, about) = (key.id.clone(), about.clone());
        let listed = Listed { id, about, created_at: now, revoked_at: None, sealed: false };
        self.write(&KeyRow { listed, stored: Stored::Clear(key.secret.clone()) })?;
        Ok(key)
    }

    /// Makes another key of the name, with the policy of its newest one that counts; those that are there end at `until`
    /// at the latest.
    ///
    /// # Errors
    /// The name has no key that counts, among others: see [`KeyError`].
    pub fn rotate(
        &self,
        name: &str,
        expires_at: Option<Timestamp>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(AccessKey, NewKey), KeyError> {
        let transaction = self.transaction()?;
        let of = |row: &KeyRow| row.listed.about.name == name && row.listed.is_live(now);
        let mut old: Vec<KeyRow> = self.rows()?.into_iter().filter(|row| of(row)).collect();
        let newest = old.last().filter(|_| !name.is_empty());
        let unknown = || KeyError::NoSuchName { name: name.into(), path: self.path.clone() };
        let about = NewKey { expires_at, ..newest.ok_or_else(unknown)?.listed.about.clone() };
        let key = self.insert(&about, now)?;
        for row in &mut old {
            let secret = self.secret(row)?;
            let end = row.listed.about.expires_at.map_or(until, |end| end.min(until));
            row.listed.about.expires_at = Some(end);
            self.write(&KeyRow { listed: row.listed.clone(), stored: Stored::Clear(secret) })?;
        }
        self.commit(transaction)?;
        Ok((key, about))
    }

    /// Every key there ever was, oldest first.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn list(&self) -> Result<Vec<Listed>, KeyError> {
        Ok(self.rows()?.into_iter().map(|row| row.listed).collect())
    }

    /// Revokes `id` and forgets its secret. Revoking again changes nothing.
    ///
    /// # Errors
    /// [`KeyError::Unknown`], among others.
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<(), KeyError> {
        if !self.rows()?.iter().any(|row| row.listed.id == id) {
            return Err(KeyError::Unknown { id: id.into(), path: self.path.clone() });
        }
        let text = "UPDATE access_key SET secret = NULL, sealed = NULL, revoked_at = ?2
            WHERE id = ?1 AND revoked_at IS NULL";
        let changed = self.connection.execute(text, (id, now.as_millisecond()));
        changed.map(drop).map_err(|source| self.failed(source))
    }

    /// The keys that were not revoked, by their ids. Whether one ended is for who uses it to see.
    ///
    /// # Errors
    /// A secret cannot be opened, among others: see [`KeyError`].
    pub fn keys(&self) -> Result<KeyTable, KeyError> {
        let Look { keys, unreadable, .. } = self.look()?;
        unreadable.into_iter().next().map_or(Ok(keys), |(_, error)| Err(error))
    }

    /// [`Self::keys`], and which are not among them, and why.
    ///
    /// # Errors
    /// The file cannot be read. A secret that cannot be opened is part of the result.
    pub fn look(&self) -> Result<Look, KeyError> {
        let mut look = Look::default();
        for row in self.rows()?.into_iter().filter(|row| row.listed.revoked_at.is_none()) {
            let id = row.listed.id.clone();
            if self.seal.is_some() && matches!(row.stored, Stored::Clear(_)) {
                look.unsealed.push(id);
                continue;
            }
            match self.secret(&row) {
                Ok(secret) => _ = look.keys.insert(id, row.key(secret)),
                Err(error) => look.unreadable.push((id, error)),
            }
        }
        Ok(look)
    }

    /// Seals every secret that is in the clear or sealed by another key than the first, and answers how many. All of them
    /// or none are.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn seal(&self, now: Timestamp) -> Result<usize, KeyError> {
        self.seal_all(true, now)
    }

    /// The same, but once secrets were sealed, those in the clear are left as they are: nobody who has the key made them, and
    /// whoever made them did it in the file. They are not taken until somebody seals them knowingly.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn seal_at_start(&self, now: Timestamp) -> Result<usize, KeyError> {
        self.seal_all(false, now)
    }

    fn seal_all(&self, knowingly: bool, now: Timestamp) -> Result<usize, KeyError> {
        let Some(seal) = self.seal else { return Ok(0) };
        let transaction = self.transaction()?;
        let count = self.seal_rows(seal, knowingly, now)?;
        self.commit(transaction)?;
        Ok(count)
    }

    fn seal_rows(&self, seal: &SealKeys, knowingly: bool, now: Timestamp) -> Result<usize, KeyError> {
        let rows = self.rows()?;
        let clear_too = knowingly || !self.is_sealed(&rows)?;
        let mut count = 0;
        for row in rows.iter().filter(|row| row.listed.revoked_at.is_none()) {
            let due = match &row.stored {
                Stored::Clear(_) => clear_too,
                Stored::Sealed(sealed) => seal.is_old(&sealed.key),
                Stored::Forgotten => false,
            };
            if due {
                let stored = Stored::Clear(self.secret(row)?);
                self.write(&KeyRow { listed: row.listed.clone(), stored })?;
                count += 1;
            }
        }
        self.set_sealed(now)?;
        // They open nothing any more.
        self.forget_other_data_keys(&seal.first_name())?;
        Ok(count)
    }

    /// Whether secrets were ever sealed: the file says so, or one of `rows` shows it.
    fn is_sealed(&self, rows: &[KeyRow]) -> Result<bool, KeyError> {
        let said = schema::is_sealed(&self.connection).map_err(|source| self.failed(source))?;
        Ok(said || rows.iter().any(|row| row.listed.sealed))
    }

    fn set_sealed(&self, now: Timestamp) -> Result<(), KeyError> {
        schema::set_sealed(&self.connection, now.as_millisecond()).map_err(|source| self.failed(source))
    }

    pub(super) fn rows(&self) -> Result<Vec<KeyRow>, KeyError> {
        let query = || -> rusqlite::Result<Vec<KeyRow>> {
            let (columns, account) = (KeyRow::COLUMNS, schema::account_column(&self.connection)?);
            let text = format!("SELECT {columns}, {account} FROM access_key ORDER BY created_at, rowid");
            self.connection.prepare(&text)?.query_map([], KeyRow::read)?.collect()
        };
        query().map_err(|source| self.failed(source))
    }

    fn secret(&self, row: &KeyRow) -> Result<Secret, KeyError> {
        match &row.stored {
            Stored::Clear(secret) => Ok(secret.clone()),
            Stored::Forgotten => {
                Err(KeyError::Unknown { id: row.listed.id.clone(), path: self.path.clone() })
            }
            Stored::Sealed(sealed) => {
                let seal = self.seal.ok_or_else(|| self.no_seal(Some(&sealed.key)))?;
                seal.open(sealed, &row.context()).ok_or_else(|| self.other_seal(row, &sealed.key))
            }
        }
    }

    /// Writes `row`, whose secret is in the clear, in the form in which it is stored.
    fn write(&self, row: &KeyRow) -> Result<(), KeyError> {
        let stored = match (&row.stored, self.seal) {
            (Stored::Clear(secret), Some(seal)) => Stored::Sealed(seal.seal(secret, &row.context())?),
            (stored, _) => stored.clone(),
        };
        let row = KeyRow { listed: row.listed.clone(), stored };
        row.write(&self.connection).map_err(|source| self.failed(source))
    }

    pub(super) fn transaction(&self) -> Result<Transaction<'_>, KeyError> {
        let begun = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        begun.map_err(|source| self.failed(source))
    }

    pub(super) fn commit(&self, transaction: Transaction<'_>) -> Result<(), KeyError> {
        transaction.commit().map_err(|source| self.failed(source))
    }

    fn pragma(&self, name: &str) -> Result<i64, KeyError> {
        pragma(&self.connection, name).map_err(|source| self.failed(source))
    }

    pub(super) fn failed(&self, source: rusqlite::Error) -> KeyError {
        database(&self.path, source)
    }
}

/// A new key, random.
///
/// # Errors
/// [`KeyError::Random`].
pub fn new_key() -> Result<AccessKey, KeyError> {
    let mut random = [0; ID_CHARACTERS + SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| KeyError::Random)?;
    let (id, secret) = random.split_at(ID_CHARACTERS);
    let letters = id.iter().map(|byte| char::from(BASE32[usize::from(byte % 32)]));
    let id = PREFIX.chars().chain(letters).collect();
    Ok(AccessKey { id, secret: Secret::new(STANDARD_NO_PAD.encode(secret)) })
}
