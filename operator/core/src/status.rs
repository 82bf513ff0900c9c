//! The status of a resource after a reconcile. The same inputs give the same bytes. Pure.

use fleetmesh_crds::{ConditionType, KindStatus, MeshStatus, NodeStatus, Reason, RouteStatus, Status};
use fleetmesh_model::re2::{DEFAULT_PROGRAM_SIZE_LIMIT, PROGRAM_SIZE_LIMIT};
use fleetmesh_model::route::WeightedTarget;
use fleetmesh_model::{Spec, regex};
use jiff::Timestamp;

use crate::canary::targets::in_short;
use crate::condition::Finding;
use crate::decision::{Decision, Verdict};
use crate::failure::{Callee, FailureClass};
use crate::object::Object;
use crate::observed::{Deprecation, Observed, OwnerClaim, Remote, RemoteIdentity};
use crate::outcome::Outcome;
use crate::part::Parts;
use crate::permission;
use crate::plan::{Idle, Plan, Step, Waiting};
use crate::programmed;
use crate::references;
use crate::tie;

/// The status to report. `now` is used for conditions that change; it is cut to whole seconds.
pub fn status(
    observed: &Observed,
    decision: &Decision,
    outcome: &Outcome,
    parts: &Parts,
    now: Timestamp,
) -> Status {
    let object = &observed.object;
    let before = &object.status;
    let findings = if object.deleting {
        Findings::of_deletion(before, observed, decision, outcome, parts)
    } else {
        Findings::of(observed, decision, outcome, parts)
    };
    let identity = known_identity(observed, outcome);
    let in_step = in_step(decision, outcome);
    let condition = |kind, finding: &Finding| finding.condition(kind, before, object.generation, now);
    Status {
        app_mesh_name: Some(object.id.name().to_owned()),
        arn: identity.as_ref().map(|identity| identity.arn.clone()),
        conditions: findings.0.iter().map(|(kind, finding)| condition(*kind, finding)).collect(),
        observed_generation: Some(object.generation),
        permitted_by: permission::rests_on(observed, decision, outcome),
        proxies: identity
            .as_ref()
            .filter(|_| in_step)
            .map_or(before.proxies, |identity| programmed::proxies(identity, &observed.distribution)),
        uid: identity.as_ref().map(|identity| identity.uid.clone()),
        version: identity.map(|identity| identity.version),
        of_kind: of_kind(object, before, parts),
    }
}

/// What only the object's kind reports.
fn of_kind(object: &Object, before: &Status, parts: &Parts) -> KindStatus {
    match KindStatus::empty(object.key.kind) {
        KindStatus::Mesh(_) => MeshStatus { tls: parts.tls.clone() }.into(),
        KindStatus::Node(_) => {
            let fleet =
                parts.fleet.as_ref().map_or_else(|| before.fleet().cloned(), |part| part.status.clone());
            let iam = parts.iam.as_ref().map_or_else(|| before.iam().cloned(), |part| part.status.clone());
            NodeStatus { fleet, iam, tls: object.added_tls() }.into()
        }
        KindStatus::Route(_) => {
            let canary = before.canary().clone();
            let weights = weights(&object.effective_spec, &canary.effective_targets);
            RouteStatus { weights, canary }.into()
        }
        KindStatus::None(none) => none.into(),
    }
}

/// Whether the reconcile left the App Mesh object as the spec says.
pub fn in_step(decision: &Decision, outcome: &Outcome) -> bool {
    match &decision.plan {
        Plan::Nothing(Idle::InStep) => true,
        // What is not permitted any more was taken out.
        Plan::Steps(_) if fails(&decision.accepted) || fails(&decision.resolved) => false,
        Plan::Steps(_) => outcome.failed.is_none() && !outcome.deleted,
        Plan::Nothing(_) | Plan::Wait(_) => false,
    }
}

fn fails(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Fails(..))
}

/// The App Mesh object as the reconcile left it; as it was reported when the reconcile did not look at it. An object that is
/// known to be somebody else's, or whose name another resource has, is not reported as ours.
pub fn known_identity(observed: &Observed, outcome: &Outcome) -> Option<RemoteIdentity> {
    if let Some(identity) = &outcome.identity {
        return Some(identity.clone());
    }
    let reported = || {
        let status = &observed.object.status;
        Some(RemoteIdentity { arn: status.arn.clone()?, uid: status.uid.clone()?, version: status.version? })
    };
    if !observed.object.deleting && (outcome.deleted || matches!(observed.claim, OwnerClaim::Taken(_))) {
        return None;
    }
    let looks_only = observed.object.is_observed();
    match &observed.remote {
        Remote::Present(remote) if looks_only || observed.is_ours(remote) => Some(remote.identity.clone()),
        Remote::Absent if looks_only => None,
        Remote::InStep(identity) => Some(identity.clone()),
        Remote::Present(_) => None,
        Remote::NotRead | Remote::Absent | Remote::Unreadable(_) => reported(),
    }
}

