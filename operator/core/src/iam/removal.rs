//! The decision about an identity to be deleted: the role is removed from the instance profile, then follow the instance profile,
//! the attachments, old versions, the policy and the role. Only what has the resource's tags. Pure.

use fleetmesh_api::tags::OWNER_UID_TAG;
use fleetmesh_model::tag::Tags;

use super::attached::Marks;
use super::role;
use super::{Found, IamPlan, IamStep, ObservedIdentity, Place, Planned, Policy, Role, Then};

/// What to do so that nothing at `place` is left of the resource `uid`. `boundary` is that of the operator: its rights end at
/// roles that have it, so one that an earlier release made without it gets it first.
pub fn remove(place: &Place, uid: &str, boundary: Option<&str>, observed: &ObservedIdentity) -> IamPlan {
    if let Some(what) = settling(observed) {
        return IamPlan {
            steps: Vec::new(),
            then: Then::Settling(format!("{what} {place}")),
            foreign: Vec::new(),
        };
    }
    let ours = |tags: &Tags| tags.get(OWNER_UID_TAG).is_some_and(|owner| owner == uid);
    let profile = observed.instance_profile.present().filter(|profile| ours(&profile.tags));
    let policy = observed.policy.present().filter(|policy| ours(&policy.tags));
    let role = observed.role.present().filter(|role| ours(&role.tags));
    let mut steps: Vec<Planned> = Vec::new();
    let name = || place.name.clone();
    if let Some(profile) = profile {
        for role in &profile.roles {
            steps.push(IamStep::RemoveRoleFromInstanceProfile { name: name(), role: role.clone() }.into());
        }
        steps.push(IamStep::DeleteInstanceProfile { name: name() }.into());
    }
    let own = policy.map(|policy| policy.arn.as_str()).unwrap_or_default();
    if let Some(role) = role {
        let unbounded = boundary.filter(|arn| role.permissions_boundary.as_deref() != Some(arn));
        let arn = unbounded.filter(|_| detached(place, role, own).next().is_some());
        steps.extend(
            arn.map(|arn| IamStep::PutRolePermissionsBoundary { name: name(), arn: arn.to_owned() }.into()),
        );
        steps.extend(detached(place, role, own));
    }
    if let Some(policy) = policy {
        steps.extend(deleted(policy));
    }
    let foreign = role.map(|role| role::foreign(role, &Marks::read(&role.tags), own));
    let foreign = foreign.unwrap_or_default();
    if role.is_some() && foreign.is_empty() {
        steps.push(IamStep::DeleteRole { name: name() }.into());
    }
    let then = match foreign.as_slice() {
        [] => Then::Gone,
        foreign => Then::Blocked(format!(
            "role {place} cannot be deleted while it has what somebody else attached to it: {}. Detach or delete that; the deletion continues automatically",
            foreign.join(", ")
        )),
    };
    IamPlan { steps, then, foreign }
}

/// What was made a moment ago and is not shown yet: it cannot be deleted before.
fn settling(observed: &ObservedIdentity) -> Option<&'static str> {
    let ObservedIdentity { role, policy, instance_profile } = observed;
    if *role == Found::Settling {
        return Some("the role");
    }
    if *policy == Found::Settling {
        return Some("the policy");
    }
    (*instance_profile == Found::Settling).then_some("the instance profile")
}

fn detached<'a>(place: &Place, role: &'a Role, own: &'a str) -> impl Iterator<Item = Planned> {
    let marks = Marks::read(&role.tags);
    let name = place.name.clone();
    let ours = role.attached.iter().filter(move |arn| *arn == own || marks.contain(arn));
    ours.map(move |arn| IamStep::DetachRolePolicy { name: name.clone(), arn: arn.clone() }.into())
}

fn deleted(policy: &Policy) -> impl Iterator<Item = Planned> {
    let arn = policy.arn.clone();
    let old = policy.versions.iter().filter(|version| **version != policy.default_version);
    let old: Vec<Planned> = old
        .map(|version| IamStep::DeletePolicyVersion { arn: arn.clone(), version: version.clone() }.into())
        .collect();
    old.into_iter().chain([IamStep::DeletePolicy { arn }.into()])
}
