//! Webhooks: which ones must agree before a rollout continues, and which may request its rollback. Pure.

use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::{WebhookAnswer, WebhookStatus, WebhookType};
use jiff::Timestamp;

use super::hold::Blocked;
use super::reducer::Reducer;
use super::reduction::{CanaryEffect, WebhookCall};
use super::time::{after, micro};

impl Reducer<'_> {
    /// Notes the answers that came about the step in force.
    pub fn hear(&mut self) {
        let Some((id, step)) = self.rollout().map(|rollout| (rollout.id.clone(), rollout.step_index)) else {
            return;
        };
        for answer in &self.seen.answers {
            let about = answer.rollout_id == id && answer.step_index == step;
            let asked = self.canary.webhooks.iter().any(|hook| hook.effective_name() == answer.webhook);
            let news = self.heard(&answer.webhook, step).is_none_or(|known| known.at.0 < answer.at);
            if !(about && asked && news) {
                continue;
            }
            let status = WebhookStatus {
                answer: answer.answer,
                at: micro(answer.at.min(self.now)),
                detail: answer.detail.clone(),
                name: answer.webhook.clone(),
                step_index: step,
            };
            self.state.webhooks.retain(|known| known.name != answer.webhook);
            self.state.webhooks.push(status);
            self.state.webhooks.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    fn heard(&self, webhook: &str, step: i32) -> Option<&WebhookStatus> {
        self.state.webhooks.iter().find(|known| known.name == webhook && known.step_index == step)
    }

    /// Asks the webhooks of a type that have not agreed in this step; why the rollout must wait for one.
    pub fn confirm(&mut self, type_: WebhookType) -> Option<Blocked> {
        let mut blocked = None;
        for call in self.calls(type_) {
            let known = self.heard(&call.webhook, call.step_index).cloned();
            if known.as_ref().is_some_and(|known| known.answer == WebhookAnswer::Confirmed) {
                continue;
            }
            let name = call.webhook.clone();
            self.ask(call, known.as_ref().map(|known| known.at.0));
            blocked.get_or_insert_with(|| waits_for(&name, known.as_ref()));
        }
        blocked
    }

    /// Asks whether the rollout should be rolled back: who says so, and why.
    pub fn rollback_requested(&mut self) -> Option<String> {
        let mut requested = None;
        for call in self.calls(WebhookType::Rollback) {
            let known = self.heard(&call.webhook, call.step_index).cloned();
            if let Some(known) = known.as_ref().filter(|known| known.answer == WebhookAnswer::Confirmed) {
                let words = known.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                requested = Some(format!("the webhook {} asks for it{words}", known.name));
            }
            self.ask(call, known.map(|known| known.at.0));
        }
        requested
    }

    /// Asks, at most once per interval.
    fn ask(&mut self, call: WebhookCall, last: Option<Timestamp>) {
        let due = last.map_or(self.now, |last| after(last, self.analysis.interval()));
        if due <= self.now {
            self.effects.push(CanaryEffect::Ask(call));
        } else {
            self.look(due);
        }
    }
}

fn waits_for(name: &str, known: Option<&WebhookStatus>) -> Blocked {
    let words = known.and_then(|known| known.detail.as_ref()).map(|detail| format!(": {detail}"));
    let words = words.unwrap_or_default();
    match known.map(|known| known.answer) {
        None => Blocked::Asked(Reason::ConfirmationPending, format!("the webhook {name} is being asked")),
        Some(WebhookAnswer::NotYet | WebhookAnswer::Confirmed) => Blocked::Asked(
            Reason::ConfirmationPending,
            format!("the webhook {name} has not agreed yet{words}"),
        ),
        Some(WebhookAnswer::Refused) => {
            Blocked::Asked(Reason::ConfirmationRefused, format!("the webhook {name} does not agree{words}"))
        }
        Some(WebhookAnswer::Error) => {
            Blocked::Held(Reason::WebhookFailed, format!("the webhook {name} could not be asked{words}"))
        }
    }
}
