//! How rollouts ended, and which targets were stable before. Pure.

use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::status::MAX_HISTORY;
use fleetmesh_crds::canary::{HistoryEntry, Phase, RolloutStatus};
use fleetmesh_model::route::WeightedTarget;
use jiff::Timestamp;

use super::time::micro;

/// How a rollout ended, and why.
pub(super) struct Ending {
    pub outcome: Phase,
    pub reason: Reason,
    pub message: String,
}

/// Notes how `rollout`, which began from `from`, ended: the newest entry comes first, the oldest of more than 10 goes.
pub(super) fn add(
    history: &mut Vec<HistoryEntry>,
    from: &[WeightedTarget],
    rollout: &RolloutStatus,
    ending: &Ending,
    now: Timestamp,
) {
    let entry = HistoryEntry {
        ended_at: micro(now),
        from: from.to_vec(),
        id: rollout.id.clone(),
        message: ending.message.clone(),
        outcome: ending.outcome,
        reason: ending.reason,
        started_at: rollout.started_at.clone(),
        step_index: rollout.step_index,
        targets: rollout.targets.clone(),
    };
    history.insert(0, entry);
    history.truncate(MAX_HISTORY);
}

/// The targets that the last `count` promotions replaced, as far as the history goes back; the newest first.
pub(super) fn revisions(history: &[HistoryEntry], count: usize) -> Vec<&[WeightedTarget]> {
    let promoted = history.iter().filter(|entry| entry.outcome == Phase::Promoted);
    promoted.take(count).map(|entry| entry.from.as_slice()).collect()
}
