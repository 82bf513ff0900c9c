//! Opening: checks that the file is ours, whole and not newer than this program, makes it when there is none, and loads
//! all of it. Nothing is written to a file that fails a check.

use std::path::Path;

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::snapshot::VersionKeys;
use fleetmesh_mesh::store::{OpenError, State};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension};

use super::held::{self, HeldByNode};
use super::table::TableError;
use super::{forms, layout, table, tokens, version_keys};
use crate::private;

/// An open database and everything in it.
pub struct Opened {
    /// The connection, ready to commit.
    pub connection: Connection,
    /// All meshes, as of the last commit.
    pub state: State,
    /// The keys that mark versions.
    pub keys: VersionKeys,
    /// What proxies refuse and run instead.
    pub held: HeldByNode,
}

/// Opens the database `path`, or makes it.
pub fn open(path: &Path, identity: &Identity) -> Result<Opened, OpenError> {
    // SQLite makes the two others with the mode of the database. What cannot be made here SQLite says.
    let _ = private::options().write(true).create_new(true).open(path);
    for file in layout::files(path) {
        private::tighten_file(&file);
    }
    let connection = Connection::open(path).map_err(|error| explain(path, &error))?;
    let connection = prepare(connection, path, identity)?;
    let damaged = |error: TableError| OpenError::Damaged {
        place: layout::database_at(path),
        reason: error.to_string(),
    };
    let state = table::load(&connection, identity).map_err(damaged)?;
    let failed = |error| match error {
        TableError::Sqlite(error) => explain(path, &error),
        error => damaged(error),
    };
    let now = Timestamp::now();
    let keys = version_keys::renewed(&connection, now).map_err(failed)?;
    tokens::take_over(&connection, now).map_err(failed)?;
    let held = held::load(&connection).map_err(failed)?;
    Ok(Opened { connection, state, keys, held })
}

fn prepare(connection: Connection, path: &Path, identity: &Identity) -> Result<Connection, OpenError> {
    let fresh = inspect(&connection, path)?;
    let tuned = || -> rusqlite::Result<()> {
        // A person may look at the file with the sqlite3 tool meanwhile: wait for them, do not fail.
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.set_prepared_statement_cache_capacity(32);
        if fresh {
            create(&connection, identity)?;
        }
        Ok(())
    };
    tuned().map_err(|error| explain(path, &error))?;
    same_identity(&connection, path, identity)?;
    add(&connection).map_err(|error| explain(path, &error))?;
    forms::note(&connection, Timestamp::now()).map_err(|error| explain(path, &error))?;
    if !identity.others.is_empty() {
        let marked = connection.pragma_update(None, "user_version", layout::SCHEMA_VERSION);
        marked.map_err(|error| explain(path, &error))?;
    }
    Ok(connection)
}

/// Makes the tables that are missing, together, so that a new file waits for the disk once. Nothing is written when none is.
fn add(connection: &Connection) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(layout::ADDITIONS)?;
    transaction.commit()
}

/// Whether the database is empty; an error when it is not one that this program may use.
fn inspect(connection: &Connection, path: &Path) -> Result<bool, OpenError> {
    let read = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let checked = || -> rusqlite::Result<(i64, i64, i64, String)> {
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let whole = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        Ok((tables, read("application_id")?, read("user_version")?, whole))
    };
    let (tables, application, version, whole) = checked().map_err(|error| explain(path, &error))?;
    let damaged = |reason: String| OpenError::Damaged { place: layout::database_at(path), reason };
    if tables == 0 && application == 0 {
        return Ok(true);
    }
    if application != layout::APPLICATION_ID {
        return Err(damaged("it is a database of another program".into()));
    }
    if version > layout::SCHEMA_VERSION {
        let known = layout::SCHEMA_VERSION;
        return Err(OpenError::NewerSchema { place: layout::database_at(path), found: version, known });
    }
    if whole != "ok" {
        return Err(damaged(whole));
    }
    Ok(false)
}

fn create(connection: &Connection, identity: &Identity) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(layout::SCHEMA)?;
    let Identity { partition, region, account, others: _ } = identity;
    transaction.execute("INSERT INTO identity VALUES (?1, ?2, ?3)", (partition, region, account))?;
    transaction.execute("INSERT INTO revision VALUES (0)", ())?;
    transaction.pragma_update(None, "application_id", layout::APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", layout::ONE_ACCOUNT)?;
    transaction.commit()
}

fn same_identity(connection: &Connection, path: &Path, given: &Identity) -> Result<(), OpenError> {
    let read = |row: &rusqlite::Row<'_>| {
        // Which others are served beside the first may change.
        let others = given.others.clone();
        Ok(Identity { partition: row.get(0)?, region: row.get(1)?, account: row.get(2)?, others })
    };
    let stored = connection.query_row("SELECT partition, region, account FROM identity", (), read).optional();
    let stored = stored.map_err(|error| explain(path, &error))?;
    if stored.as_ref() == Some(given) {
        return Ok(());
    }
    let words = |identity: &Identity| {
        let Identity { partition, region, account, others: _ } = identity;
        format!("account {account}, region {region}, partition {partition}")
    };
    let stored = stored.as_ref().map_or_else(|| "no account".into(), words);
    Err(OpenError::OtherIdentity { place: layout::database_at(path), stored, given: words(given) })
}

/// SQLite's error as ours.
fn explain(path: &Path, error: &rusqlite::Error) -> OpenError {
    let place = layout::database_at(path);
    let reason = error.to_string();
    match error.sqlite_error_code() {
        // The last is SQLITE_ERROR: what this program says does not fit what is in the file.
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => {
            OpenError::Damaged { place, reason }
        }
        _ => OpenError::Storage { place, reason },
    }
}
