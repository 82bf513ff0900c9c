//! A world for rollouts: an API server that keeps the status as JSON, an endpoint with the route, proxies that acknowledge
//! late, callers whose requests succeed or fail, and an operator that may die between any two of its writes. Pure: its
//! clock moves only on request.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetmesh_api::distribution::{CallingProxies, ObjectStatus, Rejection};
use fleetmesh_api::loads::Load;
use fleetmesh_core::canary::{
    Action, ActionVerdict, AskOutcome, CanaryEffect, Health, Node, Observations, Owners, ProxyReports,
    Reduction, ReportingEndpoint, Sample, Spec, WebhookReply, has_news, nodes_of_interest, reduce, targets,
};
use fleetmesh_core::{Distribution, Loads, Witnesses};
use fleetmesh_crds::canary::WebhookAnswer;
use fleetmesh_crds::{ActionPhase, Canary, CanaryStatus, Phase, Verb};
use fleetmesh_model::route::WeightedTarget;
use jiff::{SignedDuration, Timestamp};

use super::fixtures::{secs, start, targets_of};

/// Where a reconcile is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    Never,
    /// Decided, nothing written.
    BeforeStatus,
    /// The status is written, the mesh is not.
    BeforeMesh,
    /// The mesh is written, the rest is not.
    BeforeEffects,
    /// The reconcile is over, and its report is not written.
    BeforeReport,
}

/// Succeeded and failed requests by node.
type WorldCounts = BTreeMap<String, (u64, u64)>;

#[derive(Clone, Debug)]
pub struct SimulatedProxy {
    pub acknowledged: i64,
    /// Seconds that it takes to acknowledge.
    pub delay: i64,
    pub refuses: bool,
}

#[derive(Clone, Debug)]
pub struct CanaryWorld {
    pub spec: Spec,
    /// What the operator goes on from.
    pub stored: CanaryStatus,
    /// What the API server keeps: all that is left after a crash.
    pub written: CanaryStatus,
    /// How often it was written.
    pub writes: usize,
    pub now: Timestamp,
    pub since: Timestamp,
    pub route: Option<(Vec<WeightedTarget>, i64, Timestamp)>,
    pub proxies: Vec<SimulatedProxy>,
    /// The virtual node of each proxy; empty where the endpoint does not report it.
    pub callers: Vec<String>,
    /// Further streams of them that lag.
    pub lagging: i32,
    pub owners: Owners,
    /// Who reports what of the loads, besides the sums.
    pub witnesses: BTreeMap<String, Witnesses>,
    /// Whether the endpoint reports on proxies and loads.
    pub supported: bool,
    pub reports: bool,
    /// Seconds between a request and its report, which those who judge know...
    pub report_lag: u64,
    /// ... unless they assume something else.
    pub assumed_lag: Option<u64>,
    pub control_plane_since: Timestamp,
    pub nodes: BTreeMap<String, Node>,
    /// Requests a second of all callers.
    pub rate: u64,
    /// Of a hundred requests to a node, how many fail.
    pub failing: BTreeMap<String, u64>,
    pub in_flight: BTreeMap<String, u64>,
    pub metrics: BTreeMap<String, AskOutcome>,
    pub webhooks: BTreeMap<String, WebhookAnswer>,
    /// Per second and node: succeeded and failed requests.
    traffic: Vec<(Timestamp, WorldCounts)>,
    samples: Vec<Sample>,
    answers: Vec<WebhookReply>,
    pub actions: Vec<Action>,
    pub verdicts: Vec<ActionVerdict>,
    pub events: Vec<(Timestamp, String, String)>,
    /// What the mesh was given, in order.
    pub pushes: Vec<(Timestamp, String)>,
    pub effects: Vec<String>,
    pub served: WorldCounts,
    pub last: Option<Reduction>,
}

