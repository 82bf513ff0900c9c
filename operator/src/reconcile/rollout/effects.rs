//! What follows from a decision about a rollout once its state stands: questions, retirement of virtual nodes, the
//! statuses of RouteActions. Each comes again with the next decision until it is observed, so a failure is only logged.

use fleetmesh_core::canary::{Action, ActionVerdict, CanaryEffect, CanaryTurn, Reduction, rolls_out};
use fleetmesh_core::{Deprecation, Object, ObjectKey};
use fleetmesh_crds::Reason;
use jiff::Timestamp;
use tracing::{info, warn};

use super::ask;
use crate::cluster::WriteError;
use crate::context::Context;

/// Carries out what a decision about the rollout of `route` asks for.
pub async fn carry_out(context: &Context, route: &Object, reduction: &Reduction) {
    for verdict in &reduction.verdicts {
        answer(context, &route.key, verdict).await;
    }
    for effect in &reduction.effects {
        if let Err(error) = follow(context, route, effect).await {
            warn!(object = %route.key, %effect, %error, "failed; it is tried again");
        }
    }
}

async fn follow(context: &Context, route: &Object, effect: &CanaryEffect) -> Result<(), WriteError> {
    // Asked again here: the node's owner may have thought better of it since the decision.
    let node = |name: &str| {
        let node = context.cache.virtual_node(route.id.mesh_name(), name)?;
        context.cache.may_retire(&route.key, &node).then_some(node)
    };
    match effect {
        // Published before the state was written.
        CanaryEffect::Event(_) => {}
        CanaryEffect::Ask(call) => ask::webhook(context, route, call),
        CanaryEffect::Notify { call, event } => ask::notify(context, route, call, event),
        CanaryEffect::Query { metric, at, query } => ask::query(context, route, metric, at, query),
        CanaryEffect::Deprecate { virtual_node, deprecated, message } => {
            let deprecation = match deprecated {
                true => Deprecation::Deprecated(message.clone()),
                false => Deprecation::TakenBack,
            };
            if let Some(node) = node(virtual_node) {
                context.queue.trigger_all(context.cache.deprecate(&node, deprecation));
            }
        }
        CanaryEffect::ScaleToZero { virtual_node } => {
            if let Some(node) = node(virtual_node) {
                info!(object = %route.key, node = %node.key, %effect, "retiring");
                context.cluster.scale_to_zero(&node).await?;
            }
        }
        CanaryEffect::Delete { virtual_node } => {
            if let Some(node) = node(virtual_node) {
                info!(object = %route.key, node = %node.key, %effect, "retiring");
                context.cluster.delete(&node).await?;
            }
        }
    }
    Ok(())
}

async fn answer(context: &Context, route: &ObjectKey, verdict: &ActionVerdict) {
    let namespace = route.namespace.as_deref().unwrap_or_default();
    match context.cluster.answer_action(namespace, verdict).await {
        Ok(()) | Err(WriteError::Gone | WriteError::Changed) => {
            context.cache.action_gone(namespace, &verdict.name, Some(&verdict.uid));
        }
        Err(error) => warn!(object = %route, action = verdict.name, %error, "cannot answer a RouteAction"),
    }
}

/// Refuses the RouteActions for a Route about which nothing is decided.
pub async fn refuse_all(context: &Context, route: &ObjectKey, turn: &CanaryTurn) {
    if !rolls_out(route.kind) {
        return;
    }
    for action in context.cache.actions(route) {
        if let Some(verdict) = turn.refuses(&action, Timestamp::now()) {
            answer(context, route, &verdict).await;
        }
    }
}

/// Refuses RouteActions whose Route did not exist and still does not.
pub async fn refuse_strays(context: &Context, strays: Vec<(ObjectKey, Action)>) {
    let strays = strays.into_iter().filter(|(route, _)| context.cache.object(route).is_none());
    for (route, action) in strays {
        let message = format!("{route} does not exist");
        let verdict = ActionVerdict::refused(&action, Reason::NoRollout, message, Timestamp::now());
        answer(context, &route, &verdict).await;
    }
}
