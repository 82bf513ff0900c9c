//! The rollout in progress: it enters a step when every proxy has the step's weights, and leaves it when no check fails. At most
//! one step is taken per decision. Pure.

use fleetmesh_crds::Reason;
use fleetmesh_crds::Verb;
use fleetmesh_crds::canary::{Phase, RolloutStatus, Step, WebhookType};
use fleetmesh_model::route::WeightedTarget;
use jiff::Timestamp;

use super::analysis::{Consequence, MetricStanding};
use super::clock::{StepClock, with_clock, without_clock};
use super::hold::Blocked;
use super::observations::Health;
use super::plan::{Lasts, lasts};
use super::reducer::Reducer;
use super::state::in_effect;
use super::targets::{growing, in_short};
use super::time::{in_words, micro};
use super::transition::{CanaryTrigger, bakes, transition};
use crate::event::Severity;

impl Reducer<'_> {
    /// Takes the rollout as far as it may go now.
    pub fn advance(&mut self) {
        if self.rollout().is_none() {
            return;
        }
        let unsettled = self.unsettled();
        if unsettled.is_none() {
            self.enter();
        }
        self.hear();
        if !self.is_ordered(Verb::PromoteFull) && self.judge() {
            return;
        }
        let stays_paused = self.phase() == Phase::Paused
            && self.rollout().and_then(|rollout| rollout.hold.as_ref()).is_some_and(|hold| {
                // This one is of the plan, which may have changed.
                hold.reason != Reason::AwaitingPromotion
            });
        if stays_paused {
            return;
        }
        let unsettled = unsettled.map(|(reason, detail)| Blocked::Briefly(reason, detail));
        match self.blocked(unsettled) {
            Some(blocked) => self.stay(blocked),
            None => {
                self.unhold();
                self.take_step();
            }
        }
    }

    /// The analysis and who else may end the rollout; true when it did, or paused it.
    fn judge(&mut self) -> bool {
        match self.analyse() {
            Some(Consequence::Abort(reason, message)) => {
                self.abort(reason, message);
                return true;
            }
            Some(Consequence::Fail(reason, message)) => {
                self.fail(reason, message);
                return true;
            }
            Some(Consequence::Pause(reason, message)) => {
                self.pause(reason, message);
                return true;
            }
            None => {}
        }
        if let Some(message) = self.rollback_requested() {
            self.abort(Reason::RollbackRequested, message);
            return true;
        }
        false
    }

    /// Every connected proxy has the weights: the step's clock starts.
    fn enter(&mut self) {
        let now = self.now;
        let step = self.rollout().and_then(|rollout| self.plan.step_of(rollout.set_weight)).copied();
        if self.rollout().is_none_or(|rollout| StepClock::of(rollout) != StepClock::NotEntered) {
            return;
        }
        let clock = StepClock::started(now, step.as_ref().map(lasts));
        self.update(|rollout| RolloutStatus {
            last_progress_at: micro(now),
            ..with_clock(rollout, now, clock)
        });
        // A rollout that is held or paused bakes when it goes on.
        if self.phase() == Phase::Progressing && self.rollout().is_some_and(bakes) {
            self.fire(CanaryTrigger::FullWeight);
        }
    }

    fn is_ordered(&self, verb: Verb) -> bool {
        self.rollout().is_some_and(|rollout| rollout.told == Some(verb))
    }

    /// Why the step cannot be left. `unsettled` comes last in a step whose clock runs: proxies that come and go then
    /// neither hide nor restart what else it waits for.
    fn blocked(&mut self, unsettled: Option<Blocked>) -> Option<Blocked> {
        let rollout = self.rollout()?;
        let (preparing, last) = (rollout.set_weight == 0, rollout.set_weight == 100);
        let ordered = self.is_ordered(Verb::PromoteFull) || self.is_ordered(Verb::SkipStep);
        if StepClock::of(rollout) == StepClock::NotEntered || preparing || ordered {
            if unsettled.is_some() {
                return unsettled;
            }
            if preparing && let Some(blocked) = self.not_ready() {
                return Some(blocked);
            }
        }
        if ordered {
            return None;
        }
        if preparing {
            return self
                .confirm(WebhookType::ConfirmRollout)
                .or_else(|| self.confirm(WebhookType::ConfirmTrafficIncrease));
        }
        let asked = if last { WebhookType::ConfirmPromotion } else { WebhookType::ConfirmTrafficIncrease };
        self.awaits_promotion()
            .or_else(|| self.unjudged())
            .or_else(|| self.too_early())
            .or_else(|| self.not_fresh())
            .or_else(|| self.too_few_requests())
            .or_else(|| self.confirm(asked))
            .or(unsettled)
    }

    /// A new target that is known to have no healthy endpoint. What is unknown is no obstacle.
    fn not_ready(&self) -> Option<Blocked> {
        let rollout = self.rollout()?;
        let down = |target: &&WeightedTarget| {
            let node = self.seen.nodes.get(&target.virtual_node);
            node.is_some_and(|node| node.health == Health::None)
        };
        let new = growing(&self.state.stable_targets, &rollout.targets);
        let down: Vec<&str> = new.iter().filter(down).map(|target| target.virtual_node.as_str()).collect();
        (!down.is_empty()).then(|| {
            let detail = format!("no healthy endpoint of {} is connected yet", down.join(", "));
            Blocked::Briefly(Reason::NodeNotReady, detail)
        })
    }

    fn awaits_promotion(&self) -> Option<Blocked> {
        let rollout = self.rollout()?;
        let waits = StepClock::of(rollout) == StepClock::UntilPromoted;
        (waits && rollout.told.is_none()).then(|| {
            let detail = format!("step {} waits until somebody promotes", rollout.step);
            Blocked::Paused(Reason::AwaitingPromotion, detail)
        })
    }

    fn unjudged(&self) -> Option<Blocked> {
        match self.standing() {
            MetricStanding::Held(reason, words) => Some(Blocked::Held(reason, words)),
            MetricStanding::Failing(words) => Some(Blocked::Briefly(Reason::AnalysisFailing, words)),
            MetricStanding::Passed | MetricStanding::Awaited(_) => None,
        }
    }

    fn too_early(&self) -> Option<Blocked> {
        let rollout = self.rollout()?;
        let time = StepClock::of(rollout).until()?;
        (time > self.now && rollout.told.is_none()).then_some(Blocked::Until(time))
    }

    fn not_fresh(&mut self) -> Option<Blocked> {
        let MetricStanding::Awaited(words) = self.standing() else { return None };
        if let Some(fresh) = self.fresh_at() {
            self.look(fresh);
        }
        Some(Blocked::Briefly(Reason::AwaitingFreshWindow, words))
    }

    fn too_few_requests(&self) -> Option<Blocked> {
        let rollout = self.rollout()?;
        let wanted = self.plan.step_of(rollout.set_weight)?.min_requests?;
        (rollout.step_requests < wanted).then(|| {
            let detail =
                format!("{} of {wanted} requests to the new targets were counted", rollout.step_requests);
            Blocked::Held(Reason::TooFewRequests, detail)
        })
    }

    /// The next weights, or the end.
    fn take_step(&mut self) {
        let (last, full) = (self.plan.count(), self.is_ordered(Verb::PromoteFull));
        let Some(rollout) = self.rollout() else { return };
        if rollout.set_weight == 100 {
            return self.promote();
        }
        let jumps = full || rollout.skips_steps;
        let index = if jumps { last } else { rollout.step_index + 1 };
        let Some(step) = self.plan.step(index).copied() else { return };
        let Some((_, reason)) = transition(self.state.phase, CanaryTrigger::StepTaken) else { return };
        let now = self.now;
        self.update(|rollout| in_step(rollout, &step, index, last, now));
        self.state.webhooks.clear();
        self.change(in_effect);
        let lasts = match lasts(&step) {
            Lasts::For(length) => format!("for {}", in_words(length)),
            Lasts::UntilPromoted => "until somebody promotes".to_owned(),
        };
        let weights = in_short(&self.state.effective_targets);
        let message = format!("step {index}/{last}: {} percent, {weights}, {lasts}", step.set_weight);
        self.event(Severity::Normal, reason, "Step", message);
        self.fire(CanaryTrigger::StepTaken);
    }
}

/// The rollout at the beginning of step `index` of `last`. Only an action that is meant for all steps stays in force.
fn in_step(rollout: RolloutStatus, step: &Step, index: i32, last: i32, now: Timestamp) -> RolloutStatus {
    let fresh = (rollout.set_weight == 0).then(|| micro(now));
    RolloutStatus {
        counted_until: None,
        fresh_since: fresh.or(rollout.fresh_since.clone()),
        last_progress_at: micro(now),
        set_weight: step.set_weight,
        step: format!("{index}/{last}"),
        step_index: index,
        step_requests: 0,
        told: rollout.told.filter(|verb| *verb == Verb::PromoteFull),
        ..without_clock(rollout)
    }
}
