//! A row of the table of issued keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmesh_model::AccountId;
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, params};
use serde_json::json;

use super::Key;
use super::schema;
use super::seal::Sealed;
use super::store::{Listed, NewKey};
use crate::rights::{Access, KeyHolder, KeyPolicy};
use crate::secret::Secret;

/// The secret of a row.
#[derive(Clone, Debug)]
pub enum Stored {
    /// Readable to whoever reads the file.
    Clear(Secret),
    /// To be opened with a key that is elsewhere.
    Sealed(Sealed),
    /// No more: it was revoked.
    Forgotten,
}

/// A row.
#[derive(Clone, Debug)]
pub struct KeyRow {
    /// All but the secret.
    pub listed: Listed,
    /// The secret.
    pub stored: Stored,
}

impl KeyRow {
    /// The columns that [`KeyRow::read`] reads, in its order, before that of the account ([`schema::account_column`]).
    pub const COLUMNS: &str =
        "id, secret, description, created_at, revoked_at, name, meshes, access, expires_at, sealed, seal_key";

    /// Reads a row of [`KeyRow::COLUMNS`] and the account.
    ///
    /// # Errors
    /// A column is not of its form.
    pub fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let time = |millis: i64| Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
        let seal_key: Option<String> = row.get(10)?;
        let stored = match (row.get::<_, Option<String>>(1)?, row.get::<_, Option<Vec<u8>>>(9)?) {
            (Some(secret), _) => Stored::Clear(Secret::new(secret)),
            (None, Some(bytes)) => {
                Stored::Sealed(Sealed { key: seal_key.clone().unwrap_or_default(), bytes })
            }
            (None, None) => Stored::Forgotten,
        };
        let about = NewKey {
            name: row.get(5)?,
            description: row.get(2)?,
            policy: KeyPolicy { account: account(row)?, meshes: meshes(row)?, access: access(row)? },
            expires_at: row.get::<_, Option<i64>>(8)?.map(time),
        };
        let listed = Listed {
            id: row.get(0)?,
            about,
            created_at: time(row.get(3)?),
            revoked_at: row.get::<_, Option<i64>>(4)?.map(time),
            sealed: seal_key.is_some(),
        };
        Ok(Self { listed, stored })
    }

    /// Writes it as it is, in the place of one with its id.
    ///
    /// # Errors
    /// The database's.
    pub fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Listed { id, about, created_at, revoked_at, sealed: _ } = &self.listed;
        let (secret, sealed) = match &self.stored {
            Stored::Clear(secret) => (Some(secret.reveal()), None),
            Stored::Sealed(sealed) => (None, Some(sealed)),
            Stored::Forgotten => (None, None),
        };
        let text = format!(
            "INSERT INTO access_key ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (id) DO UPDATE SET secret = ?2, expires_at = ?9, sealed = ?10, seal_key = ?11",
            Self::COLUMNS
        );
        let millis = |time: &Timestamp| time.as_millisecond();
        let values = params![
            id,
            secret,
            about.description,
            millis(created_at),
            revoked_at.as_ref().map(millis),
            about.name,
            meshes_text(&about.policy),
            about.policy.access.word(),
            about.expires_at.as_ref().map(millis),
            sealed.map(|sealed| &sealed.bytes),
            sealed.map(|sealed| &sealed.key),
        ];
        connection.execute(&text, values)?;
        about.policy.account.map_or(Ok(()), |account| schema::bind(connection, id, account))
    }

    /// What the secret is sealed together with: whoever may write the file, and has no key, cannot give a key another name,
    /// other rights or a later end.
    pub fn context(&self) -> Vec<u8> {
        let Listed { id, about, .. } = &self.listed;
        let NewKey { name, policy, expires_at, description: _ } = about;
        let end = expires_at.map(Timestamp::as_millisecond);
        let mut parts = vec![json!("fleetmesh access key"), json!(id), json!(name)];
        parts.extend([json!(policy.meshes), json!(policy.access), json!(end)]);
        // Keys of before have no such part.
        parts.extend(policy.account.map(|account| json!(account.to_string())));
        json!(parts).to_string().into_bytes()
    }

    /// The key, with its secret.
    pub fn key(&self, secret: Secret) -> Arc<Key> {
        let Listed { id, about, .. } = &self.listed;
        let NewKey { name, policy, expires_at, .. } = about.clone();
        let holder = Arc::new(KeyHolder { id: id.clone(), name, policy });
        Arc::new(Key { holder, secret, expires_at })
    }
}

fn account(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<AccountId>> {
    let Some(text) = row.get::<_, Option<String>>(11)? else { return Ok(None) };
    let malformed = |_| rusqlite::Error::InvalidColumnType(11, "account".into(), Type::Text);
    text.parse().map(Some).map_err(malformed)
}

fn meshes_text(policy: &KeyPolicy) -> Option<String> {
    policy.meshes.as_ref().map(|meshes| serde_json::json!(meshes).to_string())
}

fn meshes(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<BTreeSet<String>>> {
    let Some(text) = row.get::<_, Option<String>>(6)? else { return Ok(None) };
    let malformed = |error| rusqlite::Error::FromSqlConversionFailure(6, Type::Text, Box::new(error));
    serde_json::from_str(&text).map(Some).map_err(malformed)
}

fn access(row: &rusqlite::Row<'_>) -> rusqlite::Result<Access> {
    match row.get::<_, String>(7)?.as_str() {
        "read" => Ok(Access::Read),
        "write" => Ok(Access::Write),
        _ => Err(rusqlite::Error::InvalidColumnType(7, "access".into(), Type::Text)),
    }
}
