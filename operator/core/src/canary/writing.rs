//! When the state that a decision came to has to stand in the status. A write of a Route is what a rollout costs most, and
//! most decisions only find that all is well still. Pure.
//!
//! | what the decision brought | written |
//! |---|---|
//! | something outside follows: weights, an Event, a question, an answer to a person | before it follows |
//! | the state tells news: the step's clock, a verdict that changed, a hold, acknowledgements | with the reconcile's report |
//! | windows that passed as the last one did | within [`UNWRITTEN`] of what the status tells, or with the next news |
//!
//! What is not written is lost with the process. That costs time alone: after a restart a rollout leaves its step only by
//! windows that were watched in full since, and requests that were not written are counted anew.

use std::time::Duration;

use fleetmesh_crds::CanaryStatus;
use fleetmesh_crds::canary::{MetricStatus, Verdict};
use jiff::{SignedDuration, Timestamp};

use super::reduction::{CanaryEffect, Reduction};

/// How old what a status tells of passing windows gets at the most while newer ones are known.
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

/// Whether `state` tells people something that `written`, which stands in the status, does not: anything but windows that
/// passed again, requests that were counted in them, and neither is [`UNWRITTEN`] ahead.
pub fn tells_news(written: &CanaryStatus, state: &CanaryStatus) -> bool {
    let mut same = state.clone();
    for known in &mut same.analysis {
        let before = written.analysis.iter().find(|metric| metric.name == known.name);
        if let Some(before) = before.filter(|before| passed_again(before, known)) {
            *known = before.clone();
        }
    }
    if let (Some(rollout), Some(before)) = (&mut same.rollout, &written.rollout)
        && let (Some(until), Some(told)) = (&rollout.counted_until, &before.counted_until)
        && is_near(told.0, until.0)
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

fn is_near(told: Timestamp, known: Timestamp) -> bool {
    known.duration_since(told) < SignedDuration::try_from(UNWRITTEN).unwrap_or(SignedDuration::MAX)
}
