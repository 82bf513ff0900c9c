//! How rollouts end: promoted, aborted, rolled back; and what is in force then. Pure.

use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::{Hold, OnFailure, Phase, RolloutStatus};
use fleetmesh_model::route::WeightedTarget;

use super::clock::without_clock;
use super::history;
use super::round::Round;
use super::targets::{MAX_TARGETS, in_short, losing, same, with_zeros};
use super::time::micro;
use super::transition::{Trigger, transition};
use super::weights::between;
use crate::event::Severity;

/// How a rollout ended, and why.
pub(super) struct Ending {
    pub outcome: Phase,
    pub reason: Reason,
    pub message: String,
}

impl Round<'_> {
    /// Notes in the history that the rollout ended.
    pub fn end(&mut self, ending: &Ending) {
        if let Some(rollout) = self.state.rollout.clone() {
            let from = self.state.stable_targets.clone();
            history::add(&mut self.state.history, &from, &rollout, ending, self.now);
        }
    }

    /// The new targets are the stable ones; the old ones drain.
    pub fn promote(&mut self) {
        let Some(rollout) = self.state.rollout.clone() else { return };
        let losers = losing(&self.state.stable_targets, &rollout.targets);
        let trigger = if losers.is_empty() { Trigger::BakedWithoutDrain } else { Trigger::Baked };
        let Some((_, reason)) = transition(self.state.phase, trigger) else { return };
        let message = format!("{} is stable", in_short(&rollout.targets));
        let ending = Ending { outcome: Phase::Promoted, reason: Reason::Promoted, message: message.clone() };
        self.end(&ending);
        self.event(Severity::Normal, reason, "Promote", message);
        self.state.stable_targets.clone_from(&rollout.targets);
        self.state.rollout = None;
        self.state.webhooks.clear();
        self.drain(&losers, &rollout.targets, true);
        self.fire(trigger);
        self.refresh_effective();
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
        if transition(self.state.phase, Trigger::GivenUp).is_none() {
            return;
        }
        self.end(&Ending { outcome: Phase::Aborted, reason, message: message.clone() });
        self.update(|rollout| RolloutStatus {
            hold: None,
            set_weight: 0,
            told: None,
            ..without_clock(rollout)
        });
        let Some(aborted) = self.fire(Trigger::GivenUp) else { return };
        self.refresh_effective();
        self.event(Severity::Warning, aborted, "RollBack", format!("{reason}: {message}"));
    }

    /// The spec names the stable targets again: they get everything back in one push.
    pub fn roll_back(&mut self) {
        let Some(rollout) = self.state.rollout.clone() else { return };
        let Some((_, reason)) = transition(self.state.phase, Trigger::TargetsReverted) else { return };
        if self.rollout().is_some() {
            let message =
                format!("the spec names the stable targets again: {}", in_short(&self.spec.targets));
            self.event(Severity::Normal, reason, "RollBack", message.clone());
            self.end(&Ending { outcome: Phase::RolledBack, reason: Reason::TargetsReverted, message });
        }
        self.state.stable_targets.clone_from(&self.spec.targets);
        self.state.rollout = None;
        self.state.webhooks.clear();
        self.drain(&losing(&rollout.targets, &self.spec.targets), &self.spec.targets.clone(), false);
        self.fire(Trigger::TargetsReverted);
        self.refresh_effective();
    }

    /// The rollout waits for a person. It says so once.
    pub fn pause(&mut self, reason: Reason, detail: String) {
        let (now, paused) = (micro(self.now), self.phase() == Phase::Paused);
        let Some(rollout) = self.rollout() else { return };
        if paused && rollout.hold.as_ref().is_some_and(|hold| hold.reason == reason) {
            return;
        }
        let Some(told) = self.fire(Trigger::PersonNeeded) else { return };
        let hold = Some(Hold { detail: detail.clone(), reason, since: now });
        self.update(|rollout| RolloutStatus { hold, ..rollout });
        let severity = match reason {
            Reason::AwaitingPromotion | Reason::PausedByUser => Severity::Normal,
            _ => Severity::Warning,
        };
        self.event(severity, told, "Pause", format!("{reason}: {detail}"));
    }

    /// Computes what is to be in force: the weights of the rollout, and 0 for targets with requests in flight. When this
    /// changes anything, nobody has it yet.
    pub fn refresh_effective(&mut self) {
        let stable = &self.state.stable_targets;
        let percent = |weight: i32| u32::try_from(weight).unwrap_or(0);
        let base = self
            .state
            .rollout
            .as_ref()
            .map(|rollout| between(stable, &rollout.targets, percent(rollout.set_weight)))
            .filter(|all| all.len() <= MAX_TARGETS)
            .unwrap_or_else(|| stable.clone());
        let draining: Vec<WeightedTarget> = self
            .state
            .draining
            .iter()
            .filter(|drain| drain.drained_at.is_none())
            .map(|drain| WeightedTarget {
                port: drain.port,
                virtual_node: drain.virtual_node.clone(),
                weight: 0,
            })
            .collect();
        let mut effective = with_zeros(base, &draining);
        effective.truncate(MAX_TARGETS);
        if !same(&effective, &self.state.effective_targets) {
            self.state.effective_targets = effective;
            self.state.dataplane = None;
        }
    }
}
