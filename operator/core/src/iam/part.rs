//! The outcome of a plan for IAM, as the part of the reconcile from which status, Events and the next look are made. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetmesh_crds::{ConditionType, IamStatus, Reason, Status};
use fleetmesh_model::tag::Tags;

use super::{
    Account, Desired, IamPlan, IamStep, ObservedIdentity, Place, Planned, RefusedIdentity, Then, document,
    role, rules,
};
use crate::condition::Finding;
use crate::event::{Event, Severity};
use crate::failure::{Callee, Failure, FailureClass};
use crate::owner::is_of;
use crate::part::Part;

/// After what time IAM is asked again for what it does not show yet.
const SETTLES: Duration = Duration::from_secs(1);
/// After what time it is looked again whether what is withheld may be given: instances end within minutes.
const WITHHELD: Duration = Duration::from_secs(5);
/// What must follow a report at once.
const SOON: Duration = Duration::from_millis(20);

/// The outcome of a plan: the steps that were done, and the failure that ended it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IamOutcome {
    /// The steps that were done, in order.
    pub done: Vec<Planned>,
    /// The unique id of the role that was created, as IAM answered.
    pub role_id: Option<String>,
    /// The step that failed, and why.
    pub failed: Option<(IamStep, Failure)>,
}

/// The part before anything is made: its place goes into the status first, so that whoever finds the resource after a
/// crash knows where to look, even when `iam` was removed meanwhile.
pub fn announced(place: &Place) -> Part<IamStatus> {
    let status = IamStatus { name: Some(place.to_string()), ..IamStatus::default() };
    Part {
        finding: Finding::unknown(Reason::Pending, format!("the IAM identity {place} is about to be made")),
        status: Some(status),
        events: Vec::new(),
        look: Some(SOON),
        failure: None,
    }
}

/// The part of a reconcile in which a read failed, or which had to wait: nothing is known anew.
pub fn unseen(before: &Status, place: &Place, failure: Option<Failure>) -> Part<IamStatus> {
    let finding = match &failure {
        Some(failure) => Finding::fails(failure.class.reason(), failure.in_words(Callee::Aws)),
        None => Finding::unknown(Reason::Pending, "an earlier step must be done first"),
    };
    let look = failure.is_none().then_some(SOON);
    let status = before.iam().cloned().or_else(|| announced(place).status);
    Part { finding, status, events: Vec::new(), look, failure }
}

/// The part of an identity that the rules do not allow: nothing was read or written.
pub fn refused(before: &Status, refused: &RefusedIdentity) -> Part<IamStatus> {
    let finding = refused.finding.clone();
    Part { finding, status: before.iam().cloned(), events: Vec::new(), look: None, failure: None }
}

/// The part of an identity that is wanted.
pub fn kept(
    before: &Status,
    desired: &Desired,
    observed: &ObservedIdentity,
    plan: &IamPlan,
    outcome: &IamOutcome,
) -> Part<IamStatus> {
    let place = &desired.place;
    let in_step = outcome.failed.is_none() && plan.then == Then::InStep;
    let hash = in_step.then(|| document::hash(&desired.policy));
    let mut status = remaining(before, &desired.tags, place, observed, outcome, hash);
    if matches!(plan.then, Then::NotOwned(_)) {
        // A role of that name that somebody else made is not one whose proxies are let in.
        let IamStatus { role_arn, role_id, .. } = before.iam().cloned().unwrap_or_default();
        status = IamStatus { role_arn, role_id, ..status };
    }
    let mut events = deeds(place, &outcome.done);
    let reported = before.iam().and_then(IamStatus::principals) == status.principals();
    let (finding, mut look, failure) = match &outcome.failed {
        Some((step, failure)) => failed(step, failure),
        None => (finding(desired, plan, reported), None, None),
    };
    if failure.is_none() {
        look = match plan.then {
            Then::Settling(_) => Some(SETTLES),
            Then::Withheld(_) => Some(WITHHELD),
            _ => look,
        };
    }
    if in_step {
        look = (!reported).then_some(SOON);
        events.extend(foreign(before, place, plan));
    }
    Part { finding, status: Some(status), events, look, failure }
}

/// The part of an identity that is to go; its status is `None` when nothing is left. `owner` are the resource's tags of
/// ownership.
pub fn gone(
    before: &Status,
    owner: &Tags,
    place: &Place,
    observed: &ObservedIdentity,
    plan: &IamPlan,
    outcome: &IamOutcome,
) -> Part<IamStatus> {
    let (finding, look, failure) = match (&outcome.failed, &plan.then) {
        (Some((step, failure)), _) => failed(step, failure),
        (None, Then::Blocked(why)) => (Finding::fails(Reason::DeletionBlocked, why.clone()), None, None),
        (None, Then::Settling(what)) => {
            let message =
                format!("IAM does not show {what} yet, which was made a moment ago; it is deleted then");
            (Finding::unknown(Reason::Pending, message), Some(SETTLES), None)
        }
        (None, _) => {
            let finding = Finding::unknown(Reason::Pending, format!("the IAM identity {place} is deleted"));
            return Part { finding, status: None, events: Vec::new(), look: Some(SOON), failure: None };
        }
    };
    let status = Some(remaining(before, owner, place, observed, outcome, None));
    Part { finding, status, events: Vec::new(), look, failure }
}

