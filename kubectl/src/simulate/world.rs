//! The world of a simulation: an endpoint and proxies that do at once what they are told, new targets that are healthy, and
//! metrics, webhooks and people as the trace has them. Pure: its clock goes from one time that matters to the next.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_core::canary::time::before;
use fleetmesh_core::canary::verdict::in_words;
use fleetmesh_core::canary::{
    Action, Answer, Effect, Endpoint, Observations, Outcome, Reduction, Reports, Sample, Spec, in_force,
    reduce, targets,
};
use fleetmesh_core::{Distribution, Load, Loads};
use fleetmesh_crds::canary::{Verdict, WebhookAnswer, WebhookType};
use fleetmesh_crds::{CanaryStatus, Phase, Verb};
use fleetmesh_model::route::WeightedTarget;
use jiff::{SignedDuration, Timestamp};

use super::timeline::{Entry, Timeline};
use super::trace::Trace;
use crate::action::word;

/// How old a number may be that a query gives; Prometheus looks back as long.
const LOOKBACK: SignedDuration = SignedDuration::from_mins(5);
/// The most decisions at one time: each takes at most one step, and there are at most 21.
const MAX_ROUNDS: usize = 100;

/// Runs the rollout from `stable` to the targets of `spec` over `trace`: to its end, or to the end of the trace.
pub fn simulate(spec: &Spec, stable: &[WeightedTarget], trace: &Trace) -> Timeline {
    let start = trace.rows.first().map_or(Timestamp::UNIX_EPOCH, |row| row.at);
    let mut world = World {
        spec,
        trace,
        start,
        now: start,
        state: CanaryStatus::default(),
        route: (stable.to_vec(), 1),
        samples: Vec::new(),
        answers: Vec::new(),
        entries: Vec::new(),
    };
    let mut next = Some(start);
    while let Some(time) = next {
        world.now = time;
        let look = world.settle();
        let row = trace.until(time).last().filter(|row| row.at == time);
        let look = match row.and_then(|row| row.action) {
            Some(verb) => world.tell(verb),
            None => look,
        };
        next = world.next(look);
    }
    world.end()
}

struct World<'a> {
    spec: &'a Spec,
    trace: &'a Trace,
    start: Timestamp,
    now: Timestamp,
    state: CanaryStatus,
    /// The route at the endpoint, and its version.
    route: (Vec<WeightedTarget>, i64),
    samples: Vec<Sample>,
    answers: Vec<Answer>,
    entries: Vec<Entry>,
}

