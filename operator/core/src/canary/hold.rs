//! Reasons to hold a rollout. Pure.

use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::{Hold, Phase, RolloutStatus};
use jiff::Timestamp;

use super::clock::StepClock;
use super::reducer::Reducer;
use super::time::{after, in_words, micro};
use super::transition::{CanaryTrigger, bakes};
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

impl Reducer<'_> {
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
                self.block(reason, detail);
            }
            Blocked::Paused(reason, detail) => self.pause(reason, detail),
        }
    }

    /// Nothing keeps the rollout where it is, beyond its plan.
    pub fn unhold(&mut self) {
        let Some(rollout) = self.rollout() else { return };
        let trigger = if bakes(rollout) { CanaryTrigger::UnblockedBaking } else { CanaryTrigger::Unblocked };
        let held = rollout.hold.clone();
        self.update(|rollout| RolloutStatus { hold: None, ..rollout });
        // Under its plan the rollout is not blocked, and moves nowhere.
        let Some(reason) = self.fire(trigger) else { return };
        let now = micro(self.now);
        self.update(|rollout| RolloutStatus { last_progress_at: now, ..rollout });
        if let Some(held) = held {
            self.event(Severity::Normal, reason, "Roll", format!("goes on after {}", held.reason));
        }
    }

    fn stay_briefly(&mut self, reason: Reason, detail: String) {
        if matches!(self.phase(), Phase::Held | Phase::Paused) {
            self.unhold();
        }
        self.note_hold(reason, &detail, self.phase());
        let Some(rollout) = self.rollout() else { return };
        let planned = StepClock::of(rollout).until().unwrap_or(Timestamp::MIN);
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
        let since = self.block(reason, detail.clone());
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

    /// Nothing can be judged, or somebody has to agree: since when that is so.
    fn block(&mut self, reason: Reason, detail: String) -> Timestamp {
        let before = self.phase();
        let Some(held) = self.fire(CanaryTrigger::Blocked) else { return self.now };
        let (since, news) = self.note_hold(reason, &detail, before);
        if news {
            self.event(Severity::Warning, held, "Hold", format!("{reason}: {detail}"));
        }
        since
    }

    /// Notes the hold: since when it is there, and whether its reason is another than before. Under another phase than
    /// `before` it is a new one.
    fn note_hold(&mut self, reason: Reason, detail: &str, before: Phase) -> (Timestamp, bool) {
        let known = self.rollout().and_then(|rollout| rollout.hold.clone());
        let same = known.filter(|hold| {
            before == self.phase()
                && (hold.reason == reason || counts_to_timeout(hold.reason) && counts_to_timeout(reason))
        });
        let news = same.as_ref().is_none_or(|hold| hold.reason != reason);
        let since = same.map_or(micro(self.now), |hold| hold.since);
        let hold = Some(Hold { detail: detail.to_owned(), reason, since: since.clone() });
        self.update(|rollout| RolloutStatus { hold, ..rollout });
        (since.0, news)
    }
}
