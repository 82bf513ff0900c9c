//! A random walk: what a hostile world shows, decision after decision, and what the checks have to know of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use fleetmesh_api::distribution::{ObjectStatus, Rejection};
use fleetmesh_api::loads::Load;
use fleetmesh_core::canary::{
    Action, AskOutcome, Health, Node, Observations, ProxyReports, Reduction, ReportingEndpoint, Sample, Spec,
    WebhookReply, targets,
};
use fleetmesh_core::{Distribution, Loads};
use fleetmesh_crds::canary::{Metric, MetricSource, OnNoData, RolloutStatus, WebhookAnswer};
use fleetmesh_crds::{Canary, CanaryStatus, Verb};
use fleetmesh_model::route::WeightedTarget;
use jiff::{SignedDuration, Timestamp};

use crate::draw::{NODES, canary, list, start};

/// One walk: what it is about, where it is, and what was observed so far.
pub struct Walk {
    random: Rng,
    pub spec: Spec,
    pub state: CanaryStatus,
    now: Timestamp,
    since: Timestamp,
    reports: bool,
    lag: Duration,
    has: Vec<WeightedTarget>,
    version: i64,
    /// When which version was first seen with which targets.
    first_seen: BTreeMap<i64, Timestamp>,
    /// When every proxy was first seen to have a weight of a rollout.
    entered: BTreeMap<(String, i32), Timestamp>,
    windows: Vec<(Timestamp, Loads)>,
    samples: Vec<Sample>,
    answers: Vec<WebhookReply>,
    actions: u32,
}

