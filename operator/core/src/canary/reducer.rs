//! A decision in progress: its inputs, and its results so far. Pure.

use fleetmesh_crds::canary::{Analysis, Phase, RolloutStatus, WebhookType};
use fleetmesh_crds::{Canary, CanaryStatus, Reason};
use jiff::Timestamp;

use super::observations::Observations;
use super::plan::CanaryPlan;
use super::reduction::{ActionVerdict, CanaryEffect, Destination, WebhookCall};
use super::spec::Spec;
use super::transition::{CanaryTrigger, mending, phase_of_route, transition};
use crate::event::{Event, Severity};

/// A decision in the making.
pub(super) struct Reducer<'a> {
    pub spec: &'a Spec,
    pub canary: &'a Canary,
    pub analysis: Analysis,
    pub plan: CanaryPlan,
    pub seen: &'a Observations,
    pub now: Timestamp,
    pub state: CanaryStatus,
    pub effects: Vec<CanaryEffect>,
    pub verdicts: Vec<ActionVerdict>,
    pub looks: Vec<Timestamp>,
    pub triggers: Vec<CanaryTrigger>,
}

impl<'a> Reducer<'a> {
    pub fn new(
        spec: &'a Spec,
        canary: &'a Canary,
        state: &CanaryStatus,
        seen: &'a Observations,
        now: Timestamp,
    ) -> Self {
        let mut reducer = Self {
            spec,
            canary,
            analysis: canary.effective_analysis(),
            plan: CanaryPlan::of(canary),
            seen,
            now,
            state: CanaryStatus { phase: phase_of_route(state.phase), ..state.clone() },
            effects: Vec::new(),
            verdicts: Vec::new(),
            looks: Vec::new(),
            triggers: Vec::new(),
        };
        for trigger in mending(&reducer.state) {
            reducer.fire(trigger);
        }
        reducer
    }

    /// The phase; `Stable` before there was one.
    pub fn phase(&self) -> Phase {
        self.state.phase.unwrap_or_default()
    }

    /// Moves the route as the table says, and returns the reason to report; `None`, and nothing moves, when the trigger leads
    /// nowhere from its phase. This is the only place that sets a phase.
    pub fn fire(&mut self, trigger: CanaryTrigger) -> Option<Reason> {
        let (to, reason) = transition(self.state.phase, trigger)?;
        self.state.phase = Some(to);
        self.triggers.push(trigger);
        Some(reason)
    }

    /// The rollout under way; an aborted one is not.
    pub fn rollout(&self) -> Option<&RolloutStatus> {
        under_way(&self.state)
    }

    /// Puts another state in the place of this one.
    pub fn change(&mut self, next: impl FnOnce(CanaryStatus) -> CanaryStatus) {
        self.state = next(std::mem::take(&mut self.state));
    }

    /// Puts another state of the rollout under way in its place; nothing when there is none.
    pub fn update(&mut self, change: impl FnOnce(RolloutStatus) -> RolloutStatus) {
        if self.phase() != Phase::Aborted {
            self.state.rollout = self.state.rollout.take().map(change);
        }
    }

    /// Another decision is due at `time`, if that is still to come.
    pub fn look(&mut self, time: Timestamp) {
        if time > self.now {
            self.looks.push(time);
        }
    }

    /// Something that people should hear of.
    pub fn event(
        &mut self,
        severity: Severity,
        reason: Reason,
        action: &'static str,
        message: impl Into<String>,
    ) {
        let event = Event { severity, reason: reason.as_str().to_owned(), action, message: message.into() };
        self.effects.push(CanaryEffect::Event(event.clone()));
        let notify: Vec<CanaryEffect> = self
            .calls(WebhookType::Event)
            .into_iter()
            .map(|call| CanaryEffect::Notify { call, event: event.clone() })
            .collect();
        self.effects.extend(notify);
    }

    /// The calls of all webhooks of a type, as of now.
    pub fn calls(&self, type_: WebhookType) -> Vec<WebhookCall> {
        let rollout = self.state.rollout.as_ref();
        let of_type = self.canary.webhooks.iter().filter(|webhook| webhook.type_ == type_);
        of_type
            .map(|webhook| WebhookCall {
                webhook: webhook.effective_name().to_owned(),
                type_,
                at: Destination::of(webhook.provider.as_ref(), webhook.path.as_ref(), webhook.url.as_ref()),
                timeout: webhook.timeout(),
                rollout_id: rollout.map(|rollout| rollout.id.clone()).unwrap_or_default(),
                step_index: rollout.map_or(0, |rollout| rollout.step_index),
                set_weight: rollout.map_or(0, |rollout| rollout.set_weight),
                phase: self.phase(),
            })
            .collect()
    }
}

/// The rollout of `state` that is under way; an aborted one is not.
pub(super) fn under_way(state: &CanaryStatus) -> Option<&RolloutStatus> {
    state.rollout.as_ref().filter(|_| state.phase != Some(Phase::Aborted))
}
