//! Rows to records and back: every SQL statement on the tables. Called by the writer's thread only.

use std::sync::Arc;

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::store::State;
use fleetmesh_mesh::view::{MeshView, Meshes, Record};
use fleetmesh_model::{ResourceId, Spec};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::{forms, names};

/// A row could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// SQLite's error.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A row that this program did not write.
    #[error("the row of {id} is unreadable: {reason}")]
    Row {
        /// The `id` column.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The record to replace or delete is not there at that version.
    #[error("{id} is not stored at version {version}")]
    Moved {
        /// Which record.
        id: String,
        /// The version that was expected.
        version: i64,
    },
    /// The file is not at the commit that was decided on: another writer was faster.
    #[error("another writer was faster: the store is not at revision {on} any more; try again")]
    Overtaken {
        /// The revision that was decided on.
        on: u64,
    },
}

/// The columns that make a record.
struct Columns {
    id: String,
    uid: String,
    version: i64,
    created_at: i64,
    last_updated_at: i64,
    spec: String,
    tags: String,
    /// The account that made it, unless it owns the mesh.
    owner: Option<String>,
}

impl Columns {
    const SELECT: &'static str = "id, uid, version, created_at, last_updated_at, spec, tags, \
        (SELECT owner FROM resource_owner WHERE resource_owner.id = resource.id) AS owner";

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            uid: row.get("uid")?,
            version: row.get("version")?,
            created_at: row.get("created_at")?,
            last_updated_at: row.get("last_updated_at")?,
            spec: row.get("spec")?,
            tags: row.get("tags")?,
            owner: row.get("owner")?,
        })
    }

    fn of(record: &Record, identity: &Identity) -> Result<Self, TableError> {
        let Record { id, arn: _, owner, uid, version, created_at, last_updated_at, spec, tags } = record;
        let owner = (*owner != id.mesh_name().owner()).then(|| identity.digits(*owner));
        let id = names::stored(id);
        let row = |error: serde_json::Error| TableError::Row { id: id.clone(), reason: error.to_string() };
        Ok(Self {
            uid: uid.clone(),
            version: *version,
            created_at: created_at.as_millisecond(),
            last_updated_at: last_updated_at.as_millisecond(),
            spec: serde_json::to_string(spec).map_err(row)?,
            tags: serde_json::to_string(tags).map_err(row)?,
            owner,
            id,
        })
    }

    fn into_record(self, identity: &Identity) -> Result<Record, TableError> {
        let Self { id: text, uid, version, created_at, last_updated_at, spec, tags, owner } = self;
        let row = |reason: String| TableError::Row { id: text.clone(), reason };
        let time = |millis| Timestamp::from_millisecond(millis).map_err(|error| row(error.to_string()));
        let id = names::parse(&text).map_err(row)?;
        let owner = owner.map(|digits| identity.any_account(&digits)).transpose().map_err(row)?;
        let json = serde_json::from_str(&spec).map_err(|error| row(error.to_string()))?;
        Ok(Record {
            arn: identity.arn(&id),
            owner: owner.unwrap_or(id.mesh_name().owner()),
            uid,
            version,
            created_at: time(created_at)?,
            last_updated_at: time(last_updated_at)?,
            spec: Spec::from_json(id.kind(), json).map_err(|error| row(error.to_string()))?,
            tags: serde_json::from_str(&tags).map_err(|error| row(error.to_string()))?,
            id,
        })
    }
}

