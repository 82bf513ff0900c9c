//! The next state when a rollout ends, targets drain, or other weights are to be in force. Functions from a state to the next
//! one; nothing is reported here. Pure.

use fleetmesh_crds::CanaryStatus;
use fleetmesh_crds::canary::DrainStatus;
use fleetmesh_crds::canary::status::MAX_DRAINING;
use fleetmesh_model::route::WeightedTarget;
use jiff::Timestamp;

use super::history::{self, Ending};
use super::targets::{MAX_TARGETS, same, serving_nodes, with_zeros};
use super::time::micro;
use super::weights::between;

/// The state with what is to be in force: the weights of the rollout, and 0 for targets with requests in flight. When this
/// changes anything, nobody has it yet.
pub(super) fn in_effect(state: CanaryStatus) -> CanaryStatus {
    let percent = |weight: i32| u32::try_from(weight).unwrap_or(0);
    let base = state
        .rollout
        .as_ref()
        .map(|rollout| between(&state.stable_targets, &rollout.targets, percent(rollout.set_weight)))
        .filter(|all| all.len() <= MAX_TARGETS)
        .unwrap_or_else(|| state.stable_targets.clone());
    let undrained = state.draining.iter().filter(|drain| drain.drained_at.is_none());
    let draining: Vec<WeightedTarget> = undrained
        .map(|drain| WeightedTarget { port: drain.port, virtual_node: drain.virtual_node.clone(), weight: 0 })
        .collect();
    let mut effective = with_zeros(base, &draining);
    effective.truncate(MAX_TARGETS);
    if same(&effective, &state.effective_targets) {
        return state;
    }
    CanaryStatus { effective_targets: effective, dataplane: None, ..state }
}

/// The state with the end of the rollout, if there is one, in its history.
pub(super) fn with_ending(mut state: CanaryStatus, ending: &Ending, now: Timestamp) -> CanaryStatus {
    if let Some(rollout) = &state.rollout {
        history::add(&mut state.history, &state.stable_targets, rollout, ending, now);
    }
    state
}

/// The state without the rollout, with these stable targets.
pub(super) fn settled(state: CanaryStatus, stable: &[WeightedTarget]) -> CanaryStatus {
    CanaryStatus { stable_targets: stable.to_vec(), rollout: None, webhooks: Vec::new(), ..state }
}

/// The state in which `losers` begin to drain. Those of a promotion retire, unless another port of their node is among
/// `serving`.
pub(super) fn with_draining(
    mut state: CanaryStatus,
    losers: &[WeightedTarget],
    serving: &[WeightedTarget],
    retires: bool,
    now: Timestamp,
) -> CanaryStatus {
    let serving = serving_nodes(serving);
    for target in losers {
        state.draining.retain(|drain| !is_of(drain, target));
        state.draining.push(DrainStatus {
            deprecated_at: None,
            drained_at: None,
            port: target.port,
            retired_at: None,
            retires: retires && !serving.contains(target.virtual_node.as_str()),
            settled_at: None,
            since: micro(now),
            virtual_node: target.virtual_node.clone(),
        });
    }
    let most = state.draining.len().saturating_sub(MAX_DRAINING);
    state.draining.drain(..most);
    state
}

/// The state in which targets that get requests again neither drain nor retire; all ports of a node count when it comes to
/// retiring.
pub(super) fn taken_back(mut state: CanaryStatus, targets: &[WeightedTarget]) -> CanaryStatus {
    let serving = serving_nodes(targets);
    state.draining.retain(|drain| {
        let served = targets.iter().any(|target| target.weight > 0 && is_of(drain, target));
        !served && (drain.drained_at.is_none() || !serving.contains(drain.virtual_node.as_str()))
    });
    state
}

fn is_of(drain: &DrainStatus, target: &WeightedTarget) -> bool {
    drain.virtual_node == target.virtual_node && drain.port == target.port
}
