//! The direction of a route: a rollout begins when the spec's targets are not the stable ones, is superseded when they change
//! again, and is rolled back when they are the stable ones again. Pure.

use fleetmesh_crds::canary::{Phase, RolloutStatus};
use fleetmesh_crds::{CanaryStatus, Reason};
use fleetmesh_model::route::WeightedTarget;

use super::clock::{StepClock, entered, with_clock};
use super::history::{self, Ending};
use super::observations::{Health, ReportingEndpoint};
use super::plan::{lasts, rollout_id};
use super::reducer::Reducer;
use super::state::{in_effect, taken_back, with_draining, with_ending};
use super::targets::{MAX_TARGETS, growing, in_short, losing, same, same_shares, with_zeros};
use super::time::micro;
use super::transition::CanaryTrigger;
use crate::event::Severity;

impl Reducer<'_> {
    /// Takes notice of the spec's targets and steps.
    pub fn take_course(&mut self) {
        if self.state.stable_targets.is_empty() && !self.adopt() {
            return;
        }
        if same_shares(&self.spec.targets, &self.state.stable_targets) {
            return self.rest_or_return();
        }
        match &self.state.rollout {
            Some(rollout) if same_shares(&rollout.targets, &self.spec.targets) => self.keep_course(),
            Some(_) => {
                self.supersede();
                self.start(CanaryTrigger::TargetsChanged);
            }
            None => self.start(CanaryTrigger::TargetsChanged),
        }
    }

    /// The first decision: what the endpoint has is stable, and a route that does not exist yet is made as the spec says.
    /// False when nothing is known yet.
    fn adopt(&mut self) -> bool {
        let stable = match &self.seen.endpoint {
            ReportingEndpoint::Unread => return false,
            ReportingEndpoint::Has { targets, .. } if targets.iter().any(|target| target.weight > 0) => {
                targets.clone()
            }
            ReportingEndpoint::Has { .. } | ReportingEndpoint::Absent => self.spec.targets.clone(),
        };
        self.state.stable_targets = stable;
        self.fire(CanaryTrigger::Adopted);
        self.change(in_effect);
        true
    }

    /// The spec's targets are the stable ones: nothing is to be rolled out, and what was goes back in one push.
    fn rest_or_return(&mut self) {
        let changed = !same(&self.spec.targets, &self.state.stable_targets);
        if self.state.rollout.is_some() {
            return self.roll_back();
        }
        if changed {
            // The same shares, written otherwise.
            self.state.stable_targets.clone_from(&self.spec.targets);
            self.change(in_effect);
        }
    }

    /// The same destination. A change of the steps goes on at the first one with a greater weight.
    fn keep_course(&mut self) {
        let (hash, targets, aborted) =
            (self.plan.hash(), self.spec.targets.clone(), self.phase() == Phase::Aborted);
        let Some(rollout) = self.state.rollout.as_mut() else { return };
        let rewritten = !same(&rollout.targets, &targets);
        rollout.targets = targets;
        if aborted {
            // It shows where it ended, and a retry follows the plan of its own time.
            if rewritten {
                self.change(in_effect);
            }
            return;
        }
        let planned = rollout.plan_hash == hash;
        rollout.plan_hash = hash;
        rollout.step_index = self.plan.index_of(rollout.set_weight);
        rollout.step = format!("{}/{}", rollout.step_index, self.plan.count());
        if !planned {
            if let Some(entered) = entered(rollout) {
                let lasts = self.plan.step_of(rollout.set_weight).map(lasts);
                let clock = StepClock::of(rollout).replanned(entered, lasts);
                *rollout = with_clock(rollout.clone(), entered, clock);
            }
            let (weight, step) = (rollout.set_weight, rollout.step.clone());
            let message =
                format!("the steps changed; the rollout goes on from {weight} percent, step {step}");
            self.event(Severity::Normal, Reason::PlanChanged, "Plan", message);
        }
        if rewritten {
            self.change(in_effect);
        }
    }

    /// Other targets take the place of the rollout, under way or aborted.
    fn supersede(&mut self) {
        let Some(rollout) = self.state.rollout.clone() else { return };
        let now = self.now;
        if self.rollout().is_some() {
            let message = format!("the spec names other targets: {}", in_short(&self.spec.targets));
            let ending = Ending { outcome: Phase::Superseded, reason: Reason::TargetsChanged, message };
            self.change(|state| with_ending(state, &ending, now));
        }
        let kept = with_zeros(self.state.stable_targets.clone(), &self.spec.targets);
        let losers = losing(&rollout.targets, &self.state.stable_targets);
        let losers: Vec<WeightedTarget> = losing(&losers, &self.spec.targets);
        self.change(|state| with_draining(state, &losers, &kept, false, now));
        self.state.rollout = None;
    }

    /// Begins a rollout from the stable targets to the spec's.
    pub fn start(&mut self, trigger: CanaryTrigger) {
        let Some(reason) = self.fire(trigger) else { return };
        let (from, to) = (self.state.stable_targets.clone(), self.spec.targets.clone());
        self.state.rollouts += 1;
        let skips_steps = self.comes_back(&to);
        let rollout = self.prepared(&from, &to, skips_steps);
        let id = rollout.id.clone();
        self.state.rollout = Some(rollout);
        self.state.analysis.clear();
        self.state.webhooks.clear();
        self.change(|state| taken_back(state, &to));
        let skipping = if skips_steps { ", without steps, because they are still warm" } else { "" };
        let message = format!("rollout {id} goes from {} to {}{skipping}", in_short(&from), in_short(&to));
        self.event(Severity::Normal, reason, "Roll", message);
        let all = with_zeros(from, &to).len();
        if all > MAX_TARGETS {
            let message = format!(
                "stable and new targets together are {all}, and App Mesh allows {MAX_TARGETS} in a route: remove some from spec, or go in two commits"
            );
            return self.abort(Reason::TooManyTargets, message);
        }
        self.change(in_effect);
    }

    /// The rollout before its first step.
    fn prepared(&self, from: &[WeightedTarget], to: &[WeightedTarget], skips_steps: bool) -> RolloutStatus {
        let now = micro(self.now);
        RolloutStatus {
            counted_until: None,
            fresh_since: None,
            hold: None,
            id: rollout_id(&self.spec.uid, self.state.rollouts, from, to),
            last_progress_at: now.clone(),
            next_step_not_before: None,
            plan_hash: self.plan.hash(),
            set_weight: 0,
            skips_steps,
            started_at: now,
            step: format!("0/{}", self.plan.count()),
            step_entered_at: None,
            step_index: 0,
            step_requests: 0,
            targets: to.to_vec(),
            told: None,
        }
    }

    /// Whether the targets were stable within the rollback window, and their nodes are still warm.
    fn comes_back(&self, targets: &[WeightedTarget]) -> bool {
        let window = history::revisions(&self.state.history, self.canary.rollback_revisions());
        window.iter().any(|former| same_shares(former, targets))
            && growing(&self.state.stable_targets, targets).iter().all(|target| {
                let node = self.seen.nodes.get(&target.virtual_node);
                let retired = self
                    .state
                    .draining
                    .iter()
                    .any(|drain| drain.virtual_node == target.virtual_node && drain.retired_at.is_some());
                !retired && node.is_some_and(|node| node.health == Health::Some && !node.deleting)
            })
    }
}

/// A route without `canary`: the spec's targets are in force, and nothing is remembered but what was.
pub(super) fn without_canary(state: &CanaryStatus, now: jiff::Timestamp) -> CanaryStatus {
    let mut after =
        CanaryStatus { history: state.history.clone(), rollouts: state.rollouts, ..CanaryStatus::default() };
    if let Some(rollout) = super::reducer::under_way(state) {
        let message = "canary was removed from the spec: its targets are in force at once";
        let ending =
            Ending { outcome: Phase::Superseded, reason: Reason::CanaryRemoved, message: message.to_owned() };
        history::add(&mut after.history, &state.stable_targets, rollout, &ending, now);
    }
    after
}
