//! The steps for a role that is there. Pure.

use fleetmesh_model::tag::Tags;

use super::attached::{self, Marks};
use super::decide::tagging;
use super::{Desired, Planned, Role, Step, document};

/// The ARNs that the spec attaches to the role.
pub(super) fn ours(desired: &Desired) -> impl Iterator<Item = &String> {
    desired.managed.iter().chain(&desired.permissions_boundary)
}

/// The tags of the role.
pub(super) fn tags(desired: &Desired, marks: &Marks) -> Tags {
    let mut tags = desired.tags.clone();
    tags.insert(attached::TAG.to_owned(), marks.value());
    tags
}

/// What the role is to remember while it is changed, and after.
pub(super) fn marks(desired: &Desired, role: &Role) -> (Marks, Marks) {
    let after = Marks::of(ours(desired));
    (Marks::read(&role.tags).with(&after), after)
}

/// Tags, trust and boundary.
pub(super) fn shape(desired: &Desired, role: &Role, marks: &Marks) -> Vec<Planned> {
    let mut steps = Vec::new();
    let name = || desired.place.name.clone();
    if let Some((tags, mends, adopts)) = tagging(desired, &tags(desired, marks), &role.tags, "role") {
        steps.push(Planned { step: Step::TagRole { name: name(), tags }, mends, adopts });
    }
    if !document::means(&role.trust, &desired.trust) {
        let mends = desired.was_in_step.then(|| format!("the role trusted {}", role.trust));
        let step = Step::UpdateAssumeRolePolicy { name: name(), trust: desired.trust.to_string() };
        steps.push(Planned { step, mends, adopts: false });
    }
    steps.extend(boundary(desired, role, marks));
    steps
}

/// A boundary that the spec does not name goes when an earlier spec did, and stays when somebody else set it: to be
/// bounded more than asked for is nobody's to undo but theirs.
fn boundary(desired: &Desired, role: &Role, marks: &Marks) -> Option<Planned> {
    let name = desired.place.name.clone();
    let found = role.permissions_boundary.as_ref();
    let mends = || {
        let found = found.map_or("no permissions boundary".to_owned(), |arn| format!("the boundary {arn}"));
        desired.was_in_step.then(|| format!("the role had {found}"))
    };
    match (&desired.permissions_boundary, found) {
        (Some(wanted), found) if found != Some(wanted) => {
            let step = Step::PutRolePermissionsBoundary { name, arn: wanted.clone() };
            Some(Planned { step, mends: mends(), adopts: false })
        }
        (None, Some(found)) if marks.contain(found) => {
            Some(Step::DeleteRolePermissionsBoundary { name }.into())
        }
        _ => None,
    }
}

/// Attaches what is missing; `own` is the node's own policy.
pub(super) fn attach(desired: &Desired, role: &Role, own: &str) -> Vec<Planned> {
    let own = own.to_owned();
    let wanted = std::iter::once(&own).chain(&desired.managed);
    let missing = wanted.filter(|arn| !role.attached.contains(*arn));
    missing
        .map(|arn| {
            let step = Step::AttachRolePolicy { name: desired.place.name.clone(), arn: arn.clone() };
            let mends = desired.was_in_step.then(|| format!("policy {arn} was detached"));
            Planned { step, mends, adopts: false }
        })
        .collect()
}

/// Detaches what an earlier spec attached.
pub(super) fn detach(desired: &Desired, role: &Role, marks: &Marks, own: &str) -> Vec<Planned> {
    let former = role.attached.iter().filter(|arn| *arn != own && !desired.managed.contains(*arn));
    former
        .filter(|arn| marks.contain(arn))
        .map(|arn| Step::DetachRolePolicy { name: desired.place.name.clone(), arn: arn.clone() }.into())
        .collect()
}

/// What others attached to the role, in words. Of a role that goes nothing is wanted.
pub(super) fn foreign(role: &Role, marks: &Marks, own: &str, desired: Option<&Desired>) -> Vec<String> {
    let managed = role.attached.iter().filter(|arn| *arn != own && !marks.contain(arn));
    let managed = managed.map(|arn| format!("managed policy {arn}"));
    let inline = role.inline.iter().map(|name| format!("inline policy {name}"));
    let bounded = desired.is_some_and(|desired| desired.permissions_boundary.is_none());
    let boundary = role.permissions_boundary.iter().filter(|arn| bounded && !marks.contain(arn));
    let boundary = boundary.map(|arn| format!("permissions boundary {arn}"));
    managed.chain(inline).chain(boundary).collect()
}
