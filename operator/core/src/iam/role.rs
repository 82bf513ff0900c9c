//! The steps for a role that exists. Pure.

use std::collections::BTreeSet;

use fleetmesh_api::tags::ATTACHED_TAG;
use fleetmesh_model::tag::Tags;

use super::attached::Marks;
use super::decide::tagging;
use super::{Desired, IamStep, Planned, Role, document};

/// The tags of the role.
pub(super) fn tags(desired: &Desired, marks: &Marks) -> Tags {
    let mut tags = desired.tags.clone();
    tags.insert(ATTACHED_TAG.to_owned(), marks.value());
    tags
}

/// What the role is to remember while it is changed, and after. What an earlier release attached and is refused now stays
/// attached, and known as ours.
pub(super) fn marks(desired: &Desired, role: &Role) -> (Marks, Marks) {
    let before = Marks::read(&role.tags);
    let kept = desired.refused.iter().filter(|arn| before.contain(arn));
    let after = Marks::of(desired.managed.iter().chain(kept));
    (before.with(&after), after)
}

/// Tags, boundary and trust, in this order: what is not ours may not be bounded, and a role that is not bounded gets nothing.
pub(super) fn shape(desired: &Desired, role: &Role, marks: &Marks) -> Vec<Planned> {
    let mut steps = Vec::new();
    let name = || desired.place.name.clone();
    if let Some((tags, mends, adopts)) = tagging(desired, &tags(desired, marks), &role.tags, "role") {
        steps.push(Planned { step: IamStep::TagRole { name: name(), tags }, mends, adopts });
    }
    steps.extend(boundary(desired, role));
    if !document::means(&role.trust, &desired.trust) {
        let mends = desired.was_in_step.then(|| format!("the role trusted {}", role.trust));
        let step = IamStep::UpdateAssumeRolePolicy { name: name(), trust: desired.trust.to_string() };
        steps.push(Planned { step, mends, adopts: false });
    }
    steps
}

/// Puts the boundary on a role that has none, or another.
fn boundary(desired: &Desired, role: &Role) -> Option<Planned> {
    let found = role.permissions_boundary.as_ref();
    if found == Some(&desired.permissions_boundary) {
        return None;
    }
    let found = found.map_or("no permissions boundary".to_owned(), |arn| format!("the boundary {arn}"));
    let mends = (desired.was_in_step && desired.was_bounded).then(|| format!("the role had {found}"));
    let (name, arn) = (desired.place.name.clone(), desired.permissions_boundary.clone());
    Some(Planned { step: IamStep::PutRolePermissionsBoundary { name, arn }, mends, adopts: false })
}

/// Why managed policies are missing and not attached.
pub(super) fn withheld(desired: &Desired, role: &Role) -> Option<String> {
    let missing = desired.managed.iter().any(|arn| !role.attached.contains(arn));
    desired.withheld.clone().filter(|_| missing)
}

/// Attaches what is missing; `own` is the node's own policy.
pub(super) fn attach(desired: &Desired, role: &Role, own: &str) -> Vec<Planned> {
    let own = own.to_owned();
    let managed = desired.managed.iter().filter(|_| desired.withheld.is_none());
    let wanted = std::iter::once(&own).chain(managed);
    let missing = wanted.filter(|arn| !role.attached.contains(*arn));
    missing
        .map(|arn| {
            let step = IamStep::AttachRolePolicy { name: desired.place.name.clone(), arn: arn.clone() };
            let mends = desired.was_in_step.then(|| format!("policy {arn} was detached"));
            Planned { step, mends, adopts: false }
        })
        .collect()
}

/// The managed policies that the role has and that its marks say to be attached by the operator; the node's own is not among
/// them.
pub fn owned_policies(role: &Role) -> BTreeSet<String> {
    let marks = Marks::read(&role.tags);
    role.attached.iter().filter(|arn| marks.contain(arn)).cloned().collect()
}

/// Detaches what an earlier spec attached.
pub(super) fn detach(desired: &Desired, role: &Role, marks: &Marks, own: &str) -> Vec<Planned> {
    let stays = |arn: &String| arn == own || desired.keeps(arn);
    let former = role.attached.iter().filter(|arn| !stays(arn));
    former
        .filter(|arn| marks.contain(arn))
        .map(|arn| IamStep::DetachRolePolicy { name: desired.place.name.clone(), arn: arn.clone() }.into())
        .collect()
}

/// What others attached to the role, in words.
pub(super) fn foreign(role: &Role, marks: &Marks, own: &str) -> Vec<String> {
    let managed = role.attached.iter().filter(|arn| *arn != own && !marks.contain(arn));
    let managed = managed.map(|arn| format!("managed policy {arn}"));
    managed.chain(role.inline.iter().map(|name| format!("inline policy {name}"))).collect()
}
