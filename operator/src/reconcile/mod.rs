//! One reconcile of one object: observe (reads) → decide (pure) → apply (writes) → status (pure) → report (writes). A reconcile
//! never sleeps and never loops for more than a surprise; what has to wait goes back into the queue.

mod apply;
mod observe;
mod panicked;
mod parts;
mod report;
mod rollout;
mod together;

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_core::canary::{Reduction, rolls_out};
use fleetmesh_core::owner::Owner;
use fleetmesh_core::{
    Decision, FailureClass, Idle, NextLook, ObjectKey, Observed, Outcome, Parts, Plan, Remote,
    RemoteIdentity, RemoteObject, Step, Tagged, Verdict, decide, mesh_tls, next_look, owner, parts_look,
    permission, programmed,
};
use fleetmesh_crds::{ConditionType, Reason};
use fleetmesh_model::{Kind, Spec};
use fleetmesh_tasks::caught;
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::cache::{Conclusion, Memory, TagReading};
use crate::context::Context;
use crate::queue::{Priority, Requeue, Trigger};
use report::Reported;
use rollout::Advanced;
pub use rollout::refuse_strays;

/// How often a reconcile starts over because the endpoint contradicted what it took for granted, or another spec came.
const SURPRISES: usize = 3;
/// The pause after the Kubernetes API failed or the resource changed under a write.
const AGAIN: Duration = Duration::from_secs(1);

/// When an object is looked at again; `None` when it is gone.
pub type Next = Option<Requeue>;

/// Runs one reconcile of the object `key`. A panic in it loses nothing but the reconcile: it is reported, and the object comes back.
pub async fn run(context: &Context, key: &ObjectKey, trigger: Trigger) -> Next {
    let object = context.cache.object(key)?;
    // On the heap: it is large, and would be copied from frame to frame of a stack of 2 MiB.
    match caught(Box::pin(reconcile(context, key, trigger))).await {
        Ok(next) => {
            context.cache.panicked(&object, false);
            next
        }
        Err(panic) => panicked::run(context, &object, &panic).await,
    }
}

async fn reconcile(context: &Context, key: &ObjectKey, trigger: Trigger) -> Next {
    let start = Instant::now();
    let mut doubt = false;
    if key.kind == Kind::Mesh {
        context.queue.trigger_all(context.cache.advance_tls(key, context.settings.proxy_patience));
    }
    for _ in 0..SURPRISES {
        let mut observed = observe::observe(context, key, trigger, doubt).await?;
        let generation = observed.object.generation;
        let rollout = match rollout::advance(context, &observed).await {
            Advanced::None => None,
            Advanced::Decided(reduction) => {
                observed = rollout::newest(context, observed);
                Some(reduction)
            }
            Advanced::Moved(reduction) => {
                // What was in step with the former targets is not with these.
                observed = observe::observe(context, key, trigger.max(Trigger::Look), doubt).await?;
                Some(reduction)
            }
            Advanced::Failed => return again(),
        };
        if let Some(reduction) = &rollout
            && observed.object.generation != generation
        {
            // The spec is another one by now. A status that says so must not show a rollout that does not know it.
            rollout::carry_out(context, &observed.object, reduction).await;
            continue;
        }
        let decision = decide(&observed, &context.settings);
        let outcome = apply::apply(context, &observed, &decision.plan).await;
        log(key, &decision, &outcome);
        log_owner(&observed, &decision);
        conclude(context, &observed, &decision, &outcome, trigger);
        let failed = outcome.failure().map(|failure| failure.class);
        context.metrics.reconcile(key.kind, label(&decision.plan), failed, start.elapsed());
        if outcome.surprised() && !doubt {
            doubt = true;
            continue;
        }
        let next = finish(context, observed, decision, outcome, rollout, trigger).await;
        return sooner(context, key, next);
    }
    again()
}

/// Another try after a pause.
fn again() -> Next {
    Some(Requeue { wait: AGAIN, trigger: Trigger::Look, priority: Priority::Changed })
}

/// A RouteAction that could not be answered is tried again, however long nothing else is due.
fn sooner(context: &Context, key: &ObjectKey, next: Next) -> Next {
    let waits =
        |wait: Duration| wait > AGAIN && rolls_out(key.kind) && !context.cache.actions(key).is_empty();
    match next {
        Some(next) if waits(next.wait) => {
            let priority = next.priority.max(Priority::Changed);
            Some(Requeue { wait: AGAIN, trigger: next.trigger.min(Trigger::Look), priority })
        }
        next => next,
    }
}

