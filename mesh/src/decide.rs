//! The change of a request, decided on the newest state of a store: pure functions that a commit runs ([`Commit`]), with time and
//! uid drawn before. Requests that are sent together are decided by
//! [`together`](crate::together::together).
//!
//! [`Commit`]: crate::store::Commit

use std::collections::BTreeSet;
use std::sync::Arc;

use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Account, Kind, ResourceId, Spec};
use jiff::Timestamp;

use crate::quota::Quotas;
use crate::refusal::{Class, Refusal};
use crate::rules::{self, absent};
use crate::store::{Change, Tip, Write};
use crate::view::{MeshView, Record};

/// A request that changes one resource.
#[derive(Clone, Debug, PartialEq)]
pub enum MeshRequest {
    /// Make this record.
    Create(Record),
    /// Give a resource another spec.
    Update {
        /// Which.
        id: ResourceId,
        /// The spec.
        spec: Spec,
        /// The time of the request.
        now: Timestamp,
    },
    /// Delete a resource.
    Delete(ResourceId),
    /// Change the tags of a resource.
    Retag {
        /// Which.
        id: ResourceId,
        /// The tags to set.
        set: Tags,
        /// The keys to remove.
        remove: BTreeSet<String>,
    },
}

impl MeshRequest {
    /// The resource that it is about.
    pub fn id(&self) -> &ResourceId {
        match self {
            Self::Create(record) => &record.id,
            Self::Update { id, .. } | Self::Delete(id) | Self::Retag { id, .. } => id,
        }
    }

    /// Whether it is about more than tags.
    pub fn is_of_the_spec(&self) -> bool {
        !matches!(self, Self::Retag { .. })
    }
}

/// Decides a request by itself.
///
/// # Errors
/// Those of [`create`], [`update`], [`delete`] and [`retag`].
pub fn alone(
    tip: Tip<'_>,
    caller: Account,
    request: &MeshRequest,
    quotas: &Quotas,
) -> Result<Change, Refusal> {
    match request {
        MeshRequest::Create(record) => create(tip, record, quotas),
        MeshRequest::Update { id, spec, now } => update(tip, caller, id, spec, *now),
        MeshRequest::Delete(id) => delete(tip, caller, id),
        MeshRequest::Retag { id, set, remove } => retag(tip, caller, id, set, remove),
    }
}

/// Makes `record`.
///
/// # Errors
/// A conflict when there is one of that identity; what [`rules::may_create`], [`rules::admit`] and [`Quotas::admit`] refuse.
pub fn create(tip: Tip<'_>, record: &Record, quotas: &Quotas) -> Result<Change, Refusal> {
    let id = &record.id;
    rules::may_create(tip.mesh(id.mesh_name()), id, record.owner)?;
    if tip.record(id).is_some() {
        return Err(exists(id));
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
    Ok(updated(current, spec, now))
}

/// `current` with another spec, as the next version of it.
pub(crate) fn updated(current: &Record, spec: &Spec, now: Timestamp) -> Change {
    let record = Record {
        version: current.version.saturating_add(1),
        // A clock that was set back must not make a resource older than it is.
        last_updated_at: now.max(current.last_updated_at),
        spec: spec.clone(),
        ..current.clone()
    };
    Change::Put(Write { record, replaces: Some(current.version) })
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
    set: &Tags,
    remove: &BTreeSet<String>,
) -> Result<Change, Refusal> {
    let current = mesh_of(tip, id)?.get(id).ok_or_else(|| absent(id))?;
    rules::may_change(current, caller)?;
    retagged(current, set, remove)
}

/// `current` with other tags.
///
/// # Errors
/// Too many tags.
pub(crate) fn retagged(current: &Record, set: &Tags, remove: &BTreeSet<String>) -> Result<Change, Refusal> {
    let mut tags = current.tags.clone();
    tags.retain(|key, _| !remove.contains(key));
    tags.extend(set.clone());
    rules::tag_count(Class::TooManyTags, tags.len())?;
    let record = Record { tags, ..current.clone() };
    Ok(Change::Put(Write { record, replaces: Some(current.version) }))
}

/// The refusal for a resource that is to be made and exists.
pub(crate) fn exists(id: &ResourceId) -> Refusal {
    Refusal::conflict(format!("{id} exists already; update it, or choose another name"))
}

/// The mesh that `id` is in, or is.
fn mesh_of<'a>(tip: Tip<'a>, id: &ResourceId) -> Result<&'a MeshView, Refusal> {
    let name = id.mesh_name();
    tip.mesh(name).ok_or_else(|| absent(&ResourceId::mesh(name)))
}
