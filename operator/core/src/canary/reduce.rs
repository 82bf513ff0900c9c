//! The decision about a rollout. The same inputs give the same decision. Pure.

use std::collections::BTreeSet;

use fleetmesh_crds::{CanaryStatus, Reason};
use jiff::Timestamp;

use super::course::without_canary;
use super::observations::Observations;
use super::reducer::Reducer;
use super::reduction::{ActionVerdict, Reduction};
use super::spec::Spec;
use super::time::cut;

/// Why a Route without `canary` takes no action.
pub(super) const NO_CANARY: &str = "the Route has no canary: its targets are in force at once";

/// Decides about a route's rollout. `state` is what its status keeps, `seen` what was observed since. `now` is cut to
/// microseconds and must not go back by more than clocks do.
pub fn reduce(spec: &Spec, state: &CanaryStatus, seen: &Observations, now: Timestamp) -> Reduction {
    let now = cut(now);
    let Some(canary) = &spec.canary else { return at_once(state, seen, now) };
    let mut reducer = Reducer::new(spec, canary, state, seen, now);
    reducer.take_course();
    reducer.obey();
    reducer.observe_dataplane();
    reducer.advance();
    reducer.go_on_draining();
    let (conditions, keep) = (reducer.conditions(), reducer.keep());
    let Reducer { state, effects, verdicts, looks, triggers, .. } = reducer;
    Reduction { state, effects, conditions, verdicts, keep, look: looks.into_iter().min(), triggers }
}

/// Without `canary` there is nothing to decide, and each action is refused.
fn at_once(state: &CanaryStatus, seen: &Observations, now: Timestamp) -> Reduction {
    let refuse = |action| ActionVerdict::refused(action, Reason::NoRollout, NO_CANARY, now);
    Reduction {
        state: without_canary(state, now),
        effects: Vec::new(),
        conditions: Vec::new(),
        verdicts: seen.actions.iter().map(refuse).collect(),
        keep: BTreeSet::new(),
        look: None,
        triggers: Vec::new(),
    }
}

/// The virtual nodes, by App Mesh name, that a decision wants to know about.
pub fn nodes_of_interest(spec: &Spec, state: &CanaryStatus) -> BTreeSet<String> {
    let history = state.history.iter().flat_map(|entry| &entry.from);
    let rollout = state.rollout.iter().flat_map(|rollout| &rollout.targets);
    let targets = spec.targets.iter().chain(&state.effective_targets).chain(&state.stable_targets);
    let names = targets.chain(rollout).chain(history).map(|target| target.virtual_node.clone());
    names.chain(state.draining.iter().map(|drain| drain.virtual_node.clone())).collect()
}