impl CanaryWorld {
    /// A route that serves `stable`, and everything is well.
    pub fn new(stable: &str, canary: Option<Canary>) -> Self {
        let nodes = ["v1", "v2", "v3", "v4"].map(|name| (name.to_owned(), healthy()));
        let mut world = Self {
            spec: Spec { uid: "uid-1".to_owned(), targets: targets_of(stable), canary },
            stored: CanaryStatus::default(),
            written: CanaryStatus::default(),
            writes: 0,
            now: start(),
            since: start(),
            route: None,
            proxies: vec![SimulatedProxy { acknowledged: 0, delay: 0, refuses: false }; 3],
            callers: Vec::new(),
            lagging: 0,
            owners: Owners::default(),
            witnesses: BTreeMap::new(),
            supported: true,
            reports: true,
            report_lag: 0,
            assumed_lag: None,
            control_plane_since: start(),
            nodes: nodes.into_iter().collect(),
            rate: 100,
            failing: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            metrics: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            traffic: Vec::new(),
            samples: Vec::new(),
            answers: Vec::new(),
            actions: Vec::new(),
            verdicts: Vec::new(),
            events: Vec::new(),
            pushes: Vec::new(),
            effects: Vec::new(),
            served: BTreeMap::new(),
            last: None,
        };
        world.run(2);
        world
    }

    /// Changes the spec's targets; a decision takes notice.
    pub fn apply(&mut self, targets: &str) -> &mut Self {
        self.spec.targets = targets_of(targets);
        self.reconcile(Crash::Never);
        self
    }

    pub fn observe(&self) -> Observations {
        Observations {
            since: self.since,
            endpoint: self.endpoint(),
            nodes: nodes_of_interest(&self.spec, &self.stored)
                .into_iter()
                .filter_map(|name| self.nodes.get(&name).map(|node| (name.clone(), *node)))
                .collect(),
            loads: self.loads(),
            owners: self.owners.clone(),
            samples: self.samples.clone(),
            answers: self.answers.clone(),
            actions: self.actions.clone(),
        }
    }

    fn endpoint(&self) -> ReportingEndpoint {
        let Some((targets, version, _)) = &self.route else { return ReportingEndpoint::Absent };
        let refused = self.proxies.iter().enumerate().filter(|(_, proxy)| proxy.refuses);
        let rejected =
            refused.map(|(index, _)| Rejection { proxy: format!("proxy-{index}"), message: "no".to_owned() });
        let acknowledged =
            self.proxies.iter().filter(|proxy| proxy.acknowledged == *version && !proxy.refuses).count();
        let distribution = if self.supported {
            Distribution::Reported(ObjectStatus {
                version: *version,
                proxies: i32::try_from(self.proxies.len()).unwrap(),
                acknowledged: i32::try_from(acknowledged).unwrap(),
                lagging: self.lagging,
                rejected: rejected.collect(),
                callers: self.callers_of(*version),
                ..ObjectStatus::default()
            })
        } else {
            Distribution::Unsupported
        };
        ReportingEndpoint::Has { targets: targets.clone(), version: *version, distribution }
    }

    fn callers_of(&self, version: i64) -> BTreeMap<String, CallingProxies> {
        let mut callers: BTreeMap<String, CallingProxies> = BTreeMap::new();
        for (node, proxy) in self.callers.iter().zip(&self.proxies) {
            let caller = callers.entry(node.clone()).or_default();
            caller.proxies += 1;
            caller.acknowledged += i32::from(proxy.acknowledged == version && !proxy.refuses);
        }
        callers
    }

    fn interval(&self) -> Duration {
        let canary = self.spec.canary.clone().unwrap_or_default();
        canary.effective_analysis().interval()
    }

