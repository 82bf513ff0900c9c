//! The rows. Called by the thread that owns the connection.

use std::path::Path;

use fleetmesh_standalone_core::store::{EventKind, Key, State, Stored};
use rusqlite::{Connection, ErrorCode, params};

use super::OpenError;
use crate::files;

/// `PRAGMA application_id` of our databases: "FMSA".
const APPLICATION_ID: i64 = 0x464d_5341;
/// `PRAGMA user_version`. 1 had no checksums.
const SCHEMA_VERSION: i64 = 2;

/// `sum` is the [`checksum`] of the row. `text` is the object as JSON with its resource version, which is `revision`. The one row of
/// `revision` has the last that was used, by a deletion too.
const SCHEMA: &str = "
CREATE TABLE revision (value INTEGER NOT NULL) STRICT;
INSERT INTO revision VALUES (0);
CREATE TABLE object (
    store TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, text TEXT NOT NULL,
    sum INTEGER, PRIMARY KEY (store, namespace, name)
) STRICT, WITHOUT ROWID;
";

/// Opens the database at `path`, or makes it, and loads all of it. A file that fails a check is not written.
pub(super) fn open(path: &Path) -> Result<(Connection, State), OpenError> {
    let failed = |error: rusqlite::Error| explain(path, &error);
    if path != Path::new(":memory:") {
        // SQLite makes the two files beside it with the mode of the database. What cannot be made here SQLite says.
        let _ = files::options().write(true).create_new(true).open(path);
        files::tighten(path);
    }
    let connection = Connection::open(path).map_err(failed)?;
    let version = inspect(&connection, path)?;
    prepare(&connection, version.is_none()).map_err(failed)?;
    let is_old = version.is_some_and(|version| version < SCHEMA_VERSION);
    let state = read(&connection, path, !is_old)?;
    if is_old {
        add_checksums(&connection).map_err(failed)?;
    }
    Ok((connection, state))
}

/// SQLite's own check looks at how rows lie in the file, not at what is in them.
fn checksum(key: &Key, revision: i64, text: &str) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [&key.store, &key.namespace, &key.name, text] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    hasher.update(&revision.to_le_bytes());
    hasher.finalize().into()
}

/// Brings the schema from 1 to 2. All of it, or nothing.
fn add_checksums(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch("ALTER TABLE object ADD COLUMN sum INTEGER")?;
    let mut statement = transaction.prepare("SELECT store, namespace, name, revision, text FROM object")?;
    let rows = statement.query_map([], |row| {
        let key = Key { store: row.get(0)?, namespace: row.get(1)?, name: row.get(2)? };
        let text: String = row.get(4)?;
        let sum = checksum(&key, row.get(3)?, &text);
        Ok((sum, key))
    })?;
    let sums: Vec<(i64, Key)> = rows.collect::<rusqlite::Result<_>>()?;
    drop(statement);
    let sql = "UPDATE object SET sum = ?1 WHERE store = ?2 AND namespace = ?3 AND name = ?4";
    for (sum, Key { store, namespace, name }) in sums {
        transaction.prepare_cached(sql)?.execute(params![sum, store, namespace, name])?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let (path, reason) = (path.to_owned(), error.to_string());
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => OpenError::Damaged { path, reason },
        // What a row has is not what we wrote: SQLite's own check looks at how rows lie in the file, not at their texts.
        None => OpenError::Damaged { path, reason },
        Some(_) => OpenError::Unusable { path, reason },
    }
}

/// The version of the schema; none when the database is empty.
fn inspect(connection: &Connection, path: &Path) -> Result<Option<i64>, OpenError> {
    let read = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let checked = || -> rusqlite::Result<(i64, i64, i64, String)> {
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let whole = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok((tables, read("application_id")?, read("user_version")?, whole))
    };
    let (tables, application, found, whole) = checked().map_err(|error| explain(path, &error))?;
    let damaged = |reason: String| OpenError::Damaged { path: path.to_owned(), reason };
    if tables == 0 && application == 0 {
        return Ok(None);
    }
    if application != APPLICATION_ID {
        return Err(damaged("it is a database of another program".into()));
    }
    if found > SCHEMA_VERSION {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: SCHEMA_VERSION });
    }
    if whole == "ok" { Ok(Some(found)) } else { Err(damaged(whole)) }
}

fn prepare(connection: &Connection, is_new: bool) -> rusqlite::Result<()> {
    // A person may look at the file with the sqlite3 tool meanwhile: wait for them, do not fail.
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    if is_new {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Everything that is stored.
pub(super) fn load(connection: &Connection, path: &Path) -> Result<State, OpenError> {
    read(connection, path, true)
}

fn read(connection: &Connection, path: &Path, has_sums: bool) -> Result<State, OpenError> {
    let failed = |error: rusqlite::Error| explain(path, &error);
    let revision = last_revision(connection).map_err(failed)?;
    let sum = if has_sums { "sum" } else { "NULL" };
    let sql = format!("SELECT store, namespace, name, revision, text, {sum} FROM object");
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut objects = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let columns = || -> rusqlite::Result<(Key, i64, String, Option<i64>)> {
            let key = Key { store: row.get(0)?, namespace: row.get(1)?, name: row.get(2)? };
            Ok((key, row.get(3)?, row.get(4)?, row.get(5)?))
        };
        let (key, revision, text, sum) = columns().map_err(failed)?;
        let name = format!("{} {}/{}", key.store, key.namespace, key.name);
        let damaged =
            |reason: &str| OpenError::Damaged { path: path.to_owned(), reason: format!("{name}: {reason}") };
        if has_sums && sum != Some(checksum(&key, revision, &text)) {
            return Err(damaged("it is not what was stored"));
        }
        let revision = u64::try_from(revision).map_err(|error| damaged(&error.to_string()))?;
        let object = Stored::read(key, &text, revision);
        objects.push(object.map_err(|error| damaged(&error.to_string()))?);
    }
    // A revision that is used again would let a precondition of an old reader hold for another object.
    let newest = objects.iter().map(|object| object.revision).max().unwrap_or_default();
    if revision < newest {
        let reason = format!("its last revision is {revision}, and an object has revision {newest}");
        return Err(OpenError::Damaged { path: path.to_owned(), reason });
    }
    Ok(State::load(objects, revision))
}

/// The last revision that was used; one that is no revision is an error of its column.
pub(super) fn last_revision(connection: &Connection) -> rusqlite::Result<u64> {
    let revision: i64 = connection.query_row("SELECT value FROM revision", [], |row| row.get(0))?;
    u64::try_from(revision).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, revision))
}

/// Sets the last revision that was used.
pub(super) fn advance(connection: &Connection, revision: u64) -> rusqlite::Result<()> {
    connection.prepare_cached("UPDATE revision SET value = ?1")?.execute([number(revision)]).map(drop)
}

/// Stores one change.
pub(super) fn write(connection: &Connection, kind: EventKind, object: &Stored) -> rusqlite::Result<()> {
    let Key { store, namespace, name } = &object.key;
    match kind {
        EventKind::Added | EventKind::Modified => connection
            .prepare_cached("INSERT OR REPLACE INTO object VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                store,
                namespace,
                name,
                number(object.revision),
                &*object.text,
                checksum(&object.key, number(object.revision), &object.text)
            ])
            .map(drop),
        EventKind::Deleted => connection
            .prepare_cached("DELETE FROM object WHERE store = ?1 AND namespace = ?2 AND name = ?3")?
            .execute((store, namespace, name))
            .map(drop),
    }
}

/// As SQLite has it. Revisions are counted from 1 and never come near its bound.
fn number(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}