impl World<'_> {
    /// Decides until nothing changes any more at this time; when to look again.
    fn settle(&mut self) -> Option<Timestamp> {
        for _ in 0..MAX_ROUNDS {
            let heard = (self.samples.clone(), self.answers.clone());
            let (state, version) = (self.state.clone(), self.route.1);
            let look = self.round(Vec::new());
            if state == self.state
                && version == self.route.1
                && heard == (self.samples.clone(), self.answers.clone())
            {
                return look;
            }
        }
        None
    }

    /// Somebody tells the rollout what to do, if there is one.
    fn tell(&mut self, verb: Verb) -> Option<Timestamp> {
        let Some(rollout) = &self.state.rollout else {
            self.note(word(verb), "there is no rollout to tell".to_owned());
            return None;
        };
        let action = Action {
            name: format!("{}-{}", word(verb), self.elapsed().as_secs()),
            uid: self.now.to_string(),
            verb,
            rollout_id: rollout.id.clone(),
            step_index: Some(rollout.step_index),
        };
        self.round(vec![action]);
        self.settle()
    }

    /// One decision and what follows from it.
    fn round(&mut self, actions: Vec<Action>) -> Option<Timestamp> {
        let verbs: Vec<Verb> = actions.iter().map(|action| action.verb).collect();
        let reduction = reduce(self.spec, &self.state, &self.observe(actions), self.now);
        for (verb, verdict) in verbs.into_iter().zip(&reduction.verdicts) {
            self.note(word(verb), format!("{}: {}", verdict.reason, verdict.message));
        }
        self.note_verdicts(&reduction);
        for effect in &reduction.effects {
            self.carry_out(effect);
        }
        self.state = reduction.state;
        if let Some(wanted) = in_force(self.spec, &self.state)
            && !targets::same(wanted, &self.route.0)
        {
            self.route = (wanted.to_vec(), self.route.1 + 1);
        }
        reduction.look
    }

    fn observe(&self, actions: Vec<Action>) -> Observations {
        let (targets, version) = self.route.clone();
        let distribution = Distribution::Told {
            version,
            proxies: 1,
            acknowledged: 1,
            rejected: Vec::new(),
            connected: BTreeMap::new(),
            unserved: Vec::new(),
        };
        Observations {
            since: self.start,
            endpoint: Endpoint::Has { targets, version, distribution },
            nodes: BTreeMap::new(),
            loads: self.loads(),
            samples: self.samples.clone(),
            answers: self.answers.clone(),
            actions,
        }
    }

    /// What the proxies report of the window that ends now. The trace does not tell the new targets apart.
    fn loads(&self) -> Reports {
        let window = self.interval();
        let from = before(self.now, window);
        let mut load = Load::default();
        let reported = self.trace.until(self.now).iter().rev().take_while(|row| row.at > from);
        for (requests, errors) in reported.filter_map(|row| row.load) {
            load.issued = load.issued.saturating_add(requests);
            load.succeeded = load.succeeded.saturating_add(requests.saturating_sub(errors));
            load.failed = load.failed.saturating_add(errors);
            load.reports += 1;
        }
        let new = targets::growing(&self.state.stable_targets, &self.spec.targets);
        let targets = new.first().map(|target| (target.virtual_node.clone(), load)).into_iter().collect();
        Reports::Told { at: self.now, loads: Loads { window, observed: window, targets } }
    }

    fn interval(&self) -> Duration {
        self.spec.canary.clone().unwrap_or_default().effective_analysis().interval()
    }

    fn carry_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Event(event) => self.note(&event.reason, event.message.clone()),
            Effect::Ask(call) => {
                let answer = self.answer(&call.webhook, call.type_);
                self.answers.retain(|known| known.webhook != call.webhook);
                self.answers.push(Answer {
                    webhook: call.webhook.clone(),
                    rollout_id: call.rollout_id.clone(),
                    step_index: call.step_index,
                    at: self.now,
                    answer,
                    detail: None,
                });
            }
            Effect::Query { metric, .. } => {
                let outcome = self.outcome(metric);
                self.samples.retain(|known| known.metric != *metric);
                self.samples.push(Sample { metric: metric.clone(), at: self.now, outcome });
            }
            // What follows the rollout is not simulated.
            Effect::Notify { .. }
            | Effect::Deprecate { .. }
            | Effect::ScaleToZero { .. }
            | Effect::Delete { .. } => {}
        }
    }

    /// What the webhook answered last. One that nothing is told of does what lets the rollout go on.
    fn answer(&self, webhook: &str, type_: WebhookType) -> WebhookAnswer {
        let told = self.trace.until(self.now).iter().rev().find_map(|row| row.webhooks.get(webhook)).copied();
        told.unwrap_or(if type_ == WebhookType::Rollback {
            WebhookAnswer::NotYet
        } else {
            WebhookAnswer::Confirmed
        })
    }

    /// What the newest row tells of the metric.
    fn outcome(&self, metric: &str) -> Outcome {
        let newest = self.trace.until(self.now).last();
        let current = newest.filter(|row| self.now.duration_since(row.at) <= LOOKBACK);
        current.and_then(|row| row.metrics.get(metric)).cloned().unwrap_or(Outcome::NoData)
    }

    /// Notes each metric whose verdict is another one than before.
    fn note_verdicts(&mut self, reduction: &Reduction) {
        let metrics = self.spec.canary.clone().unwrap_or_default().effective_analysis().effective_metrics();
        for metric in metrics {
            let verdict = |state: &CanaryStatus| -> Option<Verdict> {
                state.analysis.iter().find(|status| status.name == metric.name).map(|status| status.verdict)
            };
            let Some(now) = reduction.state.analysis.iter().find(|status| status.name == metric.name) else {
                continue;
            };
            if verdict(&self.state) != Some(now.verdict) {
                self.note(&format!("{:?}", now.verdict), in_words(&metric, now));
            }
        }
    }

    fn note(&mut self, reason: &str, message: String) {
        self.entries.push(Entry { after: self.elapsed(), reason: reason.to_owned(), message });
    }

    fn elapsed(&self) -> Duration {
        Duration::try_from(self.now.duration_since(self.start)).unwrap_or_default()
    }

    /// The next time that matters; `None` when the rollout, or the trace, is over.
    fn next(&self, look: Option<Timestamp>) -> Option<Timestamp> {
        let to_come = self.trace.rows.get(self.trace.until(self.now).len()..)?;
        if self.is_over() && to_come.iter().all(|row| row.action.is_none()) {
            return None;
        }
        let row = to_come.first()?.at;
        Some(look.filter(|look| *look > self.now).map_or(row, |look| look.min(row)))
    }

    fn is_over(&self) -> bool {
        self.state.rollout.is_none() || self.state.phase == Some(Phase::Aborted)
    }

    fn end(self) -> Timeline {
        let (over, after) = (self.is_over(), self.elapsed());
        let ended = self.state.history.first().filter(|_| over);
        let (outcome, message) = match (ended, &self.state.rollout) {
            (Some(ended), _) => (ended.outcome, format!("{}: {}", ended.reason, ended.message)),
            (None, Some(rollout)) => {
                let hold = rollout.hold.as_ref().map(|hold| format!("; {}: {}", hold.reason, hold.detail));
                let words = format!("the trace ended in step {}{}", rollout.step, hold.unwrap_or_default());
                (self.state.phase.unwrap_or_default(), words)
            }
            (None, None) => (self.state.phase.unwrap_or_default(), "there was no rollout".to_owned()),
        };
        let weights = targets::in_short(&self.state.effective_targets);
        Timeline { outcome, message, after, weights, entries: self.entries }
    }
}
