//! The keys that mark the clusters in versions, as rows: read, and replaced one at a time. Called by the thread that owns
//! the connection.

use fleetmesh_mesh::snapshot::{KEY_LENGTH, KEYS, VersionKeys};
use fleetmesh_mesh::store::KEY_LIFE;
use jiff::Timestamp;
use rusqlite::Connection;

use super::table::TableError;

/// The keys; a new one is made first when there is none, or when the newest is older than [`KEY_LIFE`] at `now`.
pub fn renewed(connection: &Connection, now: Timestamp) -> Result<VersionKeys, TableError> {
    let sql = "SELECT made_at FROM version_key ORDER BY id DESC LIMIT 1";
    let newest = connection.prepare(sql)?.query_map((), |row| row.get::<_, i64>(0))?.next().transpose()?;
    let age = newest.map(|made| now.as_millisecond().saturating_sub(made));
    if age.is_none_or(|age| i128::from(age) > KEY_LIFE.as_millis()) {
        let transaction = connection.unchecked_transaction()?;
        let mut key = [0; KEY_LENGTH];
        aws_lc_rs::rand::fill(&mut key).map_err(|_| unreadable("the system gives no random numbers"))?;
        let made = now.as_millisecond();
        transaction
            .execute("INSERT INTO version_key (made_at, key) VALUES (?1, ?2)", (made, key.as_slice()))?;
        let older =
            "DELETE FROM version_key WHERE id NOT IN (SELECT id FROM version_key ORDER BY id DESC LIMIT ?1)";
        transaction.execute(older, [KEYS])?;
        transaction.commit()?;
    }
    load(connection)
}

/// The keys.
pub fn load(connection: &Connection) -> Result<VersionKeys, TableError> {
    let mut statement = connection.prepare("SELECT key FROM version_key ORDER BY id DESC")?;
    let mut keys = Vec::new();
    for key in statement.query_map((), |row| row.get::<_, Vec<u8>>(0))? {
        let key = <[u8; KEY_LENGTH]>::try_from(key?);
        keys.push(key.map_err(|_| unreadable("a key has another length"))?);
    }
    Ok(VersionKeys::new(&keys))
}

fn unreadable(reason: &str) -> TableError {
    TableError::Row { id: "version_key".into(), reason: reason.into() }
}
