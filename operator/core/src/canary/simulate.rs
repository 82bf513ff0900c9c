//! Simulates a rollout: the same reducer, over a trace of the new targets' metrics. For people who write a canary, and for CI. Pure.
//!
//! The world of a simulation is ideal: every proxy has the weights as soon as they are decided, every node is healthy, and unless
//! the trace says otherwise nobody acts and webhooks agree at once. Only the numbers come from the trace. Decisions are made when
//! they are due, from the beginning of the trace to its end.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_api::loads::Load;
use fleetmesh_crds::canary::{MetricSource, Phase, WebhookAnswer, WebhookType};
use fleetmesh_crds::{CanaryStatus, Reason, Verb};
use fleetmesh_model::route::WeightedTarget;
use jiff::Timestamp;

use super::observations::{
    Action, AskOutcome, Health, Node, Observations, Owners, ProxyReports, ReportingEndpoint, Sample,
    WebhookReply,
};
use super::reduce::{nodes_of_interest, reduce};
use super::reducer::under_way;
use super::reduction::{CanaryEffect, Reduction};
use super::spec::Spec;
use super::targets::{growing, in_short, serving_nodes};
use super::time::{after, before};
use super::verdict::in_words;
use crate::load::Loads;
use crate::observed::Distribution;

/// What the metrics of the new targets were, in the order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The rows; each holds until the next one.
    pub rows: Vec<SimulatedRow>,
}

/// A moment of a trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulatedRow {
    /// The time since the trace began.
    pub at: Duration,
    /// The requests to the new targets that ended between the row before and this one; `None` when no report came.
    pub requests: Option<Requests>,
    /// What queries gave, by the metric's name; one that is not there gave no number.
    pub metrics: BTreeMap<String, AskOutcome>,
    /// What webhooks answer from now on, by their names in effect.
    pub webhooks: BTreeMap<String, WebhookAnswer>,
    /// An action that somebody sends now, meant for the step in force.
    pub action: Option<Verb>,
}

/// Requests that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Without an error.
    pub succeeded: u64,
    /// With an error.
    pub failed: u64,
}

/// What a rollout did.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    /// What happened, in the order of time.
    pub entries: Vec<StepEntry>,
    /// Where the route is when the trace ends.
    pub phase: Phase,
    /// What is in force then.
    pub weights: Vec<WeightedTarget>,
    /// How and why the rollout ended, if none is under way.
    pub ended: Option<(Phase, Reason, String)>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepEntry {
    /// The time since the trace began.
    pub at: Duration,
    /// What: the Event's reason, `Verdict`, or `Action`.
    pub what: String,
    /// In words.
    pub message: String,
}

/// Runs the rollout from `stable` to the spec's targets over a trace that begins at `start`. A spec without `canary` has an
/// empty timeline.
pub fn simulate(spec: &Spec, stable: &[WeightedTarget], trace: &Trace, start: Timestamp) -> Timeline {
    let mut simulation = Simulation {
        spec,
        trace,
        start,
        now: start,
        state: CanaryStatus::default(),
        has: stable.to_vec(),
        version: 1,
        samples: Vec::new(),
        answers: Vec::new(),
        entries: Vec::new(),
    };
    let end = trace.rows.last().map_or(start, |row| after(start, row.at));
    loop {
        let mut look = simulation.decide();
        if simulation.act() {
            look = simulation.decide();
        }
        let next = simulation.next_row().into_iter().chain(look).min();
        match next.filter(|next| *next <= end) {
            Some(next) => simulation.now = next,
            None => return simulation.timeline(),
        }
    }
}

/// The kind simulation.
struct Simulation<'a> {
    spec: &'a Spec,
    trace: &'a Trace,
    start: Timestamp,
    now: Timestamp,
    state: CanaryStatus,
    has: Vec<WeightedTarget>,
    version: i64,
    samples: Vec<Sample>,
    answers: Vec<WebhookReply>,
    entries: Vec<StepEntry>,
}

/// A decision leads to others at once, as long as the mesh or an answer changes; more than this would be a mistake.
const MOST_AT_ONCE: usize = 1000;

