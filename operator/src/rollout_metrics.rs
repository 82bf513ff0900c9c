//! Metrics of rollouts in the Prometheus text format. What a route is at is set anew for each scrape from the statuses, so
//! a route that is gone leaves nothing behind; labels other than the route's are bounded.

use fleetmesh_crds::CanaryStatus;
use fleetmesh_crds::canary::{HistoryEntry, Phase, Verdict};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    namespace: String,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    namespace: String,
    route: String,
    phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TargetLabels {
    namespace: String,
    route: String,
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    namespace: String,
    route: String,
    metric: String,
    verdict: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: String,
}

/// The metrics of rollouts. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct RolloutMetrics {
    phase: Family<PhaseLabels, Gauge>,
    weight: Family<TargetLabels, Gauge>,
    step: Family<RouteLabels, Gauge>,
    verdict: Family<VerdictLabels, Gauge>,
    events: Family<EventLabels, Counter>,
    seconds: Family<OutcomeLabels, Histogram, fn() -> Histogram>,
}

impl RolloutMetrics {
    /// Metrics that all count from 0, in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let seconds: Family<_, _, fn() -> Histogram> = Family::new_with_constructor(|| {
            Histogram::new([10.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0])
        });
        let metrics = Self {
            phase: Family::default(),
            weight: Family::default(),
            step: Family::default(),
            verdict: Family::default(),
            events: Family::default(),
            seconds,
        };
        let Self { phase, weight, step, verdict, events, seconds } = &metrics;
        registry.register("rollout_phase", "1 for the phase that the route is in", phase.clone());
        registry.register("rollout_weight", "The weight in force of each target", weight.clone());
        registry.register("rollout_step", "The step in force, counted from 1", step.clone());
        registry.register("rollout_verdict", "1 for the last verdict of each metric", verdict.clone());
        registry.register("rollout_events", "What happened in rollouts, by reason", events.clone());
        registry.register("rollout_seconds", "How long rollouts took, by how they ended", seconds.clone());
        metrics
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
            let outcome = format!("{:?}", entry.outcome);
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
            PhaseLabels { namespace: namespace.clone(), route: route.clone(), phase: format!("{phase:?}") };
        self.phase.get_or_create(&labels).set(1);
        for target in &state.effective_targets {
            let name = fleetmesh_core::canary::targets::name(target);
            let labels = TargetLabels { namespace: namespace.clone(), route: route.clone(), target: name };
            self.weight.get_or_create(&labels).set(i64::from(target.weight));
        }
        for metric in &state.analysis {
            let verdict: Verdict = metric.verdict;
            let labels = VerdictLabels {
                namespace: namespace.clone(),
                route: route.clone(),
                metric: metric.name.clone(),
                verdict: format!("{verdict:?}"),
            };
            self.verdict.get_or_create(&labels).set(1);
        }
        let step = state.rollout.as_ref().map_or(0, |rollout| rollout.step_index);
        self.step.get_or_create(&RouteLabels { namespace, route }).set(i64::from(step));
    }
}
