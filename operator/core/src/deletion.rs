//! Deletion: what is ours is deleted, what others made stays, and a resource that retains its object is never held up. Pure.

use fleetmesh_api::tags::{OWNER_GRANTS_TAG, OWNER_NAMESPACE_TAG, OWNER_TAGS};
use fleetmesh_crds::DeletionPolicy;

use crate::object::Object;
use crate::observed::{Observed, OwnerClaim, Remote};
use crate::outcome::Outcome;
use crate::owner;
use crate::permission;
use crate::plan::{Idle, Plan, Step, Waiting};

/// Whether the App Mesh object of a resource that is being deleted is gone, so that nothing sends requests to its
/// instances any more and they can go, too. A resource that retains its object retains them.
pub fn parts_turn(observed: &Observed, outcome: &Outcome) -> bool {
    let object = &observed.object;
    let ours = object.finalized() && !keeps(object);
    let gone = match &observed.remote {
        Remote::Absent => true,
        Remote::Present(remote) => outcome.deleted || !observed.is_ours(remote),
        Remote::NotRead | Remote::InStep(_) | Remote::Unreadable(_) => false,
    };
    ours && gone
}

/// What to do about a resource whose deletion was asked for.
pub fn plan(observed: &Observed) -> Plan {
    let object = &observed.object;
    if !object.finalized() {
        return Plan::Nothing(Idle::Gone);
    }
    let release = || Plan::Steps(vec![Step::RemoveFinalizer]);
    if object.is_observed() {
        return release();
    }
    if keeps(object) {
        return let_go(observed);
    }
    if observed.claim == OwnerClaim::Ours && !observed.dependents.is_empty() {
        return Plan::Wait(Waiting::Dependents(observed.dependents.clone()));
    }
    match &observed.remote {
        Remote::Present(remote) if observed.is_ours(remote) => {
            let delete = Step::Delete { id: object.id.clone() };
            let release = observed.parts_gone.then_some(Step::RemoveFinalizer);
            Plan::Steps(std::iter::once(delete).chain(release).collect())
        }
        Remote::Present(_) | Remote::Absent if !observed.parts_gone => Plan::Nothing(Idle::PartsLeft),
        Remote::Present(_) | Remote::Absent => release(),
        // What we have not read we do not delete, and we do not forget it either.
        Remote::NotRead | Remote::InStep(_) | Remote::Unreadable(_) => Plan::Nothing(Idle::Unread),
    }
}

/// Whether the App Mesh object stays when the resource goes.
pub fn keeps(object: &Object) -> bool {
    object.orphan || object.management.deletion_policy == DeletionPolicy::Retain
}

/// The object stays, without what it names of other namespaces: their owners could not take that back any more.
fn let_go(observed: &Observed) -> Plan {
    let object = &observed.object;
    let remote = match &observed.remote {
        Remote::Present(remote) if observed.is_ours(remote) => remote,
        // What may have to be given back first has to be read.
        Remote::Unreadable(_) if permission::may_be_lent(observed) => return Plan::Nothing(Idle::Unread),
        _ => return Plan::Steps(vec![Step::RemoveFinalizer]),
    };
    let returned = permission::returned(observed, remote);
    let stays = !matches!(returned, Some(Step::Delete { .. }));
    let tagged = remote.tags.as_ref().is_some_and(|tags| owner::owns(object, tags));
    let marked = remote.tags.as_ref().is_some_and(|tags| tags.contains_key(OWNER_GRANTS_TAG));
    // Whose it was stays: another namespace is not to take it over while that one's resources may name it.
    let keys = OWNER_TAGS.into_iter().filter(|key| *key != OWNER_NAMESPACE_TAG);
    let keys = keys.chain(marked.then_some(OWNER_GRANTS_TAG));
    let untag = (stays && tagged && !object.orphan).then(|| Step::UntagResource {
        arn: remote.identity.arn.clone(),
        keys: keys.map(str::to_owned).collect(),
        optional: true,
    });
    Plan::Steps(returned.into_iter().chain(untag).chain([Step::RemoveFinalizer]).collect())
}