impl<'a> Simulation<'a> {
    /// Decides until nothing follows at once: when to decide again.
    fn decide(&mut self) -> Option<Timestamp> {
        for _ in 0..MOST_AT_ONCE {
            let reduction = reduce(self.spec, &self.state, &self.observe(Vec::new()), self.now);
            let look = reduction.look;
            if !self.follow(reduction) {
                return look;
            }
        }
        None
    }

    /// Sends the action of the row that begins now; false when it has none.
    fn act(&mut self) -> bool {
        let begins = |row: &&SimulatedRow| after(self.start, row.at) == self.now;
        let Some(verb) = self.row().filter(begins).and_then(|row| row.action) else { return false };
        let Some(rollout) = &self.state.rollout else {
            self.enter("Action", format!("{}: there is no rollout", verb.as_str()));
            return false;
        };
        let action = Action {
            name: format!("at-{}", self.elapsed().as_secs()),
            uid: self.now.to_string(),
            verb,
            rollout_id: rollout.id.clone(),
            step_index: Some(rollout.step_index),
        };
        let reduction = reduce(self.spec, &self.state, &self.observe(vec![action]), self.now);
        for verdict in &reduction.verdicts {
            let words = format!("{}: {}: {}", verb.as_str(), verdict.reason, verdict.message);
            self.enter("Action", words);
        }
        self.follow(reduction);
        true
    }

    /// Takes the decision for granted; whether anything changed that another decision would see.
    fn follow(&mut self, reduction: Reduction) -> bool {
        self.note(&reduction);
        let Reduction { state, effects, .. } = reduction;
        let changed = state != self.state;
        self.state = state;
        let asked = effects.iter().filter(|effect| self.answer(effect)).count() > 0;
        let wanted = self.spec.in_force(&self.state).map(<[_]>::to_vec);
        let wanted = wanted.filter(|wanted| *wanted != self.has);
        let written = wanted.is_some();
        if let Some(wanted) = wanted {
            self.has = wanted;
            self.version += 1;
        }
        changed || asked || written
    }

    /// Answers what is asked; false when it is not a question.
    fn answer(&mut self, effect: &CanaryEffect) -> bool {
        match effect {
            CanaryEffect::Query { metric, .. } => {
                let outcome = self.row().and_then(|row| row.metrics.get(metric)).cloned();
                let outcome = outcome.unwrap_or(AskOutcome::NoData);
                self.samples.retain(|sample| sample.metric != *metric);
                self.samples.push(Sample { metric: metric.clone(), at: self.now, outcome });
                true
            }
            CanaryEffect::Ask(call) => {
                // To a rollback webhook, to agree is to ask for it.
                let kind = match call.type_ {
                    WebhookType::Rollback => WebhookAnswer::Refused,
                    _ => WebhookAnswer::Confirmed,
                };
                let given = self.passed().iter().rev().find_map(|row| row.webhooks.get(&call.webhook));
                self.answers.retain(|answer| answer.webhook != call.webhook);
                self.answers.push(WebhookReply {
                    webhook: call.webhook.clone(),
                    rollout_id: call.rollout_id.clone(),
                    step_index: call.step_index,
                    at: self.now,
                    answer: given.copied().unwrap_or(kind),
                    detail: None,
                });
                true
            }
            _ => false,
        }
    }

    fn observe(&self, actions: Vec<Action>) -> Observations {
        let names = nodes_of_interest(self.spec, &self.state);
        let node = Node { health: Health::Some, deprecated: true, ..Node::default() };
        Observations {
            since: self.start,
            endpoint: ReportingEndpoint::Has {
                targets: self.has.clone(),
                version: self.version,
                distribution: Distribution::Reported(ObjectStatus {
                    version: self.version,
                    proxies: 1,
                    acknowledged: 1,
                    ..ObjectStatus::default()
                }),
            },
            nodes: names.into_iter().map(|name| (name, node)).collect(),
            loads: self.loads(),
            owners: Owners::default(),
            samples: self.samples.clone(),
            answers: self.answers.clone(),
            actions,
        }
    }