impl Walk {
    pub fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let has = list(&mut random);
        let spec = Spec {
            uid: "uid".to_owned(),
            targets: if random.bool() { has.clone() } else { list(&mut random) },
            canary: Some(canary(&mut random)),
        };
        let reports = random.u8(0..100) < 85;
        let lag = Duration::from_millis(random.choice([0, 0, 1000, 1500, 4000]).unwrap());
        Self {
            random,
            spec,
            state: CanaryStatus::default(),
            now: start(),
            since: start(),
            reports,
            lag,
            has,
            version: 1,
            first_seen: BTreeMap::new(),
            entered: BTreeMap::new(),
            windows: Vec::new(),
            samples: Vec::new(),
            answers: Vec::new(),
            actions: 0,
        }
    }

    fn odds(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    /// What is observed next, and when.
    pub fn next(&mut self) -> (Observations, Timestamp) {
        self.people_act();
        let jump = self.random.choice([0, 1, 2, 5, 6, 10, 11, 30, 90, 1500]).unwrap();
        self.now += SignedDuration::from_millis(jump * 1000 + self.random.i64(0..999));
        if self.odds(5) {
            self.since = self.now;
        }
        let seen = Observations {
            since: self.since,
            endpoint: self.endpoint(),
            nodes: self.nodes(),
            loads: self.loads(),
            owners: fleetmesh_core::canary::Owners::default(),
            samples: self.samples(),
            answers: self.answers(),
            actions: self.actions(),
        };
        self.remember(&seen);
        (seen, self.now)
    }

    fn people_act(&mut self) {
        if self.odds(8) {
            let former = self.state.history.iter().map(|entry| entry.from.clone()).next();
            self.spec.targets = match (self.random.u8(0..10), former) {
                (0..3, Some(former)) => former,
                (0..6, _) if !self.state.stable_targets.is_empty() => self.state.stable_targets.clone(),
                _ => list(&mut self.random),
            };
        }
        if self.odds(4) {
            self.spec.canary = Some(canary(&mut self.random));
        }
        if self.odds(1) {
            self.spec.canary = None;
        }
    }

    fn endpoint(&mut self) -> ReportingEndpoint {
        if self.odds(3) {
            return ReportingEndpoint::Unread;
        }
        let wanted = self.spec.in_force(&self.state).map(<[_]>::to_vec);
        if let Some(wanted) = wanted
            && !targets::same(&wanted, &self.has)
            && self.odds(85)
        {
            self.has = wanted;
            self.version += 1;
        }
        if self.odds(2) {
            self.version += 1;
        }
        let (targets, version) = (self.has.clone(), self.version);
        ReportingEndpoint::Has { targets, version, distribution: self.distribution() }
    }

    fn distribution(&mut self) -> Distribution {
        if !self.reports {
            return Distribution::Unsupported;
        }
        if self.odds(3) {
            return Distribution::Pending;
        }
        let proxies = self.random.i32(0..4);
        let acknowledged = if self.odds(85) { proxies } else { self.random.i32(0..=proxies) };
        let refused = if self.odds(4) { 1 } else { 0 };
        Distribution::Reported(ObjectStatus {
            version: if self.odds(95) { self.version } else { self.version - 1 },
            proxies,
            acknowledged,
            lagging: if self.odds(4) { self.random.i32(1..4) } else { 0 },
            rejected: (0..refused)
                .map(|_| Rejection { proxy: "p".to_owned(), message: "no".to_owned() })
                .collect(),
            ..ObjectStatus::default()
        })
    }

    fn nodes(&mut self) -> BTreeMap<String, Node> {
        let mut nodes = BTreeMap::new();
        for name in NODES {
            let health = if self.odds(92) { Health::Some } else { Health::None };
            let health = if self.odds(10) { Health::Unknown } else { health };
            let node = Node {
                health,
                used_elsewhere: self.odds(10),
                deprecated: self.odds(30),
                replicas: Some(self.random.i32(0..3)),
                off_limits: false,
                deleting: self.odds(5),
            };
            if self.odds(95) {
                nodes.insert(name.to_owned(), node);
            }
        }
        nodes
    }

    fn interval(&self) -> Duration {
        self.spec.canary.as_ref().map_or(Duration::from_secs(5), |one| one.effective_analysis().interval())
    }

    fn loads(&mut self) -> ProxyReports {
        if !self.reports {
            return ProxyReports::Unsupported;
        }
        if self.odds(4) {
            return ProxyReports::Pending;
        }
        let window = self.interval();
        let bad = self.odds(15);
        let mut targets = BTreeMap::new();
        for name in NODES {
            let silent = self.odds(6);
            let load = Load {
                issued: 100,
                succeeded: if silent { 0 } else { self.random.u64(50..200) },
                failed: if bad && !silent { self.random.u64(0..80) } else { 0 },
                in_progress: self.random.u64(0..2),
                reports: 3,
            };
            if self.odds(97) {
                targets.insert(name.to_owned(), load);
            }
        }
        let observed = if self.odds(94) { window } else { window / 2 };
        let at = self.now - SignedDuration::from_millis(if self.odds(20) { 1500 } else { 0 });
        ProxyReports::Reported {
            at,
            loads: Loads { window, observed, lag: self.lag, targets, ..Loads::default() },
        }
    }

    fn samples(&mut self) -> Vec<Sample> {
        let metrics = self.spec.canary.as_ref().map(|one| one.effective_analysis().effective_metrics());
        let queried = metrics.unwrap_or_default();
        let queried = queried.iter().filter(|one| matches!(one.source, MetricSource::Prometheus(_)));
        let names: Vec<String> = queried.map(|metric| metric.name.clone()).collect();
        let mut samples = Vec::new();
        for metric in names {
            let outcome = match self.random.u8(0..20) {
                0 => AskOutcome::NoData,
                1 => AskOutcome::Error("503".to_owned()),
                2 => AskOutcome::Value(f64::NAN),
                3 | 4 => AskOutcome::Value(900.0),
                _ => AskOutcome::Value(100.0),
            };
            let late = SignedDuration::from_secs(self.random.choice([0, 0, 0, 2, 40]).unwrap());
            if self.odds(90) {
                samples.push(Sample { metric, at: self.now - late, outcome });
            }
        }
        samples
    }

    fn answers(&mut self) -> Vec<WebhookReply> {
        let Some(canary) = self.spec.canary.clone() else { return Vec::new() };
        let Some(rollout) = self.state.rollout.clone() else { return Vec::new() };
        let mut answers = Vec::new();
        for hook in &canary.webhooks {
            let agrees = if hook.effective_name() == "rollback" { 3 } else { 75 };
            let answer = if self.odds(agrees) {
                WebhookAnswer::Confirmed
            } else {
                self.random
                    .choice([WebhookAnswer::NotYet, WebhookAnswer::Refused, WebhookAnswer::Error])
                    .unwrap()
            };
            let answer = WebhookReply {
                webhook: hook.effective_name().to_owned(),
                rollout_id: if self.odds(95) { rollout.id.clone() } else { "other".to_owned() },
                step_index: rollout.step_index - i32::from(self.odds(5)),
                at: self.now,
                answer,
                detail: None,
            };
            if self.odds(80) {
                answers.push(answer);
            }
        }
        answers
    }

    fn actions(&mut self) -> Vec<Action> {
        if !self.odds(10) {
            return Vec::new();
        }
        self.actions += 1;
        let rollout = self.state.rollout.as_ref();
        let (id, step) = rollout.map_or((String::new(), 0), |one| (one.id.clone(), one.step_index));
        vec![Action {
            name: format!("action-{}", self.actions),
            uid: format!("uid-{}", self.actions),
            verb: self.random.choice(Verb::ALL).unwrap(),
            rollout_id: if self.odds(90) { id } else { "other".to_owned() },
            step_index: if self.odds(90) { Some(step) } else { None },
        }]
    }

    fn remember(&mut self, seen: &Observations) {
        self.see_version(seen);
        if let Some(rollout) = self.state.rollout.clone()
            && self.settled(seen, self.now)
        {
            self.entered.entry((rollout.id, rollout.set_weight)).or_insert(self.now);
        }
        if let ProxyReports::Reported { at, loads } = &seen.loads
            && loads.observed >= loads.window
        {
            self.windows.push((*at, loads.clone()));
        }
        self.samples.extend(seen.samples.iter().cloned());
        self.answers.extend(seen.answers.iter().cloned());
    }

    /// The decision is written and in force as soon as the endpoint has it.
    pub fn follow(&mut self, reduction: &Reduction, seen: &Observations) {
        self.state = reduction.state.clone();
        self.see_version(seen);
    }

    fn see_version(&mut self, seen: &Observations) {
        if let ReportingEndpoint::Has { targets, version, .. } = &seen.endpoint
            && targets::same(targets, &self.state.effective_targets)
        {
            self.first_seen.entry(*version).or_insert(self.now);
        }
    }

    /// Whether the observation shows that every proxy has what is to be in force.
    pub fn settled(&self, seen: &Observations, now: Timestamp) -> bool {
        let ReportingEndpoint::Has { targets, version, distribution } = &seen.endpoint else { return false };
        if !targets::same(targets, &self.state.effective_targets) {
            return false;
        }
        match distribution {
            Distribution::Pending => false,
            Distribution::Unsupported => {
                let delay = self.spec.canary.as_ref().map_or(Duration::ZERO, Canary::propagation_delay);
                let delay = SignedDuration::try_from(delay).unwrap();
                self.first_seen.get(version).is_some_and(|since| now.duration_since(*since) >= delay)
            }
            Distribution::Reported(ObjectStatus {
                version: reported,
                proxies,
                acknowledged,
                rejected,
                ..
            }) => reported >= version && acknowledged >= proxies && rejected.is_empty(),
        }
    }

    pub fn entered(&self, id: &str, weight: i32) -> Option<Timestamp> {
        self.entered.get(&(id.to_owned(), weight)).copied()
    }

    pub fn confirmed(&self, name: &str, rollout: &RolloutStatus, seen: &Observations) -> bool {
        let steps = self.spec.canary.as_ref().unwrap().effective_steps();
        let index = steps.iter().filter(|step| step.set_weight <= rollout.set_weight).count();
        self.answers.iter().chain(&seen.answers).any(|answer| {
            answer.webhook == name
                && answer.rollout_id == rollout.id
                && (answer.step_index == i32::try_from(index).unwrap()
                    || answer.step_index == rollout.step_index)
                && answer.answer == WebhookAnswer::Confirmed
        })
    }

    fn new_nodes(&self) -> BTreeSet<String> {
        let Some(rollout) = &self.state.rollout else { return BTreeSet::new() };
        let new = targets::growing(&self.state.stable_targets, &rollout.targets);
        new.into_iter().map(|target| target.virtual_node).collect()
    }

    fn counts(&self, loads: &Loads) -> (u64, u64) {
        let new = self.new_nodes();
        let loads = loads.targets.iter().filter(|(node, _)| new.contains(*node));
        loads.fold((0, 0), |(good, bad), (_, load)| (good + load.succeeded, bad + load.failed))
    }

    /// The most requests in windows of which all began after `from`.
    pub fn requests(&self, from: Timestamp) -> i64 {
        let after = |(at, loads): &&(Timestamp, Loads)| begins(*at, loads) >= from;
        let windows = self.windows.iter().filter(after);
        let sum: u64 = windows.map(|(_, loads)| self.counts(loads)).map(|(good, bad)| good + bad).sum();
        i64::try_from(sum).unwrap()
    }

    /// The success rate of the observation.
    pub fn rate(&self, seen: &Observations) -> Option<f64> {
        let ProxyReports::Reported { loads, .. } = &seen.loads else { return None };
        rate(self.counts(loads))
    }

    /// Whether anything that was observed to end at `fresh` or later lets the metric pass.
    pub fn passed(&self, metric: &Metric, fresh: Timestamp, seen: &Observations) -> bool {
        let analysis = self.spec.canary.as_ref().unwrap().effective_analysis();
        let pass = |value: Option<f64>| match value {
            Some(value) => metric.threshold_range.contains(value),
            None => analysis.on_no_data == Some(OnNoData::Pass),
        };
        match &metric.source {
            MetricSource::LoadReport(_) => {
                let fresh = fresh + SignedDuration::try_from(self.lag).unwrap();
                let fresh = self.windows.iter().filter(|(at, _)| *at >= fresh);
                fresh.into_iter().any(|(_, loads)| pass(rate(self.counts(loads))))
            }
            MetricSource::Prometheus(_) => {
                let samples = self.samples.iter().chain(&seen.samples);
                let mut fresh = samples.filter(|one| one.metric == metric.name && one.at >= fresh);
                fresh.any(|sample| match sample.outcome {
                    AskOutcome::Value(value) => pass(Some(value).filter(|value| value.is_finite())),
                    AskOutcome::NoData => pass(None),
                    AskOutcome::Error(_) => false,
                })
            }
        }
    }
}

/// When the oldest request of the window may have ended.
pub fn begins(at: Timestamp, loads: &Loads) -> Timestamp {
    at - SignedDuration::try_from(loads.window + loads.lag).unwrap()
}

#[allow(clippy::cast_precision_loss, reason = "small counts")]
fn rate((good, bad): (u64, u64)) -> Option<f64> {
    (good + bad > 0).then(|| 100.0 * good as f64 / (good + bad) as f64)
}