/// What there is after the steps that were done.
fn remaining(
    before: &Status,
    owner: &Tags,
    place: &Place,
    observed: &ObservedIdentity,
    outcome: &IamOutcome,
    hash: Option<String>,
) -> IamStatus {
    let reported = before.iam().cloned().unwrap_or_default();
    let did = |wanted: fn(&IamStep) -> bool| outcome.done.iter().any(|planned| wanted(&planned.step));
    let role_arn = observed.role.present().map(|role| role.arn.clone()).or(reported.role_arn);
    let role_arn = role_arn.filter(|_| !did(|step| matches!(step, IamStep::DeleteRole { .. })));
    let role_id = match (&outcome.role_id, observed.role.present()) {
        (Some(made), _) => Some(made.clone()),
        (None, Some(role)) => Some(role.unique_id.clone()),
        (None, None) => reported.role_id,
    };
    let role_id = role_id.filter(|id| role_arn.is_some() && !id.is_empty());
    let account = role_arn.as_deref().and_then(Account::of);
    let made = |arn: fn(&Account, &Place) -> String| account.as_ref().map(|account| arn(account, place));
    let policy = observed.policy.present().map(|policy| policy.arn.clone());
    let policy = match did(|step| matches!(step, IamStep::CreatePolicy { .. })) {
        true => made(Account::policy),
        false => policy.filter(|_| !did(|step| matches!(step, IamStep::DeletePolicy { .. }))),
    };
    // One that is somebody else's, or has somebody else's role in it, is nothing to be handed to an instance.
    let tagged = did(|step| matches!(step, IamStep::TagInstanceProfile { .. }));
    let profile = observed.instance_profile.present().filter(|profile| {
        let left = |role: &String| *role == place.name || took_out(outcome, role);
        (tagged || is_of(&profile.tags, owner)) && profile.roles.iter().all(left)
    });
    let profile = profile.map(|profile| profile.arn.clone());
    let profile = match did(|step| matches!(step, IamStep::CreateInstanceProfile { .. })) {
        true => made(Account::instance_profile),
        false => profile.filter(|_| !did(|step| matches!(step, IamStep::DeleteInstanceProfile { .. }))),
    };
    let policy_hash = hash.or(reported.policy_hash.filter(|_| policy.is_some()));
    IamStatus {
        instance_profile_arn: profile,
        name: Some(place.to_string()),
        permissions_boundary: boundary(observed, outcome).filter(|_| role_arn.is_some()),
        policy_arn: policy,
        policy_hash,
        role_arn,
        role_id,
    }
}

/// The managed policies that the operator attached to the role and that may be on it after the steps that were done: one
/// whose request failed counts, because it may have been done all the same. The node's own at `place` does not.
pub fn attached(place: &Place, observed: &ObservedIdentity, outcome: &IamOutcome) -> BTreeSet<String> {
    let mut attached = observed.role.present().map(role::owned_policies).unwrap_or_default();
    let failed = outcome.failed.as_ref().map(|(step, _)| step);
    let attaches = outcome.done.iter().map(|planned| &planned.step).chain(failed);
    for step in attaches {
        if let IamStep::AttachRolePolicy { arn, .. } = step {
            attached.insert(arn.clone());
        }
    }
    for planned in &outcome.done {
        if let IamStep::DetachRolePolicy { arn, .. } = &planned.step {
            attached.remove(arn);
        }
    }
    if let Some(account) = observed.role.present().and_then(|role| Account::of(&role.arn)) {
        attached.remove(&account.policy(place));
    }
    attached
}

/// Whether a role was taken out of the instance profile.
fn took_out(outcome: &IamOutcome, name: &str) -> bool {
    let took =
        |step: &IamStep| matches!(step, IamStep::RemoveRoleFromInstanceProfile { role, .. } if role == name);
    outcome.done.iter().any(|planned| took(&planned.step))
}

/// The role's boundary after the steps that were done.
fn boundary(observed: &ObservedIdentity, outcome: &IamOutcome) -> Option<String> {
    let put = outcome.done.iter().rev().find_map(|planned| match &planned.step {
        IamStep::PutRolePermissionsBoundary { arn, .. } => Some(arn.clone()),
        IamStep::CreateRole { permissions_boundary, .. } => Some(permissions_boundary.clone()),
        _ => None,
    });
    put.or_else(|| observed.role.present()?.permissions_boundary.clone())
}

