//! What keeps a rollout where it is. Pure.

use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::{Hold, Phase};
use jiff::Timestamp;

use super::round::Round;
use super::time::{after, in_words, micro};
use crate::event::Severity;

/// What keeps a rollout where it is, and how long it may.
pub(super) enum Blocked {
    /// The plan: not before this time.
    Until(Timestamp),
    /// Something that should pass by itself; `progressDeadlineSeconds` counts.
    Briefly(Reason, String),
    /// Nothing can be judged; `holdTimeout` counts.
    Held(Reason, String),
    /// Somebody or something has to agree, however long it takes.
    Asked(Reason, String),
    /// A person has to act.
    Paused(Reason, String),
}

/// Which clock a hold runs against.
fn counts_to_timeout(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NoTraffic
            | Reason::NoReport
            | Reason::ReportsDisagree
            | Reason::NoData
            | Reason::MetricFailed
            | Reason::TooFewRequests
            | Reason::WebhookFailed
    )
}

impl Round<'_> {
    /// Notes what keeps the rollout where it is, and what follows when it did so for too long.
    pub fn stay(&mut self, blocked: Blocked) {
        match blocked {
            Blocked::Until(time) => {
                self.look(time);
                self.unhold();
            }
            Blocked::Briefly(reason, detail) => self.stay_briefly(reason, detail),
            Blocked::Held(reason, detail) => self.stay_held(reason, detail),
            Blocked::Asked(reason, detail) => {
                self.hold(reason, detail, Phase::Held);
            }
            Blocked::Paused(reason, detail) => self.pause(reason, detail),
        }
    }

    /// Nothing keeps the rollout where it is, beyond its plan.
    pub fn unhold(&mut self) {
        let (now, phase, under_way) = (micro(self.now), self.phase(), self.phase_under_way());
        let Some(rollout) = self.rollout_mut() else { return };
        let held = rollout.hold.take();
        if matches!(phase, Phase::Held | Phase::Paused) {
            rollout.last_progress_at = now;
            self.state.phase = Some(under_way);
            if let Some(held) = held {
                self.event(
                    Severity::Normal,
                    Reason::Resumed,
                    "Roll",
                    format!("goes on after {}", held.reason),
                );
            }
        } else {
            self.state.phase = Some(under_way);
        }
    }

    /// The phase of a rollout that nothing holds.
    fn phase_under_way(&self) -> Phase {
        let bakes = |rollout: &&_| {
            matches!(
                rollout,
                fleetmesh_crds::canary::RolloutStatus { set_weight: 100, step_entered_at: Some(_), .. }
            )
        };
        if self.rollout().filter(bakes).is_some() { Phase::Baking } else { Phase::Progressing }
    }

    fn stay_briefly(&mut self, reason: Reason, detail: String) {
        if matches!(self.phase(), Phase::Held | Phase::Paused) {
            self.unhold();
        }
        let phase = self.phase_under_way();
        self.hold(reason, detail.clone(), phase);
        let Some(rollout) = self.rollout() else { return };
        let planned = rollout.next_step_not_before.as_ref().map_or(Timestamp::MIN, |time| time.0);
        let planned = if planned <= self.now { planned } else { Timestamp::MIN };
        // While nobody decided, nothing could progress.
        let progress = rollout.last_progress_at.0.max(planned).max(self.seen.since);
        let deadline = after(progress, self.canary.progress_deadline());
        if deadline <= self.now {
            let length = in_words(self.canary.progress_deadline());
            let message = format!("no progress for {length}: {reason}: {detail}");
            self.fail(Reason::ProgressDeadlineExceeded, message);
        } else {
            self.look(deadline);
        }
    }

    fn stay_held(&mut self, reason: Reason, detail: String) {
        let since = self.hold(reason, detail.clone(), Phase::Held);
        let timeout = after(since.max(self.seen.since), self.analysis.hold_timeout());
        if timeout <= self.now {
            let length = in_words(self.analysis.hold_timeout());
            let detail = format!(
                "{reason} for {length}: {detail}. Resume to wait on, skip the step to go on without, or abort"
            );
            self.pause(Reason::HoldTimedOut, detail);
        } else {
            self.look(timeout);
        }
    }

    /// Sets the hold: since when it is there.
    fn hold(&mut self, reason: Reason, detail: String, phase: Phase) -> Timestamp {
        let (now, before) = (micro(self.now), self.phase());
        let Some(rollout) = self.rollout_mut() else { return now.0 };
        let same = rollout.hold.as_ref().filter(|hold| {
            before == phase
                && (hold.reason == reason || counts_to_timeout(hold.reason) && counts_to_timeout(reason))
        });
        let news = same.is_none_or(|hold| hold.reason != reason);
        let since = same.map_or(now, |hold| hold.since.clone());
        rollout.hold = Some(Hold { detail: detail.clone(), reason, since: since.clone() });
        self.state.phase = Some(phase);
        if phase == Phase::Held && news {
            self.event(Severity::Warning, Reason::Held, "Hold", format!("{reason}: {detail}"));
        }
        since.0
    }
}
