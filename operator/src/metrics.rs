//! Metrics in the Prometheus text format. Every label is bounded: kinds, operations, classes.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use fleetmesh_aws::Meter;
use fleetmesh_core::Class;
use fleetmesh_model::Kind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::rollout_metrics::RolloutMetrics;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    method: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoundLabels {
    kind: &'static str,
    plan: &'static str,
}

/// The operator's metrics. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    calls: Family<CallLabels, Counter>,
    aws_calls: Family<CallLabels, Counter>,
    writes: Family<WriteLabels, Counter>,
    rounds: Family<RoundLabels, Counter>,
    events: Counter,
    drift: Counter,
    seconds: Histogram,
    queued: Gauge,
    objects: Gauge,
    leading: Gauge,
    connected: Gauge<u64, AtomicU64>,
    /// Those of rollouts.
    pub rollouts: RolloutMetrics,
}

impl Metrics {
    /// Metrics that all count from 0.
    pub fn new() -> Self {
        let seconds = Histogram::new([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0]);
        let mut registry = Registry::with_prefix("fleetmesh_operator");
        let rollouts = RolloutMetrics::register(&mut registry);
        let mut metrics = Self {
            registry: Arc::default(),
            calls: Family::default(),
            aws_calls: Family::default(),
            writes: Family::default(),
            rounds: Family::default(),
            events: Counter::default(),
            drift: Counter::default(),
            seconds,
            queued: Gauge::default(),
            objects: Gauge::default(),
            leading: Gauge::default(),
            connected: Gauge::default(),
            rollouts,
        };
        let Self {
            registry: _,
            calls,
            aws_calls,
            writes,
            rounds,
            events,
            drift,
            seconds,
            queued,
            objects,
            leading,
            connected,
            rollouts: _,
        } = &metrics;
        registry.register("app_mesh_calls", "App Mesh operations by result", calls.clone());
        registry.register("aws_calls", "Operations of other AWS services by result", aws_calls.clone());
        registry.register("kubernetes_writes", "Writes to the Kubernetes API by result", writes.clone());
        registry.register("rounds", "Rounds by kind and by what was planned", rounds.clone());
        registry.register("events", "Kubernetes Events written", events.clone());
        registry.register(
            "drift_mended",
            "Changes made outside of Kubernetes that were put back",
            drift.clone(),
        );
        registry.register("round_seconds", "How long rounds take", seconds.clone());
        registry.register("queued_objects", "Objects that wait for a round", queued.clone());
        registry.register("leading", "1 while this operator leads, 0 while it waits", leading.clone());
        registry.register("objects", "Custom resources known", objects.clone());
        registry.register(
            "distribution_connected",
            "Meshes whose control plane tells about its proxies",
            connected.clone(),
        );
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// An App Mesh operation ended, well or with a failure of a class.
    pub fn called(&self, operation: &'static str, failed: Option<Class>) {
        let result = failed.map_or("ok", Class::as_str);
        self.calls.get_or_create(&CallLabels { operation, result }).inc();
    }

    /// A write to the Kubernetes API ended with this status; `None` when there was no answer.
    pub fn wrote(&self, method: &str, status: Option<u16>) {
        let method =
            ["PATCH", "POST", "PUT", "DELETE"].into_iter().find(|known| *known == method).unwrap_or("other");
        let result = match status {
            None => "unreachable",
            Some(200..=299) => "ok",
            Some(404) => "not_found",
            Some(409) => "conflict",
            Some(400..=499) => "refused",
            Some(_) => "server",
        };
        self.writes.get_or_create(&WriteLabels { method, result }).inc();
    }

    /// A round of an object of `kind` ended after `seconds` with a plan of this sort.
    pub fn round(&self, kind: Kind, plan: &'static str, seconds: f64) {
        self.rounds.get_or_create(&RoundLabels { kind: kind.as_str(), plan }).inc();
        self.seconds.observe(seconds);
    }

    /// An Event was written.
    pub fn event(&self) {
        self.events.inc();
    }

    /// A change from outside was put back.
    pub fn drift(&self) {
        self.drift.inc();
    }

    /// How many objects wait and how many are known.
    pub fn sizes(&self, queued: usize, objects: usize) {
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
        self.objects.set(i64::try_from(objects).unwrap_or(i64::MAX));
    }

    /// Whether this operator leads.
    pub fn leading(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// How many meshes have a control plane that tells about its proxies.
    pub fn connected(&self, meshes: usize) {
        self.connected.set(meshes as u64);
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Meter for Metrics {
    fn called(&self, operation: &'static str, failed: Option<Class>) {
        let result = failed.map_or("ok", Class::as_str);
        self.aws_calls.get_or_create(&CallLabels { operation, result }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
