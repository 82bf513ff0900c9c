//! Deletion: what is ours goes, what others made stays, and a resource that lets go is never held. Pure.

use fleetmesh_crds::DeletionPolicy;
use fleetmesh_crds::management::OWNER_TAGS;

use crate::observed::{Claim, Observed, Remote};
use crate::owner;
use crate::plan::{Idle, Plan, Step, Waiting};

/// What to do about a resource whose deletion was asked for.
pub fn plan(observed: &Observed) -> Plan {
    let object = &observed.object;
    if !object.finalized() {
        return Plan::Nothing(Idle::Gone);
    }
    let release = || Plan::Steps(vec![Step::RemoveFinalizer]);
    if object.orphan || observed.claim != Claim::Ours {
        return release();
    }
    match object.management.deletion_policy {
        DeletionPolicy::Retain => match &observed.remote {
            Remote::Present(remote) if remote.tags.as_ref().is_some_and(|tags| owner::owns(object, tags)) => {
                Plan::Steps(vec![
                    Step::UntagResource {
                        arn: remote.identity.arn.clone(),
                        keys: OWNER_TAGS.iter().map(|key| (*key).to_owned()).collect(),
                        optional: true,
                    },
                    Step::RemoveFinalizer,
                ])
            }
            _ => release(),
        },
        DeletionPolicy::Delete if !observed.dependents.is_empty() => {
            Plan::Wait(Waiting::Dependents(observed.dependents.clone()))
        }
        DeletionPolicy::Delete => match &observed.remote {
            Remote::Present(remote) if observed.is_ours(remote) => {
                Plan::Steps(vec![Step::Delete { id: object.id.clone() }, Step::RemoveFinalizer])
            }
            Remote::Present(_) | Remote::Absent => release(),
            // What we have not read we do not delete, and we do not forget it either.
            Remote::NotRead | Remote::InStep(_) | Remote::Unreadable(_) => Plan::Nothing(Idle::Unread),
        },
    }
}