/// The second half of a reconcile: the identity and the fleet, which follow the App Mesh object, then the report.
async fn finish(
    context: &Context,
    mut observed: Observed,
    mut decision: Decision,
    mut outcome: Outcome,
    rollout: Option<Box<Reduction>>,
    trigger: Trigger,
) -> Next {
    if let Some(reduction) = &rollout {
        rollout::carry_out(context, &observed.object, reduction).await;
    }
    let look = rollout.as_deref().and_then(rollout::look);
    let urgent = rollout.as_deref().is_some_and(rollout::is_step_due);
    let priority = if urgent { Priority::Urgent } else { Priority::Changed };
    let mut parts = parts::run(context, &observed, &decision, &outcome, trigger).await;
    parts.rollout = rollout;
    parts.tls = context.cache.mesh_tls(&observed.object);
    let object = Arc::clone(&observed.object);
    if object.deleting && object.has_parts() && parts.all_gone(&object) {
        // Nothing is left that the finalizer stands for.
        observed.parts_gone = true;
        observed.remote = Remote::Absent;
        decision = decide(&observed, &context.settings);
        let deleted = outcome.deleted;
        outcome = apply::apply(context, &observed, &decision.plan).await;
        outcome.deleted |= deleted;
        log(&object.key, &decision, &outcome);
    }
    let next = report(context, &observed, &decision, &outcome, &parts, trigger).await;
    next.map(|next| match look {
        // What a rollout waits for is reported, not read from the endpoint.
        Some(wait) if wait < next.wait => Requeue { wait, trigger: Trigger::Distribution, priority },
        _ => next,
    })
}

/// Writes down what the reconcile learned, and triggers who waited for it.
fn conclude(
    context: &Context,
    observed: &Observed,
    decision: &Decision,
    outcome: &Outcome,
    trigger: Trigger,
) {
    let object = &observed.object;
    let in_step = fleetmesh_core::status::in_step(decision, outcome);
    let identity = outcome.identity.as_ref().or(observed.identity());
    let ours = matches!(&observed.remote, Remote::Present(remote) if observed.is_ours(remote));
    let exists = if outcome.deleted || (observed.remote == Remote::Absent && outcome.identity.is_none()) {
        Some(false)
    } else if outcome.identity.is_some() || ours || (in_step && identity.is_some()) {
        Some(true)
    } else {
        None
    };
    let read_tags = matches!(&observed.remote, Remote::Present(remote) if remote.tags.is_some());
    let created = outcome.done.iter().any(|step| matches!(step, Step::Create { .. }));
    let tags_known = read_tags || created || (observed.former_tags.is_none() && object.reported());
    let unread = matches!(observed.remote, Remote::Unreadable(_));
    let conclusion = Conclusion {
        in_step: identity
            .filter(|_| in_step)
            .map(|identity: &RemoteIdentity| (object.generation, identity.clone())),
        identity: identity.cloned().filter(|_| exists == Some(true)),
        exists,
        tags: (in_step && tags_known).then(|| owner::asked_tags(object)),
        permitted_by: permission::judged(observed, decision, outcome),
        failed: outcome.failed.is_some() || unread,
        wrote: outcome.wrote(),
        compared: trigger == Trigger::Drift || read_tags || created,
        unanswered: unanswered(outcome),
        blocked: matches!(&outcome.failed, Some((Step::Delete { .. }, failure)) if failure.class == FailureClass::InUse),
    };
    let tags = |step: &Step| matches!(step, Step::Create { .. } | Step::TagResource { .. });
    if outcome.deleted {
        context.queue.trigger_all(context.cache.tagged(&object.id, TagReading::Absent));
    } else if outcome.done.iter().any(tags) {
        context.queue.trigger_all(context.cache.tagged(&object.id, TagReading::Resource(Tagged::by(object))));
    }
    if decision.drift.is_some() && outcome.failed.is_none() {
        context.metrics.drift();
    }
    let triggers = context.cache.conclude(object, conclusion);
    context.queue.trigger_all(triggers);
}

/// What was written without an answer.
fn unanswered(outcome: &Outcome) -> Option<Spec> {
    let (step, failure) = outcome.failed.as_ref()?;
    match (step, failure.class) {
        (
            Step::Create { spec, .. } | Step::Update { spec, .. },
            FailureClass::Unreachable | FailureClass::Server | FailureClass::Malformed,
        ) => Some(spec.clone()),
        _ => None,
    }
}

