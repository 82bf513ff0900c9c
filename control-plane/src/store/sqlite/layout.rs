//! Names and versions of what lies in the data directory. Pure.

use std::path::{Path, PathBuf};

use fleetmesh_mesh::store::StorePlace;

/// `PRAGMA application_id` of our databases: "FMCP".
pub const APPLICATION_ID: i64 = 0x464d_4350;

/// The newest schema that this program knows, in `PRAGMA user_version`: the tables are those of schema 1, and rows may be of
/// several accounts ([`super::names`]). A file becomes one when it is opened for several accounts. Programs from before would take
/// the rows of another account for unreadable ones, or for those of the first; they refuse a newer schema.
pub const SCHEMA_VERSION: i64 = 2;

/// The schema of a file that was only ever opened for one account.
pub const ONE_ACCOUNT: i64 = 1;

/// The tables of schema 1, `client_token` for programs from before `spent_token` only. Times are milliseconds since the Unix epoch; `spec` and `tags` are JSON. The key of a row is
/// where it lies (no rowid): every page that a commit does not touch is one that it does not write.
pub const SCHEMA: &str = "
CREATE TABLE identity (partition TEXT NOT NULL, region TEXT NOT NULL, account TEXT NOT NULL) STRICT;
CREATE TABLE revision (value INTEGER NOT NULL) STRICT;
CREATE TABLE resource (
    id TEXT NOT NULL PRIMARY KEY, uid TEXT NOT NULL, version INTEGER NOT NULL,
    created_at INTEGER NOT NULL, last_updated_at INTEGER NOT NULL, spec TEXT NOT NULL, tags TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE client_token (
    token TEXT NOT NULL PRIMARY KEY, request BLOB NOT NULL, spent_at INTEGER NOT NULL,
    id TEXT NOT NULL, uid TEXT NOT NULL, version INTEGER NOT NULL,
    created_at INTEGER NOT NULL, last_updated_at INTEGER NOT NULL, spec TEXT NOT NULL, tags TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX client_token_uid ON client_token (uid);
CREATE INDEX client_token_spent_at ON client_token (spent_at);
";

/// Tables that schema 1 got later: made where they are missing. Programs from before leave them alone, so going back to one
/// is possible. `version_key.key` is a secret, of 32 bytes; the newest has the highest id. `bound_key.key` is a digest. `spent_token.number` counts the
/// tokens of a mesh; `rest` is the id without its mesh, so that the longest row stays within a page. `resource_owner` has what was
/// made by another account than the one that owns the mesh. `snapshot_form.since` is when a program that knows the form first opened a file
/// that had resources.
pub const ADDITIONS: &str = "
CREATE TABLE IF NOT EXISTS version_key (
    id INTEGER NOT NULL PRIMARY KEY, made_at INTEGER NOT NULL, key BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS bound_key (
    instance TEXT NOT NULL, node TEXT NOT NULL, key BLOB NOT NULL, started INTEGER NOT NULL, until INTEGER NOT NULL,
    PRIMARY KEY (instance, node)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent_token (
    token TEXT NOT NULL, request BLOB NOT NULL, spent_at INTEGER NOT NULL,
    mesh TEXT NOT NULL, number INTEGER NOT NULL,
    rest TEXT NOT NULL, uid TEXT NOT NULL, version INTEGER NOT NULL, last_updated_at INTEGER NOT NULL,
    PRIMARY KEY (mesh, token)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (node TEXT NOT NULL PRIMARY KEY, memory BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS spent_token_number ON spent_token (mesh, number);
CREATE INDEX IF NOT EXISTS spent_token_spent_at ON spent_token (spent_at);
CREATE TABLE IF NOT EXISTS snapshot_form (form INTEGER NOT NULL PRIMARY KEY, since INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS resource_owner (id TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

/// How to have the data elsewhere.
const ANOTHER: &str = "choose another directory with --data-dir";

/// The data directory, or a file in it, in words.
pub fn data_directory(path: &Path) -> StorePlace {
    StorePlace { name: format!("the data directory {}", path.display()), another: ANOTHER }
}

/// The database at `path`, in words.
pub fn database_at(path: &Path) -> StorePlace {
    StorePlace { name: format!("the database {}", path.display()), another: ANOTHER }
}

/// The database in `directory`.
pub fn database(directory: &Path) -> PathBuf {
    directory.join("control-plane.db")
}

/// The files of which the database at `path` is made.
pub fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        name.into()
    })
}

/// The lock file in `directory`.
pub fn lock(directory: &Path) -> PathBuf {
    directory.join("control-plane.lock")
}
