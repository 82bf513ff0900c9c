//! The change of a request, decided on the newest state of a store: pure functions that a commit runs ([`Commit`]), with time and
//! uid drawn before.
//!
//! [`Commit`]: crate::store::Commit

use std::sync::Arc;

use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Account, Kind, ResourceId, Spec};
use jiff::Timestamp;

use crate::quota::Quotas;
use crate::refusal::{Class, Refusal};
use crate::rules::{self, absent};
use crate::store::{Change, Tip, Write};
use crate::view::{MeshView, Record};

/// Makes `record`.
///
/// # Errors
/// A conflict when there is one of that identity; what [`rules::may_create`], [`rules::admit`] and [`Quotas::admit`] refuse.
pub fn create(tip: Tip<'_>, record: &Record, quotas: &Quotas) -> Result<Change, Refusal> {
    let id = &record.id;
    rules::may_create(tip.mesh(id.mesh_name()), id, record.owner)?;
    if tip.record(id).is_some() {
        let message = format!("{id} exists already; update it, or choose another name");
        return Err(Refusal::conflict(message));
    }
    if id.kind() != Kind::Mesh {
        rules::admit(mesh_of(tip, id)?, id, &record.spec)?;
    }
    quotas.admit(tip, id)?;
    Ok(Change::Put(Write { record: record.clone(), replaces: None }))
}

/// Gives `id` another spec, as `caller` asks for.
///
/// # Errors
/// Not found when it does not exist; what [`rules::may_change`] and [`rules::admit`] refuse.
pub fn update(
    tip: Tip<'_>,
    caller: Account,
    id: &ResourceId,
    spec: &Spec,
    now: Timestamp,
) -> Result<Change, Refusal> {
    let mesh = mesh_of(tip, id)?;
    let current: &Arc<Record> = mesh.get(id).ok_or_else(|| absent(id))?;
    rules::may_change(current, caller)?;
    rules::admit(mesh, id, spec)?;
    let record = Record {
        version: current.version.saturating_add(1),
        // A clock that was set back must not make a resource older than it is.
        last_updated_at: now.max(current.last_updated_at),
        spec: spec.clone(),
        ..Record::clone(current)
    };
    Ok(Change::Put(Write { record, replaces: Some(current.version) }))
}

/// Deletes `id`, as `caller` asks for.
///
/// # Errors
/// Not found when it does not exist; what [`rules::may_delete`] and [`rules::release`] refuse.
pub fn delete(tip: Tip<'_>, caller: Account, id: &ResourceId) -> Result<Change, Refusal> {
    let mesh = mesh_of(tip, id)?;
    let current = mesh.get(id).ok_or_else(|| absent(id))?;
    rules::may_delete(current, caller)?;
    rules::release(mesh, id)?;
    Ok(Change::Delete { id: id.clone(), uid: current.uid.clone(), version: current.version })
}

/// Changes the tags of `id`, as `caller` asks for. A tag is no part of a resource's spec, so its version stays.
///
/// # Errors
/// Not found when it does not exist; what [`rules::may_change`] refuses; too many tags.
pub fn retag(
    tip: Tip<'_>,
    caller: Account,
    id: &ResourceId,
    change: &dyn Fn(Tags) -> Tags,
) -> Result<Change, Refusal> {
    let current = mesh_of(tip, id)?.get(id).ok_or_else(|| absent(id))?;
    rules::may_change(current, caller)?;
    let tags = change(current.tags.clone());
    rules::tag_count(Class::TooManyTags, tags.len())?;
    let record = Record { tags, ..Record::clone(current) };
    Ok(Change::Put(Write { record, replaces: Some(current.version) }))
}

/// The mesh that `id` is in, or is.
fn mesh_of<'a>(tip: Tip<'a>, id: &ResourceId) -> Result<&'a MeshView, Refusal> {
    let name = id.mesh_name();
    tip.mesh(name).ok_or_else(|| absent(&ResourceId::mesh(name)))
}