    fn loads(&self) -> ProxyReports {
        if !self.supported {
            return ProxyReports::Unsupported;
        }
        if !self.reports {
            let window = self.interval();
            let loads = Loads { window, observed: window, ..Loads::default() };
            return ProxyReports::Reported { at: self.now, loads };
        }
        let window = self.interval();
        let to = self.now - secs(i64::try_from(self.report_lag).unwrap());
        let from = to - SignedDuration::try_from(window).unwrap();
        let mut targets: BTreeMap<String, Load> = BTreeMap::new();
        let routed = self.route.iter().flat_map(|(targets, _, _)| targets);
        for target in routed {
            let in_progress = self.in_flight.get(&target.virtual_node).copied().unwrap_or(0);
            targets.insert(target.virtual_node.clone(), Load { reports: 1, in_progress, ..Load::default() });
        }
        for (_, counts) in self.traffic.iter().filter(|(at, _)| *at > from && *at <= to) {
            for (node, (succeeded, failed)) in counts {
                let load = targets.entry(node.clone()).or_default();
                load.succeeded += succeeded;
                load.failed += failed;
                load.issued += succeeded + failed;
                load.reports += 1;
            }
        }
        let observed = Duration::try_from(self.now - self.control_plane_since).unwrap();
        let lag = Duration::from_secs(self.assumed_lag.unwrap_or(self.report_lag));
        let witnesses = self.witnesses.clone();
        ProxyReports::Reported { at: self.now, loads: Loads { window, observed, lag, targets, witnesses } }
    }

    /// One decision and what follows from it.
    pub fn reconcile(&mut self, crash: Crash) {
        let seen = self.observe();
        let reduction = reduce(&self.spec, &self.stored, &seen, self.now);
        assert_eq!(reduction, reduce(&self.spec, &self.stored, &seen, self.now), "the same decision");
        if let Some(look) = reduction.look {
            assert!(look > self.now, "a look is to come");
        }
        for effect in &reduction.effects {
            if let CanaryEffect::Event(event) = effect {
                self.events.push((self.now, event.reason.clone(), event.message.clone()));
            }
        }
        if crash == Crash::BeforeStatus {
            return self.restart();
        }
        let followed = reduction.is_followed(&self.stored);
        self.stored = reduction.state.clone();
        if followed {
            self.write_status();
        }
        if crash == Crash::BeforeMesh {
            return self.restart();
        }
        self.write_mesh();
        if crash == Crash::BeforeEffects {
            return self.restart();
        }
        for effect in &reduction.effects {
            self.carry_out(effect);
        }
        for verdict in &reduction.verdicts {
            self.actions.retain(|action| action.uid != verdict.uid);
            self.verdicts.push(verdict.clone());
        }
        self.last = Some(reduction);
        if crash == Crash::BeforeReport {
            return self.restart();
        }
        if has_news(&self.written, &self.stored) {
            self.write_status();
        }
    }

    fn write_status(&mut self) {
        if self.stored == self.written {
            return;
        }
        let json = serde_json::to_string(&self.stored).unwrap();
        self.written = serde_json::from_str(&json).unwrap();
        assert_eq!(self.stored, self.written, "the status keeps everything");
        self.writes += 1;
    }

    pub fn restart(&mut self) {
        self.stored = self.written.clone();
        self.since = self.now;
        self.samples.clear();
        self.answers.clear();
    }

    fn write_mesh(&mut self) {
        let Some(wanted) = self.spec.in_force(&self.stored) else { return };
        if let Some((targets, _, _)) = &self.route
            && targets::same(targets, wanted)
        {
            return;
        }
        let version = self.route.as_ref().map_or(1, |(_, version, _)| version + 1);
        self.pushes.push((self.now, targets::in_short(wanted)));
        self.route = Some((wanted.to_vec(), version, self.now));
        self.acknowledge();
    }

    fn acknowledge(&mut self) {
        let Some((_, version, written)) = &self.route else { return };
        for proxy in self.proxies.iter_mut().filter(|proxy| !proxy.refuses) {
            if self.now.duration_since(*written) >= secs(proxy.delay) {
                proxy.acknowledged = *version;
            }
        }
    }

