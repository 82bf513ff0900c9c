//! How rollouts end: promoted, aborted or rolled back, and which targets are in force then. Pure.

use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::{Hold, OnFailure, Phase, RolloutStatus};

use super::clock::without_clock;
use super::history::Ending;
use super::reducer::Reducer;
use super::state::{in_effect, settled, with_draining, with_ending};
use super::targets::{in_short, losing};
use super::time::micro;
use super::transition::{CanaryTrigger, transition};
use crate::event::Severity;

impl Reducer<'_> {
    /// The new targets are the stable ones; the old ones drain.
    pub fn promote(&mut self) {
        let Some(rollout) = self.state.rollout.clone() else { return };
        let losers = losing(&self.state.stable_targets, &rollout.targets);
        let trigger = if losers.is_empty() { CanaryTrigger::BakedWithoutDrain } else { CanaryTrigger::Baked };
        let Some((_, reason)) = transition(self.state.phase, trigger) else { return };
        let message = format!("{} is stable", in_short(&rollout.targets));
        let ending = Ending { outcome: Phase::Promoted, reason: Reason::Promoted, message: message.clone() };
        let now = self.now;
        self.change(|state| with_ending(state, &ending, now));
        self.event(Severity::Normal, reason, "Promote", message);
        self.change(|state| settled(state, &rollout.targets));
        self.change(|state| with_draining(state, &losers, &rollout.targets, true, now));
        self.fire(trigger);
        self.change(in_effect);
    }

    /// The rollout failed: it is given up, or waits for a person, as the spec wants it.
    pub fn fail(&mut self, reason: Reason, message: String) {
        match self.canary.on_failure() {
            OnFailure::Rollback => self.abort(reason, message),
            OnFailure::Pause => self.pause(reason, message),
        }
    }

    /// Gives the rollout up: the stable targets get everything back in one push.
    pub fn abort(&mut self, reason: Reason, message: String) {
        if transition(self.state.phase, CanaryTrigger::GivenUp).is_none() {
            return;
        }
        let ending = Ending { outcome: Phase::Aborted, reason, message: message.clone() };
        let now = self.now;
        self.change(|state| with_ending(state, &ending, now));
        self.update(|rollout| RolloutStatus {
            hold: None,
            set_weight: 0,
            told: None,
            ..without_clock(rollout)
        });
        let Some(aborted) = self.fire(CanaryTrigger::GivenUp) else { return };
        self.change(in_effect);
        self.event(Severity::Warning, aborted, "RollBack", format!("{reason}: {message}"));
    }

    /// The spec names the stable targets again: they get everything back in one push.
    pub fn roll_back(&mut self) {
        let Some(rollout) = self.state.rollout.clone() else { return };
        let Some((_, reason)) = transition(self.state.phase, CanaryTrigger::TargetsReverted) else { return };
        let (stable, now) = (&self.spec.targets, self.now);
        if self.rollout().is_some() {
            let message =
                format!("the spec names the stable targets again: {}", in_short(&self.spec.targets));
            self.event(Severity::Normal, reason, "RollBack", message.clone());
            let ending = Ending { outcome: Phase::RolledBack, reason: Reason::TargetsReverted, message };
            self.change(|state| with_ending(state, &ending, now));
        }
        self.change(|state| settled(state, stable));
        self.change(|state| with_draining(state, &losing(&rollout.targets, stable), stable, false, now));
        self.fire(CanaryTrigger::TargetsReverted);
        self.change(in_effect);
    }

    /// The rollout waits for a person. It says so once.
    pub fn pause(&mut self, reason: Reason, detail: String) {
        let (now, paused) = (micro(self.now), self.phase() == Phase::Paused);
        let Some(rollout) = self.rollout() else { return };
        if paused && rollout.hold.as_ref().is_some_and(|hold| hold.reason == reason) {
            return;
        }
        let Some(shown) = self.fire(CanaryTrigger::PersonNeeded) else { return };
        let hold = Some(Hold { detail: detail.clone(), reason, since: now });
        self.update(|rollout| RolloutStatus { hold, ..rollout });
        let severity = match reason {
            Reason::AwaitingPromotion | Reason::PausedByUser => Severity::Normal,
            _ => Severity::Warning,
        };
        self.event(severity, shown, "Pause", format!("{reason}: {detail}"));
    }
}
