//! The rollout of a route: observe (reads) → reduce (pure) → write the state ahead of what follows from it (one write, or
//! none). What the state says is in force is the route's spec for the rest of the reconcile; effects follow it ([`effects`]).

mod ask;
mod effects;
mod prometheus;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_core::canary::{
    CanaryEffect, CanaryTurn, Node, Observations, Owners, ProxyReports, Reduction, ReportingEndpoint, Spec,
    nodes_of_interest, reduce, targets, turn,
};
use fleetmesh_core::{Distribution, Object, Observed, Remote, object};
use fleetmesh_crds::{CanaryStatus, RouteStatus, Status};
use jiff::Timestamp;
use tracing::{info, warn};

use effects::refuse_all;
pub use effects::{carry_out, refuse_strays};

use crate::cache::NewsSource;
use crate::context::Context;
use crate::reconcile::report::publish;

/// What became of a route's rollout.
pub enum Advanced {
    /// The resource has none, or it is not its turn.
    None,
    /// It was decided about. Either the state stands in the status, or nothing follows and the report has it.
    Decided(Box<Reduction>),
    /// It was decided about, and the targets in force are others now: observe again.
    Moved(Box<Reduction>),
    /// The state could not be written: nothing may follow from it.
    Failed,
}

/// Decides about the rollout of the observed object and writes its state into the status, before anything follows from it.
pub async fn advance(context: &Context, observed: &Observed) -> Advanced {
    let object = &observed.object;
    let turn = turn(observed, &context.settings.cluster);
    let CanaryTurn::Decide(spec) = turn else {
        refuse_all(context, &object.key, &turn).await;
        return Advanced::None;
    };
    let before = context.cache.rollout(object);
    let observations = observe(context, observed, &spec, &before).await;
    // After them: nothing that was seen is in the future.
    let now = Timestamp::now();
    let reduction = Box::new(reduce(&spec, &before, &observations, now));
    for effect in &reduction.effects {
        if let CanaryEffect::Event(event) = effect {
            info!(object = %object.key, reason = event.reason, "{}", event.message);
            context.metrics.rollouts.event(&event.reason);
            publish(context, object, event).await;
        }
    }
    let triggers = context.cache.keep(object, reduction.keep.clone());
    context.queue.trigger_all(triggers);
    if reduction.state == *object.status.canary() || !reduction.is_followed(&before) {
        context.cache.decided(object, &reduction.state);
        return Advanced::Decided(reduction);
    }
    let status = ahead(&object.status, &reduction.state);
    match context.cluster.set_status(object, &status).await {
        Ok(written) => {
            context.metrics.rollouts.ended(&before, &reduction.state);
            let moved = written.effective_spec != object.effective_spec;
            let triggers = context.cache.seen(written, NewsSource::OwnWrite);
            context.queue.trigger_all(triggers);
            if moved { Advanced::Moved(reduction) } else { Advanced::Decided(reduction) }
        }
        Err(error) => {
            warn!(object = %object.key, %error, "cannot write the state of the rollout");
            Advanced::Failed
        }
    }
}

/// The status with the state of the rollout and the weights that it puts in force; the rest waits for the reconcile's end.
fn ahead(before: &Status, state: &CanaryStatus) -> Status {
    let effective = &state.effective_targets;
    let former = before.route().and_then(|route| route.weights.clone());
    let weights = if effective.is_empty() { former } else { Some(targets::in_short(effective)) };
    Status { of_kind: RouteStatus { canary: state.clone(), weights }.into(), ..before.clone() }
}

async fn observe(context: &Context, observed: &Observed, spec: &Spec, state: &CanaryStatus) -> Observations {
    let object = &observed.object;
    let nodes = context.cache.nodes(object, &nodes_of_interest(spec, state));
    let (samples, answers) = context.cache.answered(object);
    let loads = loads(context, object, spec, state).await;
    let owners = owners(context, observed, &nodes, &loads);
    Observations {
        since: context.since,
        endpoint: endpoint(observed),
        nodes,
        loads,
        owners,
        samples,
        answers,
        actions: context.cache.actions(&object.key),
    }
}

/// Whose the virtual nodes are whose proxies have a say: those that run the route, and those that call its targets.
fn owners(
    context: &Context,
    observed: &Observed,
    nodes: &BTreeMap<String, Node>,
    loads: &ProxyReports,
) -> Owners {
    let mut names = BTreeSet::new();
    if let Distribution::Reported(ObjectStatus { callers, .. }) = &observed.distribution {
        names.extend(callers.keys().map(String::as_str));
    }
    if let ProxyReports::Reported { loads, .. } = loads {
        let reported = loads.witnesses.iter().filter(|(node, _)| nodes.contains_key(*node));
        names.extend(reported.flat_map(|(_, witnesses)| witnesses.callers.keys()).map(String::as_str));
    }
    let object = &observed.object;
    let own = object.key.namespace.clone().unwrap_or_default();
    Owners { own, namespaces: context.cache.owners(object.id.mesh_name(), names) }
}

/// Loads are asked for only while something is judged by them.
async fn loads(context: &Context, object: &Object, spec: &Spec, state: &CanaryStatus) -> ProxyReports {
    let changing = !targets::same(&spec.targets, &state.stable_targets);
    let Some(canary) =
        spec.canary.as_ref().filter(|_| state.rollout.is_some() || changing || !state.draining.is_empty())
    else {
        return ProxyReports::Pending;
    };
    let window = canary.effective_analysis().interval();
    context.rollouts.reports(object.id.mesh_name(), window.max(Duration::from_secs(1))).await
}

/// The App Mesh route as this reconcile knows it.
fn endpoint(observed: &Observed) -> ReportingEndpoint {
    let has = |targets: &[fleetmesh_model::route::WeightedTarget], version: i64| ReportingEndpoint::Has {
        targets: targets.to_vec(),
        version,
        distribution: observed.distribution.clone(),
    };
    match &observed.remote {
        Remote::Present(remote) => has(object::targets(&remote.spec), remote.identity.version),
        Remote::InStep(identity) => has(object::targets(&observed.object.effective_spec), identity.version),
        Remote::Absent => ReportingEndpoint::Absent,
        Remote::NotRead if observed.uid.is_none() => ReportingEndpoint::Absent,
        Remote::NotRead | Remote::Unreadable(_) => ReportingEndpoint::Unread,
    }
}

/// When the rollout wants another look.
pub fn look(reduction: &Reduction) -> Option<Duration> {
    let wait = reduction.look?.duration_since(Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

/// Whether that look is for the end of a step: what is promised about the time of a decision hangs on it.
pub fn is_step_due(reduction: &Reduction) -> bool {
    let step = reduction.state.rollout.as_ref().and_then(|rollout| rollout.next_step_not_before.as_ref());
    step.is_some_and(|step| reduction.look == Some(step.0))
}

/// The resource as the write of its state left it.
pub fn newest(context: &Context, observed: Observed) -> Observed {
    match context.cache.object(&observed.object.key) {
        Some(object) if object.uid == observed.object.uid => {
            Observed { object: Arc::clone(&object), ..observed }
        }
        _ => observed,
    }
}