async fn report(
    context: &Context,
    observed: &Observed,
    decision: &Decision,
    outcome: &Outcome,
    parts: &Parts,
    trigger: Trigger,
) -> Next {
    let object = &*observed.object;
    let key = &object.key;
    let part_failures = context.cache.parts_concluded(object, parts.failure().is_some());
    let parts_look = parts_look(object, parts, part_failures);
    match report::report(context, observed, decision, outcome, parts, Timestamp::now()).await {
        Reported::Done => {
            let remembered = |memory: &Memory| (memory.failures, memory.compared.elapsed());
            let (failures, compared) = context.cache.remembered(object, remembered).unwrap_or_default();
            let next = match next_look(observed, outcome, failures, &context.settings) {
                NextLook::Retry(wait) => {
                    Requeue { wait, trigger: trigger.max(Trigger::Look), priority: Priority::Changed }
                }
                NextLook::Compare(interval) => {
                    let wait = interval.saturating_sub(compared);
                    Requeue { wait, trigger: Trigger::Drift, priority: Priority::Compared }
                }
            };
            let next = sooner_of(next, parts_look);
            let reported_for = context.cache.reported_for(key).unwrap_or_default();
            let look =
                programmed::look(&observed.distribution, reported_for, context.settings.proxy_patience);
            let step = context.cache.awaits_tls(object).then_some(mesh_tls::LOOK);
            Some(match look.into_iter().chain(step).min() {
                Some(wait) if wait < next.wait => {
                    Requeue { wait, trigger: Trigger::Distribution, priority: Priority::Changed }
                }
                _ => next,
            })
        }
        Reported::HeldBack(wait) => {
            let failures = context.cache.remembered(object, |memory| memory.failures).unwrap_or_default();
            let wait = match next_look(observed, outcome, failures, &context.settings) {
                NextLook::Retry(sooner) if outcome.busy => wait.min(sooner),
                NextLook::Retry(_) | NextLook::Compare(_) => wait,
            };
            let next = Requeue { wait, trigger: Trigger::Distribution, priority: Priority::Changed };
            Some(sooner_of(next, parts_look))
        }
        Reported::Gone => {
            // The answer to the last write was its last state; who waits for the name need not wait for the watch.
            let triggers = context.cache.gone(key, Some(&object.uid));
            context.queue.trigger_all(triggers);
            None
        }
        Reported::Failed(error) => {
            warn!(object = %key, %error, "cannot report");
            again()
        }
    }
}

/// This requeue, or that of the parts when it is sooner.
fn sooner_of(next: Requeue, parts: Option<Duration>) -> Requeue {
    let sooner = parts.filter(|look| *look < next.wait);
    sooner.map_or(next, |wait| Requeue { wait, trigger: Trigger::Look, priority: Priority::Changed })
}

fn log(key: &ObjectKey, decision: &Decision, outcome: &Outcome) {
    match (&outcome.failed, &decision.plan) {
        (Some((step, failure)), _) => warn!(object = %key, %step, %failure, "failed"),
        (None, Plan::Steps(_)) => info!(object = %key, plan = %decision.plan, "done"),
        (None, plan) => debug!(object = %key, %plan, "nothing done"),
    }
}

/// Whose an App Mesh object is that is not the resource's, once. An editor of a namespace is not to know all of that.
fn log_owner(observed: &Observed, decision: &Decision) {
    let object = &observed.object;
    let Remote::Present(RemoteObject { tags: Some(tags), .. }) = &observed.remote else { return };
    let refused = matches!(&decision.accepted, Verdict::Fails(Reason::NotOwned, _));
    let accepted = object.status.condition(ConditionType::Accepted);
    let known = accepted.is_some_and(|accepted| accepted.reason == Reason::NotOwned.as_str());
    if refused && !known {
        info!(object = %object.key, owner = %Owner::of(tags), "the App Mesh object is somebody else's");
    }
}

/// The sort of a plan as a label of metrics.
fn label(plan: &Plan) -> &'static str {
    match plan {
        Plan::Steps(_) => "steps",
        Plan::Nothing(Idle::InStep) => "in_step",
        Plan::Nothing(Idle::NotAccepted) => "not_accepted",
        Plan::Nothing(Idle::NotPermitted) => "not_permitted",
        Plan::Nothing(Idle::NotThere) => "not_there",
        Plan::Nothing(Idle::Unread) => "unread",
        Plan::Nothing(Idle::PartsLeft) => "parts_left",
        Plan::Nothing(Idle::Gone) => "gone",
        Plan::Wait(_) => "wait",
    }
}