/// Everything in the database, and the revision of its last commit.
pub fn load(connection: &Connection, identity: &Identity) -> Result<State, TableError> {
    let revision = connection.query_row("SELECT value FROM revision", (), |row| row.get::<_, i64>(0))?;
    let revision = u64::try_from(revision)
        .map_err(|_| TableError::Row { id: "revision".into(), reason: format!("{revision} is negative") })?;
    let forms = forms::load(connection)?;
    let mut meshes = Meshes::new();
    let mut statement = connection.prepare(&format!("SELECT {} FROM resource", Columns::SELECT))?;
    for columns in statement.query_map((), Columns::read)? {
        let record = Arc::new(columns?.into_record(identity)?);
        let mesh = meshes.entry(record.id.mesh_name().clone());
        let view = mesh.or_insert_with(|| Arc::new(MeshView { revision, forms, resources: [].into() }));
        Arc::make_mut(view).resources.insert(record.id.clone(), record);
    }
    if let Some(name) = meshes.iter().find(|(name, view)| view.get(&ResourceId::mesh(*name)).is_none()) {
        let reason = "there are resources in it, but it does not exist itself".into();
        return Err(TableError::Row { id: names::stored(&ResourceId::mesh(name.0)), reason });
    }
    Ok(State { meshes, revision, forms })
}

/// Makes the commit after `on` the last one of the file, if `on` is it now.
pub fn advance(connection: &Connection, on: u64) -> Result<(), TableError> {
    let sql = "UPDATE revision SET value = ?2 WHERE value = ?1";
    let next = on.saturating_add(1);
    let changed = connection.prepare_cached(sql)?.execute([number(on), number(next)])?;
    if changed == 1 { Ok(()) } else { Err(TableError::Overtaken { on }) }
}

/// Checks that `on` is the last commit of the file.
pub fn confirm(connection: &Connection, on: u64) -> Result<(), TableError> {
    let sql = "SELECT count(*) FROM revision WHERE value = ?1";
    let found: i64 = connection.prepare_cached(sql)?.query_row([number(on)], |row| row.get(0))?;
    if found == 1 { Ok(()) } else { Err(TableError::Overtaken { on }) }
}

/// A revision as SQLite has it.
fn number(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// Stores a record that must not be there yet.
pub fn insert(connection: &Connection, record: &Record, identity: &Identity) -> Result<(), TableError> {
    let columns = Columns::of(record, identity)?;
    if names::parse(&columns.id).as_ref() != Ok(&record.id) {
        return Err(TableError::Row { id: columns.id, reason: "the name cannot be stored".into() });
    }
    let Columns { id, uid, version, created_at, last_updated_at, spec, tags, owner } = columns;
    if let Some(owner) = owner {
        let sql = "INSERT OR REPLACE INTO resource_owner VALUES (?1, ?2)";
        connection.prepare_cached(sql)?.execute([&id, &owner])?;
    }
    connection
        .prepare_cached("INSERT INTO resource VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![id, uid, version, created_at, last_updated_at, spec, tags])?;
    Ok(())
}

/// Stores a record in the place of the one with the same uid at `replaces`.
pub fn update(
    connection: &Connection,
    record: &Record,
    replaces: i64,
    identity: &Identity,
) -> Result<(), TableError> {
    let Columns { id, uid, version, created_at: _, last_updated_at, spec, tags, owner: _ } =
        Columns::of(record, identity)?;
    let sql = "UPDATE resource SET version = ?1, last_updated_at = ?2, spec = ?3, tags = ?4
        WHERE id = ?5 AND uid = ?6 AND version = ?7";
    let changed = connection.prepare_cached(sql)?.execute(params![
        version,
        last_updated_at,
        spec,
        tags,
        id,
        uid,
        replaces
    ])?;
    if changed == 1 { Ok(()) } else { Err(TableError::Moved { id, version: replaces }) }
}

/// Removes the record `id` with `uid` at `version`.
pub fn delete(connection: &Connection, id: &ResourceId, uid: &str, version: i64) -> Result<(), TableError> {
    let id = names::stored(id);
    connection.prepare_cached("DELETE FROM resource_owner WHERE id = ?1")?.execute([&id])?;
    let sql = "DELETE FROM resource WHERE id = ?1 AND uid = ?2 AND version = ?3";
    let changed = connection.prepare_cached(sql)?.execute(params![id, uid, version])?;
    if changed == 1 { Ok(()) } else { Err(TableError::Moved { id, version }) }
}
