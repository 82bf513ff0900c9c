//! When the state after a decision has to be written into the status. Writes of a Route are the greatest cost of a rollout, and
//! most decisions only find that all is still well. Pure.
//!
//! | what the decision brought | written |
//! |---|---|
//! | something outside follows: weights, an Event, a question, an answer to a person | before it follows |
//! | the state has news: the step's clock, a verdict that changed, a hold, acknowledgements | with the reconcile's report |
//! | windows that passed as the last one did | within [`UNWRITTEN`] of what the status says, or with the next news |
//!
//! What is not written is lost with the process. That costs time alone: after a restart a rollout leaves its step only by
//! windows that were watched in full since, and requests that were not written are counted anew.

use std::time::Duration;

use fleetmesh_crds::CanaryStatus;
use fleetmesh_crds::canary::{MetricStatus, Verdict};
use jiff::{SignedDuration, Timestamp};

use super::reduction::{CanaryEffect, Reduction};

/// The greatest age of the passing windows in a status while newer ones are known.
pub const UNWRITTEN: Duration = Duration::from_secs(60);

impl Reduction {
    /// Whether something outside of the operator follows from this decision, which was made from `before`.
    pub fn is_followed(&self, before: &CanaryStatus) -> bool {
        let state = &self.state;
        let only_reads = |effect: &CanaryEffect| matches!(effect, CanaryEffect::Query { .. });
        !self.verdicts.is_empty()
            || !self.effects.iter().all(only_reads)
            || state.effective_targets != before.effective_targets
            || state.history != before.history
    }
}

/// Whether `state` says something that `written`, the state in the status, does not: anything but windows that passed again
/// and the requests that were counted in them, as long as neither is [`UNWRITTEN`] ahead.
pub fn has_news(written: &CanaryStatus, state: &CanaryStatus) -> bool {
    let mut same = state.clone();
    for known in &mut same.analysis {
        let before = written.analysis.iter().find(|metric| metric.name == known.name);
        if let Some(before) = before.filter(|before| passed_again(before, known)) {
            *known = before.clone();
        }
    }
    if let (Some(rollout), Some(before)) = (&mut same.rollout, &written.rollout)
        && let (Some(until), Some(written_at)) = (&rollout.counted_until, &before.counted_until)
        && is_near(written_at.0, until.0)
    {
        rollout.counted_until.clone_from(&before.counted_until);
        rollout.step_requests = before.step_requests;
    }
    same != *written
}

fn passed_again(before: &MetricStatus, now: &MetricStatus) -> bool {
    let passed = |metric: &MetricStatus| metric.verdict == Verdict::Pass && metric.failed == 0;
    passed(before) && passed(now) && is_near(before.at.0, now.at.0)
}

fn is_near(written_at: Timestamp, known: Timestamp) -> bool {
    known.duration_since(written_at) < SignedDuration::try_from(UNWRITTEN).unwrap_or(SignedDuration::MAX)
}