/// The conditions and what they say.
struct Findings(Vec<(ConditionType, Finding)>);

impl Findings {
    fn of(observed: &Observed, decision: &Decision, outcome: &Outcome, parts: &Parts) -> Self {
        let mut accepted = finding(&decision.accepted, Reason::Accepted, &accepted_message(observed));
        let mut resolved =
            finding(&decision.resolved, Reason::ResolvedRefs, "everything that the spec names exists");
        let programmed = programmed(observed, decision, outcome);
        if let Some((_, failure)) = &outcome.failed {
            let said = || Finding::fails(failure.class.reason(), failure.in_words(Callee::AppMesh));
            match failure.class {
                FailureClass::Invalid | FailureClass::Limit => accepted = said(),
                FailureClass::NotFound => {
                    let message = references::not_found(observed, &failure.message);
                    resolved = Finding::fails(Reason::RefNotFound, message);
                }
                _ => {}
            }
        }
        let ready_message = programmed.message.clone();
        let mut findings = vec![
            (ConditionType::Accepted, accepted),
            (ConditionType::ResolvedRefs, resolved),
            (ConditionType::Programmed, programmed),
        ];
        let object = &observed.object;
        let part = |finding: Option<&Finding>| {
            let waits = || Finding::unknown(Reason::Pending, "an earlier condition must hold first");
            finding.cloned().unwrap_or_else(waits)
        };
        if object.iam().is_some() || parts.iam.as_ref().is_some_and(|part| part.status.is_some()) {
            let finding = part(parts.iam.as_ref().map(|part| &part.finding));
            findings.push((ConditionType::IdentityReady, finding));
        }
        if object.fleet().is_some() || parts.fleet.as_ref().is_some_and(|part| part.status.is_some()) {
            let finding = part(parts.fleet.as_ref().map(|part| &part.finding));
            findings.push((ConditionType::FleetReady, finding));
        }
        let ready = findings
            .iter()
            .map(|(_, finding)| finding)
            .find(|finding| finding.holds != Some(true))
            .map(|finding| Finding::fails(finding.reason, finding.message.clone()))
            .unwrap_or_else(|| Finding::holds(Reason::Ready, ready_message));
        // What is merely named, as backends are, need not exist for the resource to be Ready.
        for (kind, finding) in &mut findings {
            if *kind == ConditionType::ResolvedRefs && finding.holds == Some(true) {
                *finding = references::resolved(observed);
            }
        }
        findings.push((ConditionType::Ready, ready));
        findings.extend(rollouts(observed, parts));
        Self(findings)
    }

    /// While a resource is being deleted the other conditions stay as they were; `Ready` says what holds it.
    fn of_deletion(
        before: &Status,
        observed: &Observed,
        decision: &Decision,
        outcome: &Outcome,
        parts: &Parts,
    ) -> Self {
        let others = ConditionType::ALL.iter().copied().filter(|kind| *kind != ConditionType::Ready);
        let mut findings: Vec<(ConditionType, Finding)> =
            others.filter_map(|kind| kept(before, kind).map(|finding| (kind, finding))).collect();
        findings.push((ConditionType::Ready, deletion_finding(observed, decision, outcome, parts)));
        Self(findings)
    }
}

/// The way out of a deletion that cannot go on.
const LET_GO: &str = "To let go without the endpoint: kubectl annotate … ";

fn deletion_finding(observed: &Observed, decision: &Decision, outcome: &Outcome, parts: &Parts) -> Finding {
    if let Plan::Wait(Waiting::Dependents(dependents)) = &decision.plan {
        let names: Vec<String> = dependents.iter().map(ToString::to_string).collect();
        let message = format!(
            "used by {}, perhaps by others too: delete them or point them elsewhere. The deletion continues automatically when they no longer use it",
            names.join(", ")
        );
        return Finding::fails(Reason::DeletionBlocked, message);
    }
    let failure = outcome.failure().or(match &observed.remote {
        Remote::Unreadable(failure) => Some(failure),
        _ => None,
    });
    match failure {
        Some(failure) if failure.class == FailureClass::InUse => {
            let message = format!(
                "the endpoint says: {}. The deletion continues automatically when nothing uses the object any more",
                failure.message
            );
            Finding::fails(Reason::DeletionBlocked, message)
        }
        Some(failure) => {
            let message = format!(
                "{}. {LET_GO}{}=true",
                failure.in_words(Callee::AppMesh),
                fleetmesh_crds::ORPHAN_ANNOTATION
            );
            Finding::fails(failure.class.reason(), message)
        }
        None => {
            let fleet = parts.fleet.as_ref().filter(|part| part.status.is_some()).map(|part| &part.finding);
            let iam = parts.iam.as_ref().filter(|part| part.status.is_some()).map(|part| &part.finding);
            match fleet.or(iam) {
                Some(left) if left.holds == Some(false) => {
                    let message =
                        format!("{}. {LET_GO}{}=true", left.message, fleetmesh_crds::ORPHAN_ANNOTATION);
                    Finding::fails(left.reason, message)
                }
                Some(left) => Finding::fails(Reason::Deleting, left.message.clone()),
                None => Finding::fails(Reason::Deleting, "the App Mesh object is being deleted"),
            }
        }
    }
}

