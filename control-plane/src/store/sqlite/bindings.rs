//! The keys that instances are bound to, as rows. Called by the thread that owns the connection.

use fleetmesh_mesh::store::Binding;
use fleetmesh_model::ResourceId;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::names;
use super::table::TableError;

/// Stores `binding` unless another stands in its way at `now`; says whether it did. Those that are over are forgotten.
pub fn bind(connection: &Connection, binding: &Binding, now: Timestamp) -> Result<bool, TableError> {
    let transaction = connection.unchecked_transaction()?;
    let Binding { instance, node, key, started, until } = binding;
    let node = names::stored(node);
    let sql = "SELECT key, started, until FROM bound_key WHERE instance = ?1 AND node = ?2";
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let row = transaction.prepare_cached(sql)?.query_row((instance, &node), read).optional()?;
    let former = row.map(|row| former(binding, row)).transpose()?;
    if former.as_ref().is_some_and(|former| !binding.may_follow(former, now)) {
        return Ok(false);
    }
    let started = former.map_or(*started, |former| former.started.max(*started));
    transaction.prepare_cached("DELETE FROM bound_key WHERE until <= ?1")?.execute([now.as_millisecond()])?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO bound_key VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![instance, node, key.as_slice(), started.as_millisecond(), until.as_millisecond()])?;
    transaction.commit()?;
    Ok(true)
}

fn former(of: &Binding, (key, started, until): (Vec<u8>, i64, i64)) -> Result<Binding, TableError> {
    let Binding { instance, node, .. } = of;
    let row = |reason: String| TableError::Row { id: format!("{instance} of {node}"), reason };
    let time = |millis| Timestamp::from_millisecond(millis).map_err(|error| row(error.to_string()));
    Ok(Binding {
        instance: instance.clone(),
        node: ResourceId::clone(node),
        key: key.try_into().map_err(|_| row("the digest of the key has another length".into()))?,
        started: time(started)?,
        until: time(until)?,
    })
}
