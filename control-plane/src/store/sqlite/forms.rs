//! Since when the file is used by programs that know each form of snapshots, as rows.

use fleetmesh_mesh::form::Forms;
use jiff::Timestamp;
use rusqlite::Connection;

use super::table::TableError;

/// The number of [`fleetmesh_mesh::form::Form::Second`].
const SECOND: i64 = 2;

/// Notes the forms that the file does not know of: whatever is in it was served in earlier ones. A later clock than this one may have
/// written it.
pub fn note(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let sql = "INSERT OR IGNORE INTO snapshot_form (form, since)
        SELECT ?1, coalesce(max(?2, max(last_updated_at)) + 1, 0) FROM resource";
    connection.execute(sql, (SECOND, now.as_millisecond())).map(drop)
}

/// Since when each form is known.
pub fn load(connection: &Connection) -> Result<Forms, TableError> {
    let sql = "SELECT since FROM snapshot_form WHERE form = ?1";
    let since = connection.query_row(sql, [SECOND], |row| row.get(0))?;
    let row = |error: jiff::Error| TableError::Row { id: "snapshot_form".into(), reason: error.to_string() };
    Ok(Forms { second: Timestamp::from_millisecond(since).map_err(row)? })
}
