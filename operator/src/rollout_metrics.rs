//! Metrics of rollouts in the Prometheus text format. The state of each route is set from the statuses at each scrape, so a deleted
//! route leaves nothing behind; labels other than the route's are bounded.

use fleetmesh_crds::CanaryStatus;
use fleetmesh_crds::canary::{HistoryEntry, Phase};
use fleetmesh_metrics::{Catalog, Counters, Gauges, Histograms, labels};

/// Upper bounds in seconds, from 10 s to a day.
const SECONDS: &[f64] = &[10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0];

labels! {
    struct RouteLabels { namespace: String, route: String }
    struct PhaseLabels { namespace: String, route: String, phase: &'static str }
    struct TargetLabels { namespace: String, route: String, target: String }
    struct VerdictLabels { namespace: String, route: String, metric: String, verdict: &'static str }
    struct EventLabels { reason: String }
    struct OutcomeLabels { outcome: &'static str }
    struct AskLabels { source: &'static str, result: &'static str }
}

/// The metrics of rollouts. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct RolloutMetrics {
    phase: Gauges<PhaseLabels>,
    weight: Gauges<TargetLabels>,
    step: Gauges<RouteLabels>,
    verdict: Gauges<VerdictLabels>,
    events: Counters<EventLabels>,
    seconds: Histograms<OutcomeLabels>,
    asks: Counters<AskLabels>,
}

impl RolloutMetrics {
    /// Metrics that all count from 0, in the catalog `of` the operator.
    pub fn register(of: &mut Catalog) -> Self {
        Self {
            phase: of.gauges("rollout_phase", "1 for the phase that the route is in"),
            weight: of.gauges("rollout_weight", "The weight in force of each target"),
            step: of.gauges("rollout_step", "The step in force, counted from 1; 0 without a rollout"),
            verdict: of.gauges("rollout_verdict", "1 for the last verdict of each metric"),
            events: of.counters("rollout_events", "What happened in rollouts, by reason"),
            seconds: of.histograms("rollout_seconds", "How long rollouts took, by how they ended", SECONDS),
            asks: of.counters(
                "rollout_asks",
                "Questions of rollouts to prometheus and webhook, by whether an answer came",
            ),
        }
    }

    /// `source` was asked, and an answer came or none that could be used.
    pub fn asked(&self, source: &'static str, answered: bool) {
        let result = if answered { "ok" } else { "failed" };
        self.asks.get_or_create(&AskLabels { source, result }).inc();
    }

    /// Something happened for this reason, a word of the enum of reasons.
    pub fn event(&self, reason: &str) {
        self.events.get_or_create(&EventLabels { reason: reason.to_owned() }).inc();
    }

    /// Counts the rollouts that ended between two states of a route.
    pub fn ended(&self, before: &CanaryStatus, after: &CanaryStatus) {
        let known = |entry: &HistoryEntry| before.history.iter().any(|old| old.id == entry.id);
        for entry in after.history.iter().take_while(|entry| !known(entry)) {
            let took = entry.ended_at.0.duration_since(entry.started_at.0);
            let outcome = entry.outcome.as_str();
            self.seconds.get_or_create(&OutcomeLabels { outcome }).observe(took.as_secs_f64().max(0.0));
        }
    }

    /// Sets what the routes with `canary` are at: namespace, name and state of each.
    pub fn set<'a>(&self, routes: impl Iterator<Item = (&'a str, &'a str, &'a CanaryStatus)>) {
        self.phase.clear();
        self.weight.clear();
        self.step.clear();
        self.verdict.clear();
        for (namespace, route, state) in routes {
            self.set_one(namespace, route, state);
        }
    }

    fn set_one(&self, namespace: &str, route: &str, state: &CanaryStatus) {
        let (namespace, route) = (namespace.to_owned(), route.to_owned());
        let phase: Phase = state.phase.unwrap_or_default();
        let labels =
            PhaseLabels { namespace: namespace.clone(), route: route.clone(), phase: phase.as_str() };
        self.phase.get_or_create(&labels).set(1);
        for target in &state.effective_targets {
            let name = fleetmesh_core::canary::targets::name(target);
            let labels = TargetLabels { namespace: namespace.clone(), route: route.clone(), target: name };
            self.weight.get_or_create(&labels).set(i64::from(target.weight));
        }
        for metric in &state.analysis {
            let labels = VerdictLabels {
                namespace: namespace.clone(),
                route: route.clone(),
                metric: metric.name.clone(),
                verdict: metric.verdict.as_str(),
            };
            self.verdict.get_or_create(&labels).set(1);
        }
        let step = state.rollout.as_ref().map_or(0, |rollout| rollout.step_index);
        self.step.get_or_create(&RouteLabels { namespace, route }).set(i64::from(step));
    }
}
