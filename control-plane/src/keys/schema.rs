//! The table of issued keys, and the migrations from earlier versions of it.

use fleetmesh_model::AccountId;
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// `PRAGMA application_id`: "FMAK".
pub const APPLICATION_ID: i64 = 0x464d_414b;
/// The newest `PRAGMA user_version` that is known: a file in which keys are of several accounts. To programs from before each of
/// them would be the first account's, so they are kept from such a file.
pub const VERSION: i64 = 2;
/// That of the table below; 0 is that of before there were policies.
const WITH_POLICIES: i64 = 1;

/// The first table. A revoked key keeps its row, without its secret.
const FIRST: &str = "CREATE TABLE access_key (
    id TEXT NOT NULL PRIMARY KEY, secret TEXT, description TEXT NOT NULL,
    created_at INTEGER NOT NULL, revoked_at INTEGER
) STRICT";
/// What a key may do, until when, and its secret when it is sealed: `secret` is null then, and `seal_key` names the key.
/// Keys of before may do everything, as they always could.
const POLICIES: &str = "
    ALTER TABLE access_key ADD COLUMN name TEXT NOT NULL DEFAULT '';
    ALTER TABLE access_key ADD COLUMN meshes TEXT;
    ALTER TABLE access_key ADD COLUMN access TEXT NOT NULL DEFAULT 'write';
    ALTER TABLE access_key ADD COLUMN expires_at INTEGER;
    ALTER TABLE access_key ADD COLUMN sealed BLOB;
    ALTER TABLE access_key ADD COLUMN seal_key TEXT;";

/// Since when every secret is sealed. It is made beside the table when secrets are sealed for the first time, and its row is
/// never taken away: from then on a secret in the clear is none that was there before. Versions that know nothing of it are
/// not hindered by it.
const SEALED: &str = "CREATE TABLE IF NOT EXISTS sealed (since INTEGER NOT NULL) STRICT";

/// The accounts of keys that are not of the first one; made with the first of them.
const ACCOUNTS: &str =
    "CREATE TABLE IF NOT EXISTS key_account (id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL) STRICT";

/// Binds the key `id` to `account`.
///
/// # Errors
/// The database's.
pub fn bind(connection: &Connection, id: &str, account: AccountId) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", VERSION)?;
    connection.execute_batch(ACCOUNTS)?;
    let text = "INSERT OR REPLACE INTO key_account VALUES (?1, ?2)";
    connection.execute(text, (id, account.to_string())).map(drop)
}

/// The column of a key's account in a selection from its table.
///
/// # Errors
/// The database's.
pub fn account_column(connection: &Connection) -> rusqlite::Result<&'static str> {
    Ok(match has_table(connection, "key_account")? {
        true => "(SELECT account FROM key_account WHERE key_account.id = access_key.id)",
        false => "NULL",
    })
}

/// Whether there is a table of this name.
///
/// # Errors
/// The database's.
pub fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    let text = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    connection.query_row(text, [name], |row| Ok(row.get::<_, i64>(0)? > 0))
}

/// Whether every secret is sealed from a moment in the past on. That this is said is not authenticated, and need not be: it
/// only makes more be refused. That it is not said cannot be authenticated by anything in the same file.
///
/// # Errors
/// The database's.
pub fn is_sealed(connection: &Connection) -> rusqlite::Result<bool> {
    if !has_table(connection, "sealed")? {
        return Ok(false);
    }
    connection.query_row("SELECT count(*) FROM sealed", [], |row| Ok(row.get::<_, i64>(0)? > 0))
}

/// Says that every secret is sealed from `now`, in milliseconds, on.
///
/// # Errors
/// The database's.
pub fn set_sealed(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    if is_sealed(connection)? {
        return Ok(());
    }
    connection.execute_batch(SEALED)?;
    connection.execute("INSERT INTO sealed VALUES (?1)", [now]).map(drop)
}

/// Makes the table in an empty file, or brings an older one up. What is not ours, or newer, is left as it is.
///
/// # Errors
/// The database's.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    // What is deleted is overwritten: a forgotten secret is not in the file any more.
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    if is_current(connection)? {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another process may have been first.
    let tables = "SELECT count(*) FROM sqlite_schema";
    if transaction.query_row(tables, [], |row| Ok(row.get::<_, i64>(0)? == 0))? {
        transaction.execute_batch(FIRST)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    if !is_current(&transaction)? {
        transaction.execute_batch(POLICIES)?;
        transaction.pragma_update(None, "user_version", WITH_POLICIES)?;
    }
    transaction.commit()
}

/// Whether nothing is to be done: the table is of this version, or the file is none of ours to change.
fn is_current(connection: &Connection) -> rusqlite::Result<bool> {
    let tables = "SELECT count(*) FROM sqlite_schema";
    if connection.query_row(tables, [], |row| Ok(row.get::<_, i64>(0)? == 0))? {
        return Ok(false);
    }
    let foreign = pragma(connection, "application_id")? != APPLICATION_ID;
    Ok(foreign || pragma(connection, "user_version")? >= WITH_POLICIES)
}

/// The number that a pragma has.
///
/// # Errors
/// The database's.
pub fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}