    fn carry_out(&mut self, effect: &CanaryEffect) {
        self.effects.push(effect.to_string());
        match effect {
            CanaryEffect::Event(_) | CanaryEffect::Notify { .. } => {}
            CanaryEffect::Ask(call) => {
                let answer = self.webhooks.get(&call.webhook).copied().unwrap_or(WebhookAnswer::Confirmed);
                self.answers.push(WebhookReply {
                    webhook: call.webhook.clone(),
                    rollout_id: call.rollout_id.clone(),
                    step_index: call.step_index,
                    at: self.now,
                    answer,
                    detail: None,
                });
            }
            CanaryEffect::Query { metric, .. } => {
                let outcome = self.metrics.get(metric).cloned().unwrap_or(AskOutcome::NoData);
                self.samples.push(Sample { metric: metric.clone(), at: self.now, outcome });
            }
            CanaryEffect::Deprecate { virtual_node, deprecated, .. } => {
                self.nodes.get_mut(virtual_node).unwrap().deprecated = *deprecated;
            }
            CanaryEffect::ScaleToZero { virtual_node } => {
                self.nodes.get_mut(virtual_node).unwrap().replicas = Some(0);
            }
            CanaryEffect::Delete { virtual_node } => {
                assert!(!self.last.as_ref().is_some_and(|last| last.keep.contains(virtual_node)));
                self.nodes.remove(virtual_node);
            }
        }
    }

    /// Lets a second pass: requests are sent as the first proxy that acknowledged says.
    pub fn tick(&mut self) {
        self.now += secs(1);
        self.acknowledge();
        let Some((targets, _, _)) = &self.route else { return };
        let sum = u64::from(targets::sum(targets).max(1));
        let mut counts = WorldCounts::new();
        for target in targets {
            let requests = self.rate * u64::from(targets::weight(target)) / sum;
            let failed = requests * self.failing.get(&target.virtual_node).copied().unwrap_or(0) / 100;
            if requests > 0 {
                counts.insert(target.virtual_node.clone(), (requests - failed, failed));
                let served = self.served.entry(target.virtual_node.clone()).or_default();
                served.0 += requests - failed;
                served.1 += failed;
            }
        }
        self.traffic.push((self.now, counts));
        if self.traffic.len() > 120 {
            self.traffic.remove(0);
        }
    }

    /// Runs for so many seconds, with a decision each.
    pub fn run(&mut self, seconds: usize) -> &mut Self {
        for _ in 0..seconds {
            self.reconcile(Crash::Never);
            self.tick();
        }
        self.reconcile(Crash::Never);
        self
    }

    /// Runs until the condition holds; panics with the state when it does not within so many seconds.
    pub fn until(&mut self, seconds: usize, holds: impl Fn(&Self) -> bool) -> &mut Self {
        for _ in 0..seconds {
            if holds(self) {
                return self;
            }
            self.reconcile(Crash::Never);
            self.tick();
        }
        panic!("not within {seconds} s: {}", serde_json::to_string_pretty(&self.stored).unwrap());
    }

    pub fn until_step(&mut self, seconds: usize, step: i32) -> &mut Self {
        self.until(seconds, |world| world.step() == Some(step))
    }

    pub fn until_phase(&mut self, seconds: usize, phase: Phase) -> &mut Self {
        self.until(seconds, |world| world.phase() == phase)
    }

    /// Gives the rollout a verb, meant for what is in force.
    pub fn send(&mut self, verb: Verb) -> ActionVerdict {
        let rollout = self.stored.rollout.as_ref().expect("a rollout");
        let (id, step) = (rollout.id.clone(), rollout.step_index);
        self.send_exactly(verb, &id, Some(step))
    }

    pub fn send_exactly(&mut self, verb: Verb, rollout_id: &str, step_index: Option<i32>) -> ActionVerdict {
        let number = self.verdicts.len() + self.actions.len();
        self.actions.push(Action {
            name: format!("action-{number}"),
            uid: format!("uid-of-action-{number}"),
            verb,
            rollout_id: rollout_id.to_owned(),
            step_index,
        });
        self.reconcile(Crash::Never);
        self.verdicts.last().expect("a verdict").clone()
    }

    pub fn applied(&mut self, verb: Verb) -> &mut Self {
        let verdict = self.send(verb);
        assert_eq!(verdict.phase, ActionPhase::Applied, "{}", verdict.message);
        self
    }
}

pub fn healthy() -> Node {
    Node { health: Health::Some, replicas: Some(2), ..Node::default() }
}
