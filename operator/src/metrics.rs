//! Metrics in the Prometheus text format. Every label is bounded: kinds, operations, classes.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_aws::{Called, Meter};
use fleetmesh_core::FailureClass;
use fleetmesh_metrics::{Catalog, Counter, Counters, Description, Gauge, Histograms, labels};
use fleetmesh_model::Kind;

use crate::rollout_metrics::RolloutMetrics;

/// Upper bounds in seconds. The last is the longest that a call may take.
const SECONDS: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0];

labels! {
    struct CallLabels { service: String, operation: &'static str, result: &'static str }
    struct OperationLabels { service: String, operation: &'static str }
    struct WriteLabels { method: &'static str, result: &'static str }
    struct MethodLabels { method: &'static str }
    struct ReconcileLabels { kind: &'static str, plan: &'static str, result: &'static str }
    struct KindLabels { kind: &'static str }
    struct ControllerLabels { controller: &'static str }
}

/// The operator's metrics. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    calls: Counters<CallLabels>,
    call_seconds: Histograms<OperationLabels>,
    retries: Counters<OperationLabels>,
    throttles: Counters<OperationLabels>,
    writes: Counters<WriteLabels>,
    request_seconds: Histograms<MethodLabels>,
    reconciles: Counters<ReconcileLabels>,
    round_seconds: Histograms<KindLabels>,
    panics: Counters<ControllerLabels>,
    events: Counter,
    drift: Counter,
    queued: Gauge,
    objects: Gauge,
    leading: Gauge,
    connected: Gauge,
    /// Those of rollouts.
    pub rollouts: RolloutMetrics,
    catalog: Arc<Catalog>,
}

impl Metrics {
    /// Metrics that all count from 0.
    pub fn new() -> Self {
        let mut of = Catalog::new("fleetmesh_operator");
        Self {
            calls: of.counters(
                "calls",
                "Calls of App Mesh and of other AWS services, by result: ok, or the class of the failure",
            ),
            call_seconds: of.histograms(
                "call_seconds",
                "How long these calls took, with their retries",
                SECONDS,
            ),
            retries: of.counters("call_retries", "Attempts of calls beyond the first"),
            throttles: of.counters("call_throttles", "Attempts of calls that were answered by a throttle"),
            writes: of.counters("kubernetes_writes", "Writes to the Kubernetes API by result"),
            request_seconds: of.histograms(
                "kubernetes_request_seconds",
                "How long the Kubernetes API took to answer; of a watch, to begin it",
                SECONDS,
            ),
            reconciles: of.counters(
                "rounds",
                "Reconciles by kind, by what was planned, and by result: ok, or the class of the failure",
            ),
            round_seconds: of.histograms(
                "round_seconds",
                "How long reconciles took until the plan was carried out",
                SECONDS,
            ),
            panics: of.counters(
                "panics",
                "Panics while an object of this kind was reconciled, or something was asked for it",
            ),
            events: of.counter("events", "Kubernetes Events written"),
            drift: of.counter("drift_mended", "Changes made outside of Kubernetes that were put back"),
            queued: of.gauge("queued_objects", "Objects that wait for a reconcile"),
            objects: of.gauge("objects", "Custom resources known"),
            leading: of.gauge("leading", "1 while this operator leads, 0 while it waits"),
            connected: of
                .gauge("distribution_connected", "Meshes whose control plane reports on its proxies"),
            rollouts: RolloutMetrics::register(&mut of),
            catalog: Arc::new(of),
        }
    }

    /// A write to the Kubernetes API ended with this status; `None` when there was no answer.
    pub fn wrote(&self, method: &str, status: Option<u16>) {
        let method = known(method);
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

    /// The Kubernetes API answered, or failed to, after `took`.
    pub fn answered(&self, method: &str, took: Duration) {
        let labels = MethodLabels { method: known(method) };
        self.request_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A reconcile of an object of `kind` ended after `took` with a plan of this sort, well or with a failure.
    pub fn reconcile(&self, kind: Kind, plan: &'static str, failed: Option<FailureClass>, took: Duration) {
        let (kind, result) = (kind.as_str(), result(failed));
        self.reconciles.get_or_create(&ReconcileLabels { kind, plan, result }).inc();
        self.round_seconds.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
    }

    /// Something that was done for an object of `kind` panicked.
    pub fn panicked(&self, kind: Kind) {
        self.panics.get_or_create(&ControllerLabels { controller: kind.as_str() }).inc();
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
        self.queued.set(size(queued));
        self.objects.set(size(objects));
    }

    /// Whether this operator leads.
    pub fn leading(&self, leads: bool) {
        self.leading.set(i64::from(leads));
    }

    /// How many meshes have a control plane that reports on its proxies.
    pub fn connected(&self, meshes: usize) {
        self.connected.set(size(meshes));
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        self.catalog.text()
    }

    /// Every family, those without samples too.
    pub fn families(&self) -> &[Description] {
        self.catalog.families()
    }
}

fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn result(failed: Option<FailureClass>) -> &'static str {
    failed.map_or("ok", FailureClass::as_str)
}

fn known(method: &str) -> &'static str {
    ["GET", "PATCH", "POST", "PUT", "DELETE"].into_iter().find(|known| *known == method).unwrap_or("other")
}

impl Meter for Metrics {
    fn called(&self, call: &Called) {
        let Called { service, operation, failed, took, attempts, throttled } = call;
        let labels = OperationLabels { service: service.clone(), operation };
        self.call_seconds.get_or_create(&labels).observe(took.as_secs_f64());
        // Of each call there is a sample, so that a rate is 0 and not absent where nothing is tried again.
        self.retries.get_or_create(&labels).inc_by(u64::from(attempts.saturating_sub(1)));
        self.throttles.get_or_create(&labels).inc_by(u64::from(*throttled));
        let labels = CallLabels { service: service.clone(), operation, result: result(*failed) };
        self.calls.get_or_create(&labels).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_with_its_retries_and_throttles() {
        let metrics = Metrics::new();
        let mut call = Called {
            service: "ec2".to_owned(),
            operation: "CreateFleet",
            failed: None,
            took: Duration::from_millis(20),
            attempts: 3,
            throttled: 2,
        };
        metrics.called(&call);
        // Not sent: there were no credentials.
        (call.attempts, call.throttled, call.failed) = (0, 0, Some(FailureClass::Credentials));
        metrics.called(&call);
        for line in [
            r#"calls_total{service="ec2",operation="CreateFleet",result="ok"} 1"#,
            r#"calls_total{service="ec2",operation="CreateFleet",result="credentials"} 1"#,
            r#"call_retries_total{service="ec2",operation="CreateFleet"} 2"#,
            r#"call_throttles_total{service="ec2",operation="CreateFleet"} 2"#,
            r#"call_seconds_bucket{le="0.03",service="ec2",operation="CreateFleet"} 2"#,
        ] {
            let line = format!("fleetmesh_operator_{line}\n");
            assert!(metrics.text().contains(&line), "{line}{}", metrics.text());
        }
    }
}