/// The conditions that rollouts find. Those that this reconcile did not decide about stay as they are.
fn rollouts(observed: &Observed, parts: &Parts) -> Vec<(ConditionType, Finding)> {
    let before = &observed.object.status;
    let keep = |kind: ConditionType| kept(before, kind).map(|finding| (kind, finding));
    let deprecated = match &observed.deprecation {
        None => keep(ConditionType::Deprecated),
        Some(Deprecation::Deprecated(message)) => {
            Some((ConditionType::Deprecated, Finding::holds(Reason::Replaced, message.clone())))
        }
        Some(Deprecation::TakenBack) => None,
    };
    let kinds = [
        ConditionType::Progressing,
        ConditionType::Paused,
        ConditionType::AnalysisHealthy,
        ConditionType::Promoted,
        ConditionType::Stalled,
    ];
    let rollout = match &parts.rollout {
        Some(reduction) => reduction.conditions.clone(),
        None => kinds.into_iter().filter_map(keep).collect(),
    };
    deprecated.into_iter().chain(rollout).collect()
}

fn kept(before: &Status, kind: ConditionType) -> Option<Finding> {
    let condition = before.condition(kind)?;
    let reason = Reason::parse(&condition.reason)?;
    let holds = match condition.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    };
    Some(Finding { holds, reason, message: condition.message.clone() })
}

fn finding(verdict: &Verdict, holds: Reason, message: &str) -> Finding {
    match verdict {
        Verdict::Holds => Finding::holds(holds, message),
        Verdict::Fails(reason, message) => Finding::fails(*reason, message.clone()),
        Verdict::Open => Finding::unknown(Reason::Pending, "an earlier condition must hold first"),
    }
}

/// What is said of a valid spec, with what not all proxies take and who else wants the same requests.
fn accepted_message(observed: &Observed) -> String {
    let object = &observed.object;
    let ties = tie::in_words(&object.id, &observed.ties, &observed.distribution);
    let mut message = format!("the spec is valid and the name is ours{ties}");
    if observed.mesh_leaves {
        let mesh = object.id.mesh_name();
        message += &format!(
            "; mesh {mesh} is being deleted, which waits as long as anything is in it, so this resource keeps it: put it into another mesh, or make the Mesh anew when it is gone"
        );
    }
    for (path, size) in regex::large(&object.effective_spec) {
        message += &format!(
            "; {path}: its program may have {size} instructions: proxies with a bootstrap of Fleetmesh take it, others only when their runtime key re2.max_program_size.error_level is {PROGRAM_SIZE_LIMIT} (Envoy's default: {DEFAULT_PROGRAM_SIZE_LIMIT})"
        );
    }
    message
}

fn programmed(observed: &Observed, decision: &Decision, outcome: &Outcome) -> Finding {
    let identity = known_identity(observed, outcome);
    let serves = match &identity {
        Some(identity) => {
            format!("the endpoint keeps version {}, which it was given before", identity.version)
        }
        None => "the endpoint does not have the object".to_owned(),
    };
    let failure = match (&outcome.failed, &observed.remote) {
        (Some((_, failure)), _) | (None, Remote::Unreadable(failure)) => Some(failure),
        _ => None,
    };
    if let Some(failure) = failure {
        return Finding::fails(
            failure.class.reason(),
            format!("{}; {serves}", failure.in_words(Callee::AppMesh)),
        );
    }
    match (&identity, in_step(decision, outcome)) {
        (Some(identity), true) => {
            programmed::finding(identity, &observed.distribution, &observed.owners, observed.waited)
        }
        _ => Finding::fails(Reason::Pending, format!("an earlier condition must hold first; {serves}")),
    }
}

/// The weighted targets of a route in force for people to read: those of a rollout, or else the spec's.
fn weights(spec: &Spec, effective: &[WeightedTarget]) -> Option<String> {
    let Spec::Route(route) = spec else { return None };
    let (_, _, action) = route.action()?;
    Some(in_short(if effective.is_empty() { &action.weighted_targets } else { effective }))
}

/// Whether a failed step may be passed over.
pub fn is_optional(step: &Step) -> bool {
    matches!(step, Step::UntagResource { optional: true, .. })
}
