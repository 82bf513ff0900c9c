//! The phases of a route as one table: which trigger leads from which phase to which, and the reason that is reported. Pure.
//!
//! A phase comes from here and from nowhere else. The diagram in `docs/canary.md` shows the same transitions, and a test
//! compares the two.

use fleetmesh_crds::canary::Phase::{
    self, Aborted, Baking, Draining, Held, Paused, Progressing, Promoted, RolledBack, Stable, Superseded,
};
use fleetmesh_crds::canary::RolloutStatus;
use fleetmesh_crds::{CanaryStatus, Reason};

use super::clock::StepClock;

/// What may move a route to another phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CanaryTrigger {
    /// The first decision about the route: what the endpoint has is stable.
    Adopted,
    /// The spec names other targets than the stable ones and than the rollout's.
    TargetsChanged,
    /// Somebody retries an aborted rollout.
    Retried,
    /// The next step's weights were decided.
    StepTaken,
    /// Every connected proxy has 100 percent.
    FullWeight,
    /// Nothing can be judged, or a webhook does not agree.
    Blocked,
    /// A person has to act: `pause: {}`, Pause, `holdTimeout`, or a failure with `onFailure: Pause`.
    PersonNeeded,
    /// Nothing keeps the rollout where it is any more, below 100 percent.
    Unblocked,
    /// The same, when every connected proxy has 100 percent already.
    UnblockedBaking,
    /// The rollout is given up: a failure, `abortBelow`, Abort, a webhook.
    GivenUp,
    /// The spec names the stable targets again.
    TargetsReverted,
    /// The last step is over, and old targets lose their requests.
    Baked,
    /// The last step is over, and no target loses its last request.
    BakedWithoutDrain,
    /// No request to the old targets is waited for any more.
    Drained,
}

/// One row: the phases that a trigger leads from (`None` is a route about which nothing was decided), the one that it leads
/// to, and the reason.
struct TransitionRow {
    trigger: CanaryTrigger,
    from: &'static [Option<Phase>],
    to: Phase,
    reason: Reason,
}

const fn row(
    trigger: CanaryTrigger,
    from: &'static [Option<Phase>],
    to: Phase,
    reason: Reason,
) -> TransitionRow {
    TransitionRow { trigger, from, to, reason }
}

/// The phases of a rollout under way.
const UNDER_WAY: &[Option<Phase>] = &[Some(Progressing), Some(Held), Some(Paused), Some(Baking)];
const UNDER_WAY_OR_ABORTED: &[Option<Phase>] =
    &[Some(Progressing), Some(Held), Some(Paused), Some(Baking), Some(Aborted)];
const ANY: &[Option<Phase>] = &[
    Some(Stable),
    Some(Progressing),
    Some(Held),
    Some(Paused),
    Some(Baking),
    Some(Draining),
    Some(Promoted),
    Some(Aborted),
    Some(RolledBack),
];

const TABLE: [TransitionRow; 14] = [
    row(CanaryTrigger::Adopted, &[None], Stable, Reason::Stable),
    row(CanaryTrigger::TargetsChanged, ANY, Progressing, Reason::RolloutStarted),
    row(CanaryTrigger::Retried, &[Some(Aborted)], Progressing, Reason::RolloutStarted),
    row(CanaryTrigger::StepTaken, &[Some(Progressing)], Progressing, Reason::StepStarted),
    row(CanaryTrigger::FullWeight, &[Some(Progressing)], Baking, Reason::Baking),
    row(CanaryTrigger::Blocked, UNDER_WAY, Held, Reason::Held),
    row(CanaryTrigger::PersonNeeded, UNDER_WAY, Paused, Reason::Paused),
    row(CanaryTrigger::Unblocked, &[Some(Held), Some(Paused)], Progressing, Reason::Resumed),
    row(CanaryTrigger::UnblockedBaking, &[Some(Held), Some(Paused)], Baking, Reason::Resumed),
    row(CanaryTrigger::GivenUp, UNDER_WAY, Aborted, Reason::Aborted),
    row(CanaryTrigger::TargetsReverted, UNDER_WAY_OR_ABORTED, RolledBack, Reason::RolledBack),
    row(CanaryTrigger::Baked, &[Some(Baking)], Draining, Reason::Promoted),
    row(CanaryTrigger::BakedWithoutDrain, &[Some(Baking)], Promoted, Reason::Promoted),
    row(CanaryTrigger::Drained, &[Some(Draining)], Promoted, Reason::Promoted),
];

/// Where `trigger` leads from a phase, and the reason to report; `None` when it leads nowhere from there, and the
/// route stays as it is. `from` is `None` before the first decision.
pub fn transition(from: Option<Phase>, trigger: CanaryTrigger) -> Option<(Phase, Reason)> {
    let row = TABLE.iter().find(|row| row.trigger == trigger)?;
    row.from.contains(&from).then_some((row.to, row.reason))
}

/// Each transition that there is: from, trigger, to, reason.
pub fn transitions() -> impl Iterator<Item = (Option<Phase>, CanaryTrigger, Phase, Reason)> {
    TABLE.iter().flat_map(|row| row.from.iter().map(|from| (*from, row.trigger, row.to, row.reason)))
}

/// The phase of a status, as far as a route can be in it: how a rollout ended is no phase of a route.
pub(super) fn phase_of_route(phase: Option<Phase>) -> Option<Phase> {
    phase.filter(|phase| *phase != Superseded)
}

/// The triggers that lead a status to a phase in which its rollout can be. There are none for what the operator wrote. From
/// a phase that somebody wrote by hand the table may know no way on.
pub(super) fn mending(state: &CanaryStatus) -> Vec<CanaryTrigger> {
    if state.stable_targets.is_empty() {
        return Vec::new();
    }
    let bakes = state.rollout.as_ref().is_some_and(bakes);
    let adopted = state.phase.is_none().then_some(CanaryTrigger::Adopted);
    let (started, filled) = match (&state.rollout, state.phase) {
        (None, _) | (Some(_), Some(Held | Paused | Aborted)) => (false, false),
        (Some(_), Some(Progressing)) => (false, bakes),
        (Some(_), Some(Baking)) => (!bakes, false),
        (Some(_), None | Some(Stable | Draining | Promoted | RolledBack | Superseded)) => (true, bakes),
    };
    let started = started.then_some(CanaryTrigger::TargetsChanged);
    adopted.into_iter().chain(started).chain(filled.then_some(CanaryTrigger::FullWeight)).collect()
}

/// Whether every connected proxy has had 100 percent of the rollout.
pub(super) fn bakes(rollout: &RolloutStatus) -> bool {
    rollout.set_weight == 100 && StepClock::of(rollout) != StepClock::NotEntered
}
