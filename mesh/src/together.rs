//! Requests that are sent together, decided together: a pure function that a commit of several changes runs
//! ([`JointCommit`](crate::store::JointCommit)). Each is looked at by itself first, then on the state after all of them.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use fleetmesh_model::{Account, Kind, MeshName, ResourceId, Spec};

use crate::decide::{MeshRequest, exists, retagged, updated};
use crate::quota::Quotas;
use crate::refusal::Refusal;
use crate::rules::{self, absent};
use crate::store::{Change, Fault, Tip, Write};
use crate::view::{MeshView, Record};

/// Decides requests about what is in the mesh `mesh`, or about the mesh itself, together: what has to fit between objects is judged
/// on the state after all of them, so that their order does not matter. `parts` are the places of those that are to be decided;
/// gives their changes in that order.
///
/// Of two that do not fit each other the one is blamed that depends on the other: a route, not its router or its target.
///
/// # Errors
/// The requests that speak against it, in their order: what the requests alone would be refused for, on the state after all of
/// them; two that create, update or delete one resource; one that creates or deletes the mesh itself.
pub fn together(
    tip: Tip<'_>,
    caller: Account,
    mesh: &MeshName,
    requests: &[MeshRequest],
    parts: &[usize],
    quotas: &Quotas,
) -> Result<Vec<Change>, Vec<Fault>> {
    let asked: Vec<(usize, &MeshRequest)> =
        parts.iter().filter_map(|part| requests.get(*part).map(|request| (*part, request))).collect();
    let Some(view) = tip.mesh(mesh) else {
        let refusal = absent(&ResourceId::mesh(mesh));
        return Err(asked.iter().map(|(part, _)| Fault { part: *part, refusal: refusal.clone() }).collect());
    };
    let mut after = view.clone();
    let mut changes = Vec::with_capacity(asked.len());
    let mut faults = Vec::new();
    let mut seen = BTreeMap::new();
    for (part, request) in &asked {
        match by_itself(&mut after, caller, mesh, request, *part, &mut seen) {
            Ok(change) => changes.push(change),
            Err(refusal) => faults.push(Fault { part: *part, refusal }),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let without_dependents = without(&after, &asked);
    for (part, request) in asked {
        if let Err(refusal) = fits(&after, &without_dependents, caller, request, quotas) {
            faults.push(Fault { part, refusal });
        }
    }
    if faults.is_empty() { Ok(changes) } else { Err(faults) }
}

/// What a request does to the mesh as the requests before it left it, but for all that has to fit between objects. `seen` are the
/// resources that earlier parts are about.
fn by_itself(
    mesh: &mut MeshView,
    caller: Account,
    name: &MeshName,
    request: &MeshRequest,
    part: usize,
    seen: &mut BTreeMap<ResourceId, usize>,
) -> Result<Change, Refusal> {
    let id = request.id();
    if id.mesh_name() != name {
        let message = format!("{id} is not in the mesh {:?}, which this commit is about", name.name());
        return Err(Refusal::bad_request(message));
    }
    if request.is_of_the_spec()
        && let Some(earlier) = seen.insert(id.clone(), part)
    {
        let message =
            format!("{id} is created, updated or deleted by part {earlier} as well: send one of them");
        return Err(Refusal::bad_request(message));
    }
    let current = mesh.get(id).cloned();
    let existing = || current.clone().ok_or_else(|| absent(id));
    let change = match request {
        MeshRequest::Create(_) | MeshRequest::Delete(_) if id.kind() == Kind::Mesh => {
            let message = format!("{id}: a commit is about what is in a mesh; create and delete that alone");
            return Err(Refusal::bad_request(message));
        }
        MeshRequest::Create(_) if current.is_some() => return Err(exists(id)),
        MeshRequest::Create(record) => Change::Put(Write { record: record.clone(), replaces: None }),
        MeshRequest::Update { id: _, spec, now } => {
            let current = existing()?;
            rules::may_change(&current, caller)?;
            updated(&current, spec, *now)
        }
        MeshRequest::Delete(_) => {
            let current = existing()?;
            rules::may_delete(&current, caller)?;
            Change::Delete { id: id.clone(), uid: current.uid.clone(), version: current.version }
        }
        MeshRequest::Retag { id: _, set, remove } => {
            let current = existing()?;
            rules::may_change(&current, caller)?;
            retagged(&current, set, remove)?
        }
    };
    match &change {
        Change::Put(Write { record, .. }) => mesh.resources.insert(id.clone(), Arc::new(record.clone())),
        Change::Delete { .. } => mesh.resources.remove(id),
    };
    Ok(change)
}

/// `mesh` without what is made or changed by `asked` and names, or lies in, something that is changed as well: it is judged itself.
/// Nor with routes that nothing of this concerns: each part looks through all that are there.
fn without(mesh: &MeshView, asked: &[(usize, &MeshRequest)]) -> MeshView {
    let is_dependent =
        |request: &&MeshRequest| request.is_of_the_spec() && !request.id().kind().info().requires.is_empty();
    let requests = || asked.iter().map(|(_, request)| *request);
    let dependents: HashSet<&ResourceId> = requests().filter(is_dependent).map(MeshRequest::id).collect();
    let names = |kind: Kind| -> HashSet<&str> {
        requests().map(MeshRequest::id).filter(|id| id.kind() == kind).map(ResourceId::name).collect()
    };
    let (routers, nodes) = (names(Kind::VirtualRouter), names(Kind::VirtualNode));
    let is_concerned = |record: &Record| {
        let Spec::Route(route) = &record.spec else { return true };
        let mut targets = route.action().into_iter().flat_map(|(_, _, action)| &action.weighted_targets);
        record.id.parent().is_some_and(|router| routers.contains(router.name()))
            || targets.any(|target| nodes.contains(target.virtual_node.as_str()))
    };
    let stay = mesh.resources.iter().filter(|(id, record)| !dependents.contains(id) && is_concerned(record));
    let resources = stay.map(|(id, record)| (id.clone(), Arc::clone(record))).collect();
    MeshView { revision: mesh.revision, forms: mesh.forms, resources }
}

/// Whether a request of several fits what there is after all of them.
fn fits(
    after: &MeshView,
    without_dependents: &MeshView,
    caller: Account,
    request: &MeshRequest,
    quotas: &Quotas,
) -> Result<(), Refusal> {
    let id = request.id();
    // What depends on others is judged against all of them, others against what this commit leaves as it is.
    let fitting = match id.kind().info().requires.is_empty() {
        true => without_dependents,
        false => after,
    };
    match request {
        MeshRequest::Create(record) => {
            rules::may_create(Some(after), id, caller)?;
            rules::admit(fitting, id, &record.spec)?;
            quotas.hold(after, id)
        }
        MeshRequest::Update { id, spec, now: _ } => rules::admit(fitting, id, spec),
        MeshRequest::Delete(id) => rules::release(after, id),
        MeshRequest::Retag { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests;
