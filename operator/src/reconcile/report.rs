//! Reports: events first, because the status that follows makes them unrepeatable, then the status when it changed.
//! The only writer of both.

use std::time::Duration;

use fleetmesh_core::canary;
use fleetmesh_core::together::may_be_blocked;
use fleetmesh_core::{
    Decision, Event, Object, Observed, Outcome, Parts, Plan, Step, Waiting, complaint, deeds, status,
};
use fleetmesh_crds::{ConditionType, Reason, Status};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tracing::warn;

use crate::cache::{NewsSource, PATIENCE};
use crate::cluster::WriteError;
use crate::context::Context;

/// For how long a status that would only say "not yet" is held back.
const HOLD: Duration = Duration::from_secs(1);

/// What came of a report.
pub enum Reported {
    /// The status is up to date.
    Done,
    /// The status would only say that proxies have not acknowledged yet, or is another than was observed; it is due after
    /// this time.
    HeldBack(Duration),
    /// The resource is gone, or about to be.
    Gone,
    /// It could not be written.
    Failed(WriteError),
}

/// Reports a reconcile.
pub async fn report(
    context: &Context,
    observed: &Observed,
    decision: &Decision,
    outcome: &Outcome,
    parts: &Parts,
    now: Timestamp,
) -> Reported {
    let object = &observed.object;
    if matches!(decision.plan, Plan::Wait(Waiting::Arrival(_))) {
        return Reported::HeldBack(PATIENCE);
    }
    if matches!(&outcome.failed, Some((Step::AddFinalizer | Step::RemoveFinalizer, _))) {
        // The resource changed meanwhile or the API server does not answer: there is nothing to report, only to try again.
        return Reported::Done;
    }
    let after = status(observed, decision, outcome, parts, now).with_canary(context.cache.rollout(object));
    for event in deeds(observed, decision, outcome).iter().chain(parts.events()) {
        publish(context, object, event).await;
    }
    if released(observed, decision, outcome) {
        return Reported::Gone;
    }
    if !has_news(&object.status, &after) {
        return Reported::Done;
    }
    if let Some(rest) =
        held_back(context, observed, decision, &after).or_else(|| may_settle(context, observed, outcome))
    {
        return Reported::HeldBack(rest);
    }
    if let Some(event) = complaint(&object.status, &after) {
        publish(context, object, &event).await;
    }
    context.cache.reported(object);
    // A write of this reconcile, of the finalizer say, made another version of the same state.
    let newest = context.cache.object(&object.key);
    let newest = newest.filter(|one| one.uid == object.uid && one.status.canary() == object.status.canary());
    match context.cluster.set_status(newest.as_deref().unwrap_or(object), &after).await {
        Ok(object) => {
            let triggers = context.cache.seen(object, NewsSource::OwnWrite);
            context.queue.trigger_all(triggers);
            Reported::Done
        }
        // The watch brings the state of the rollout, and that alone triggers nobody.
        Err(WriteError::Changed) if object.canary().is_some() => Reported::HeldBack(HOLD),
        // Another resource has the name by now, or none; the watch brings it.
        Err(WriteError::Gone | WriteError::Changed) => Reported::Done,
        Err(error) => Reported::Failed(error),
    }
}

/// Whether `after` says more than `before`, the status as it is.
fn has_news(before: &Status, after: &Status) -> bool {
    let rest = || after.clone().with_canary(before.canary().clone());
    before != after && (canary::has_news(before.canary(), after.canary()) || rest() != *before)
}

/// An Event that cannot be written (its namespace is going, say) must not hold up the status, which says the same.
pub async fn publish(context: &Context, object: &Object, event: &Event) {
    match context.cluster.publish(object, event).await {
        Ok(()) => context.metrics.event(),
        Err(error) => warn!(object = %object.key, reason = event.reason, %error, "cannot write an Event"),
    }
}

/// Whether nothing of ours holds the resource any more.
fn released(observed: &Observed, decision: &Decision, outcome: &Outcome) -> bool {
    let object = &observed.object;
    let removed = outcome.done.iter().any(|step| matches!(step, Step::RemoveFinalizer));
    let gone = matches!(decision.plan, Plan::Nothing(fleetmesh_core::Idle::Gone));
    object.deleting && (removed || gone)
}

/// The rest of the time for which a refusal is not reported that a change of something else may settle, which is applied a moment
/// later: a directory is applied file by file.
fn may_settle(context: &Context, observed: &Observed, outcome: &Outcome) -> Option<Duration> {
    let (step, failure) = outcome.failed.as_ref()?;
    let blocked = may_be_blocked(step, failure) && !observed.object.deleting;
    let changed = context.cache.remembered(&observed.object, |memory| memory.changed.elapsed());
    PATIENCE.checked_sub(changed.filter(|_| blocked)?).filter(|rest| !rest.is_zero())
}

/// The rest of the time for which the status is held back; `None` when it is due. Between the endpoint's answer and the
/// proxies' acknowledgement lie milliseconds: one status then says what two would have.
fn held_back(
    context: &Context,
    observed: &Observed,
    decision: &Decision,
    after: &Status,
) -> Option<Duration> {
    let object = &observed.object;
    if object.status.iam().is_none() && after.iam().is_some() {
        // What is about to be made in AWS must be on record before.
        return None;
    }
    let programmed = after.condition(ConditionType::Programmed)?;
    let waits = matches!(decision.plan, Plan::Wait(Waiting::Referents(_)));
    let is = |kind, ok: &dyn Fn(&Condition) -> bool| after.condition(kind).is_some_and(ok);
    let holds = |condition: &Condition| condition.status == "True";
    // A backend may be on its way, and it holds nothing up.
    let awaits = |condition: &Condition| condition.reason == Reason::WaitingForReference.as_str();
    let backend = is(ConditionType::ResolvedRefs, &awaits);
    let others_hold =
        is(ConditionType::Accepted, &holds) && (backend || is(ConditionType::ResolvedRefs, &holds));
    let not_yet = match programmed.status.as_str() {
        "Unknown" => programmed.reason == Reason::Pending.as_str(),
        "False" => programmed.reason == Reason::ProxiesPending.as_str(),
        _ => false,
    };
    // Whole directories are deleted at once; who is only waiting for its turn is not blocked.
    let next_in_line = object.deleting
        && after
            .condition(ConditionType::Ready)
            .is_some_and(|ready| ready.reason == Reason::DeletionBlocked.as_str());
    let soon = !object.deleting && (waits || (others_hold && (not_yet || backend)));
    if !soon && !next_in_line {
        return None;
    }
    let since = context.cache.remembered(object, |memory| memory.since.elapsed()).unwrap_or_default();
    HOLD.checked_sub(since).filter(|rest| !rest.is_zero())
}