    /// The rows up to now.
    fn passed(&self) -> &'a [SimulatedRow] {
        let rows = &self.trace.rows;
        rows.get(..rows.partition_point(|row| after(self.start, row.at) <= self.now)).unwrap_or_default()
    }

    /// The row in force.
    fn row(&self) -> Option<&'a SimulatedRow> {
        self.passed().last()
    }

    fn next_row(&self) -> Option<Timestamp> {
        self.trace.rows.get(self.passed().len()).map(|row| after(self.start, row.at))
    }

    /// The window that ends now: the rows in it, as if every new node had them.
    fn loads(&self) -> ProxyReports {
        let Some(canary) = &self.spec.canary else { return ProxyReports::Unsupported };
        let window = canary.effective_analysis().interval();
        let from = before(self.now, window);
        let rows = self.passed().iter().rev().take_while(|row| after(self.start, row.at) > from);
        let mut load = Load::default();
        for requests in rows.filter_map(|row| row.requests) {
            load.succeeded = load.succeeded.saturating_add(requests.succeeded);
            load.failed = load.failed.saturating_add(requests.failed);
            load.reports += 1;
        }
        load.issued = load.succeeded.saturating_add(load.failed);
        let rollout = self.state.rollout.as_ref();
        let new =
            rollout.map(|rollout| growing(&self.state.stable_targets, &rollout.targets)).unwrap_or_default();
        // Counted once, whichever of several new nodes had them.
        let first = serving_nodes(&new).into_iter().next().map(|node| (node.to_owned(), load));
        let mut targets: BTreeMap<String, Load> = first.into_iter().collect();
        for drain in &self.state.draining {
            targets.entry(drain.virtual_node.clone()).or_insert(Load { reports: 1, ..Load::default() });
        }
        ProxyReports::Reported {
            at: self.now,
            loads: Loads {
                window,
                observed: window,
                lag: Duration::ZERO,
                targets,
                witnesses: BTreeMap::new(),
            },
        }
    }

    /// Notes Events and verdicts.
    fn note(&mut self, reduction: &Reduction) {
        let Some(canary) = &self.spec.canary else { return };
        for metric in canary.effective_analysis().effective_metrics() {
            let find =
                |state: &CanaryStatus| state.analysis.iter().find(|one| one.name == metric.name).cloned();
            let Some(status) = find(&reduction.state) else { continue };
            if find(&self.state).is_none_or(|old| old.at != status.at) {
                let shown = if metric.dry_run { ", only shown" } else { "" };
                let message = format!("{:?}: {}{shown}", status.verdict, in_words(&metric, &status));
                self.enter("Verdict", message);
            }
        }
        for effect in &reduction.effects {
            if let CanaryEffect::Event(event) = effect {
                self.enter(&event.reason, event.message.clone());
            }
        }
    }

    fn enter(&mut self, what: &str, message: String) {
        self.entries.push(StepEntry { at: self.elapsed(), what: what.to_owned(), message });
    }

    fn elapsed(&self) -> Duration {
        Duration::try_from(self.now.duration_since(self.start)).unwrap_or_default()
    }

    fn timeline(self) -> Timeline {
        let over = under_way(&self.state).is_none();
        let ended = self.state.history.into_iter().next().filter(|_| over);
        Timeline {
            entries: self.entries,
            phase: self.state.phase.unwrap_or_default(),
            weights: self.has,
            ended: ended.map(|entry| (entry.outcome, entry.reason, entry.message)),
        }
    }
}

/// The metrics of the spec that a trace must give by name; load reports are given as requests.
pub fn queried(spec: &Spec) -> Vec<String> {
    let metrics = spec.canary.iter().flat_map(|canary| canary.effective_analysis().effective_metrics());
    let queried = metrics.filter(|metric| matches!(metric.source, MetricSource::Prometheus(_)));
    queried.map(|metric| metric.name).collect()
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for StepEntry { at, what, message } in &self.entries {
            let seconds = at.as_secs();
            let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
            writeln!(f, "{clock}  {what:<16}  {message}")?;
        }
        write!(f, "{:?}: {}", self.phase, in_short(&self.weights))
    }
}