fn finding(desired: &Desired, plan: &IamPlan, reported: bool) -> Finding {
    let place = &desired.place;
    match &plan.then {
        Then::InStep if reported => in_step(desired, plan),
        Then::InStep => {
            let message = format!("the App Mesh node is about to name role {place} as its proxies'");
            Finding::unknown(Reason::Pending, message)
        }
        Then::NotOwned(what) => Finding::fails(Reason::NotOwned, what.clone()),
        Then::Settling(what) => {
            let message = format!("IAM does not show {what} yet, which was made a moment ago");
            Finding::unknown(Reason::Pending, message)
        }
        Then::Full(finding) => finding.clone(),
        Then::Withheld(why) => Finding::fails(Reason::PolicyNotAllowed, why.clone()),
        Then::LookAgain | Then::Gone | Then::Blocked(_) => {
            Finding::unknown(Reason::Pending, format!("the IAM identity {place} is being made"))
        }
    }
}

/// The finding about an identity that is in step.
pub fn in_step(desired: &Desired, plan: &IamPlan) -> Finding {
    let Desired { place, refused, unread, .. } = desired;
    let also = also(&plan.foreign);
    if !refused.is_empty() {
        let finding = rules::policies_not_allowed(refused, &place.path);
        return Finding { message: format!("{}{unread}{also}", finding.message), ..finding };
    }
    let message = format!("role, policy and instance profile {place} are as the spec says{unread}{also}");
    Finding::holds(Reason::IdentityReady, message)
}

fn also(foreign: &[String]) -> String {
    match foreign {
        [] => String::new(),
        foreign => format!("; the role also has what somebody else attached to it: {}", foreign.join(", ")),
    }
}

/// What a failed step means. What IAM does not show yet, or shows only now, is not reported as an error: it is tried again.
fn failed(step: &IamStep, failure: &Failure) -> (Finding, Option<Duration>, Option<Failure>) {
    let again = Failure { class: FailureClass::Conflict, ..failure.clone() };
    match failure.class {
        FailureClass::Conflict if step.creates().is_some() => {
            let message = format!(
                "IAM says that it exists and does not show it here ({failure}). If that stays, it has another path: take another name in spec.iam.roleName"
            );
            (Finding::unknown(Reason::Pending, message), None, Some(again))
        }
        FailureClass::NotFound if !names_what_is_missing(step, failure) => {
            let message = format!("IAM does not show yet what was made a moment ago ({failure})");
            (Finding::unknown(Reason::Pending, message), None, Some(again))
        }
        FailureClass::NotFound => {
            let way_out = match step {
                IamStep::AttachRolePolicy { .. } => "Create it or name another in spec.iam.managedPolicyArns",
                _ => {
                    "Create the permissions boundary (`fleetmesh iam boundary`), or name the right one in --iam-permissions-boundary"
                }
            };
            let message = format!("{failure}. {way_out}");
            (Finding::fails(Reason::RefNotFound, message), None, Some(failure.clone()))
        }
        FailureClass::InUse => {
            let message = format!(
                "IAM says: {failure}. The deletion continues automatically when nothing uses it any more"
            );
            (Finding::fails(Reason::DeletionBlocked, message), None, Some(again))
        }
        class => (Finding::fails(class.reason(), failure.in_words(Callee::Aws)), None, Some(failure.clone())),
    }
}

/// Whether what does not exist is a policy that the spec names.
fn names_what_is_missing(step: &IamStep, failure: &Failure) -> bool {
    match step {
        IamStep::AttachRolePolicy { name, arn } => {
            failure.message.contains(arn.as_str()) && !arn.ends_with(&format!("/{name}"))
        }
        IamStep::PutRolePermissionsBoundary { name: _, arn } => failure.message.contains(arn.as_str()),
        IamStep::CreateRole { .. } => true,
        _ => false,
    }
}

/// The Events about what was done.
fn deeds(place: &Place, done: &[Planned]) -> Vec<Event> {
    let mended: Vec<&str> = done.iter().filter_map(|planned| planned.mends.as_deref()).collect();
    let mut events = Vec::new();
    if done.iter().any(|planned| planned.adopts) {
        let message = format!("the IAM identity {place} existed and now belongs to this resource");
        events.push(Event { severity: Severity::Normal, reason: "Adopted".into(), action: "Adopt", message });
    }
    if !mended.is_empty() {
        let message = format!(
            "the IAM identity {place} was changed outside of Kubernetes and put back: {}",
            mended.join("; ")
        );
        events.push(Event {
            severity: Severity::Warning,
            reason: "DriftMended".into(),
            action: "Mend",
            message,
        });
    }
    events
}

/// The Event about what others gave the role, once for each state of it: the condition remembers the last one.
fn foreign(before: &Status, place: &Place, plan: &IamPlan) -> Option<Event> {
    let also = also(&plan.foreign);
    let last = before.condition(ConditionType::IdentityReady);
    if also.is_empty() || last.is_some_and(|last| last.message.ends_with(&also)) {
        return None;
    }
    let message = format!("role {place} is as the spec says{also}. It is left alone");
    Some(Event { severity: Severity::Warning, reason: "ForeignPolicy".into(), action: "Compare", message })
}
