//! What people want of rollouts: their actions. Each action is decided once: the state remembers which were. Pure.

use fleetmesh_crds::canary::status::MAX_ACTIONS;
use fleetmesh_crds::canary::{ActionRecord, Phase, RolloutStatus};
use fleetmesh_crds::{ActionPhase, Reason, Verb};

use super::observations::Action;
use super::reducer::Reducer;
use super::reduction::ActionVerdict;
use super::time::micro;
use super::transition::CanaryTrigger;

/// Why an action is not carried out.
struct ActionRefusal(Reason, String);

impl Reducer<'_> {
    /// Carries out what may be. What was decided about before, and whose own status was not written any more, stays so.
    pub fn obey(&mut self) {
        for action in &self.seen.actions {
            let known = self.state.actions.iter().find(|record| record.uid == action.uid).cloned();
            let record = known.unwrap_or_else(|| self.decide(action));
            self.verdicts.push(ActionVerdict {
                name: record.name,
                uid: record.uid,
                phase: record.phase,
                reason: record.reason,
                message: record.message,
                at: record.at.0,
            });
        }
    }

    fn decide(&mut self, action: &Action) -> ActionRecord {
        let (phase, reason, message) = match self.carry_out(action) {
            Ok(message) => (ActionPhase::Applied, Reason::Applied, message),
            Err(ActionRefusal(reason, message)) => (ActionPhase::Refused, reason, message),
        };
        let record = ActionRecord {
            at: micro(self.now),
            message,
            name: action.name.clone(),
            phase,
            reason,
            uid: action.uid.clone(),
            verb: action.verb,
        };
        self.state.actions.insert(0, record.clone());
        self.state.actions.truncate(MAX_ACTIONS);
        record
    }

    fn carry_out(&mut self, action: &Action) -> Result<String, ActionRefusal> {
        self.check(action)?;
        let step = self.state.rollout.as_ref().map(|rollout| rollout.step.clone()).unwrap_or_default();
        match action.verb {
            Verb::Retry => {
                self.start(CanaryTrigger::Retried);
                let id = self.state.rollout.as_ref().map(|rollout| rollout.id.clone()).unwrap_or_default();
                Ok(format!("rollout {id} begins"))
            }
            Verb::Abort => {
                self.abort(Reason::AbortedByUser, format!("RouteAction {}", action.name));
                Ok("the stable targets get everything back".to_owned())
            }
            Verb::Pause => {
                self.pause(Reason::PausedByUser, format!("RouteAction {}; resume to go on", action.name));
                Ok(format!("step {step} is paused"))
            }
            Verb::Resume => {
                self.resume();
                Ok(format!("step {step} goes on, after a full window of the analysis"))
            }
            Verb::Promote | Verb::SkipStep | Verb::PromoteFull => {
                self.lift_pause();
                let last_progress_at = micro(self.now);
                self.update(|rollout| RolloutStatus { told: Some(action.verb), last_progress_at, ..rollout });
                Ok(match action.verb {
                    Verb::Promote => format!("the pause of step {step} is over"),
                    Verb::SkipStep => format!("step {step} is left as soon as every proxy has its weights"),
                    _ => "all steps are left as soon as every proxy has the weights".to_owned(),
                })
            }
        }
    }

    /// Whether the action is meant for the rollout and the step that there is, and the verb is for its phase.
    fn check(&self, action: &Action) -> Result<(), ActionRefusal> {
        let refuse = |reason, message: String| Err(ActionRefusal(reason, message));
        let Some(rollout) = &self.state.rollout else {
            return refuse(Reason::NoRollout, "the Route has no rollout".to_owned());
        };
        if rollout.id != action.rollout_id {
            let message = format!("the rollout is {} by now, not {}", rollout.id, action.rollout_id);
            return refuse(Reason::StaleRollout, message);
        }
        let aborted = self.phase() == Phase::Aborted;
        if aborted != (action.verb == Verb::Retry) {
            let message = match action.verb {
                Verb::Retry => "the rollout is under way: only an aborted one can be retried".to_owned(),
                _ => "the rollout was aborted: retry it, or change the targets".to_owned(),
            };
            return refuse(Reason::NotApplicable, message);
        }
        if let Some(step) = action.step_index
            && step != rollout.step_index
        {
            let message = format!("the rollout is in step {} by now, not {step}", rollout.step_index);
            return refuse(Reason::StaleStep, message);
        }
        let by_promotion = rollout.hold.as_ref().is_some_and(|hold| hold.reason == Reason::AwaitingPromotion);
        match action.verb {
            Verb::Resume if self.phase() != Phase::Paused => {
                refuse(Reason::NotApplicable, "the rollout is not paused".to_owned())
            }
            Verb::Resume if by_promotion => {
                let message = format!("step {} waits for somebody to promote it", rollout.step);
                refuse(Reason::NotApplicable, message)
            }
            Verb::Promote | Verb::SkipStep if action.step_index.is_none() => {
                refuse(Reason::StaleStep, "stepIndex is missing".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Nothing that was before counts: neither failures nor windows.
    fn resume(&mut self) {
        self.lift_pause();
        let now = micro(self.now);
        for status in &mut self.state.analysis {
            status.failed = 0;
        }
        self.update(|rollout| RolloutStatus { fresh_since: rollout.fresh_since.map(|_| now), ..rollout });
    }

    fn lift_pause(&mut self) {
        if self.phase() == Phase::Paused {
            self.unhold();
        }
    }
}
