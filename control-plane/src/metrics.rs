//! What the control plane counts, as OpenMetrics text on `/metrics` of the API's listeners. Every label is bounded: operations,
//! error classes, resource types, gRPC codes. No name of a mesh, a node, a proxy or a person is one.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::Code;

use crate::refusal::Class;
use crate::snapshot::ResourceType;

/// The media type of [`Metrics::text`].
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Upper bounds in seconds.
const BUCKETS: [f64; 11] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    resource_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// How a commit to the store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// It is on the disk.
    Ok,
    /// The rules refused it.
    Refused,
    /// The storage could not take it.
    Failed,
}

/// The metrics. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<OperationLabel, Histogram>,
    commits: Family<ResultLabel, Counter>,
    commit_seconds: Histogram,
    streams: Gauge,
    stream_ends: Family<CodeLabel, Counter>,
    pushes: Family<TypeLabel, Counter>,
    pushed_bytes: Family<TypeLabel, Counter>,
    acknowledged: Family<TypeLabel, Histogram>,
    refused: Family<TypeLabel, Counter>,
}

impl Metrics {
    /// Metrics that all count from 0.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            commits: Family::default(),
            commit_seconds: Histogram::new(BUCKETS),
            streams: Gauge::default(),
            stream_ends: Family::default(),
            pushes: Family::default(),
            pushed_bytes: Family::default(),
            acknowledged: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            refused: Family::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }

    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("fleetmesh_control_plane");
        let Self {
            registry: _,
            requests,
            request_seconds,
            commits,
            commit_seconds,
            streams,
            stream_ends,
            pushes,
            pushed_bytes,
            acknowledged,
            refused,
        } = self;
        registry.register("requests", "Requests of the App Mesh API by result", requests.clone());
        registry.register("request_seconds", "How long they took", request_seconds.clone());
        registry.register("commits", "Changes given to the store by result", commits.clone());
        registry.register("commit_seconds", "How long they took, the disk included", commit_seconds.clone());
        registry.register("streams", "Proxies that stream their configuration", streams.clone());
        registry.register("stream_ends", "Streams that ended, by gRPC code", stream_ends.clone());
        registry.register("pushes", "Answers sent to proxies by resource type", pushes.clone());
        registry.register("pushed_bytes", "The size of their resources", pushed_bytes.clone());
        registry.register(
            "acknowledgement_seconds",
            "The time between an answer and its acknowledgement",
            acknowledged.clone(),
        );
        registry.register("refusals", "Answers that a proxy refused (NACK)", refused.clone());
        registry
    }

    /// A request of the API ended after `took`, well or with a refusal of a class. `operation` is one of App Mesh's verbs.
    pub fn served(&self, operation: &'static str, refused: Option<Class>, took: Duration) {
        let result = refused.map_or("ok", Class::shape);
        self.requests.get_or_create(&RequestLabels { operation, result }).inc();
        self.request_seconds.get_or_create(&OperationLabel { operation }).observe(took.as_secs_f64());
    }

    /// A commit ended after `took`.
    pub fn committed(&self, how: Committed, took: Duration) {
        let result = match how {
            Committed::Ok => "ok",
            Committed::Refused => "refused",
            Committed::Failed => "failed",
        };
        self.commits.get_or_create(&ResultLabel { result }).inc();
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// A proxy's stream begins; it ends when the answer is dropped.
    pub fn stream(&self) -> StreamGuard {
        self.streams.inc();
        StreamGuard(self.streams.clone())
    }

    /// A stream of a proxy that has a certificate, or needs none, ended with `code`.
    pub fn ended(&self, code: Code) {
        self.stream_ends.get_or_create(&CodeLabel { code: name(code) }).inc();
    }

    /// An answer of `bytes` was sent.
    pub fn pushed(&self, kind: ResourceType, bytes: usize) {
        let label = TypeLabel { resource_type: kind.name() };
        self.pushes.get_or_create(&label).inc();
        self.pushed_bytes.get_or_create(&label).inc_by(bytes as u64);
    }

    /// A proxy acknowledged an answer that was sent `took` ago.
    pub fn acknowledged(&self, kind: ResourceType, took: Duration) {
        let label = TypeLabel { resource_type: kind.name() };
        self.acknowledged.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// A proxy refused an answer.
    pub fn refused(&self, kind: ResourceType) {
        self.refused.get_or_create(&TypeLabel { resource_type: kind.name() }).inc();
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// Serves `/metrics`.
    pub fn router(&self) -> Router {
        let metrics = self.clone();
        let page = move || {
            let text = metrics.text();
            async move { ([(CONTENT_TYPE, OPEN_METRICS)], text) }
        };
        Router::new().route("/metrics", get(page))
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A stream that is open.
#[derive(Debug)]
pub struct StreamGuard(Gauge);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The codes that streams end with; gRPC's names.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::Unavailable => "UNAVAILABLE",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_on_the_page() {
        let metrics = Metrics::new();
        metrics.served("Update", None, Duration::from_millis(2));
        metrics.served("Create", Some(Class::Conflict), Duration::from_millis(2));
        metrics.committed(Committed::Refused, Duration::from_millis(2));
        metrics.pushed(ResourceType::Route, 10);
        metrics.pushed(ResourceType::Route, 5);
        metrics.acknowledged(ResourceType::Route, Duration::from_millis(20));
        metrics.refused(ResourceType::Listener);
        metrics.ended(Code::Unauthenticated);
        let open = metrics.stream();
        for line in [
            r#"requests_total{operation="Update",result="ok"} 1"#,
            r#"requests_total{operation="Create",result="ConflictException"} 1"#,
            r#"request_seconds_count{operation="Update"} 1"#,
            r#"commits_total{result="refused"} 1"#,
            r#"pushes_total{resource_type="route"} 2"#,
            r#"pushed_bytes_total{resource_type="route"} 15"#,
            r#"acknowledgement_seconds_bucket{le="0.03",resource_type="route"} 1"#,
            r#"refusals_total{resource_type="listener"} 1"#,
            r#"stream_ends_total{code="UNAUTHENTICATED"} 1"#,
            "streams 1",
        ] {
            let line = format!("fleetmesh_control_plane_{line}\n");
            assert!(metrics.text().contains(&line), "{line}{}", metrics.text());
        }
        drop(open);
        assert!(metrics.text().contains("fleetmesh_control_plane_streams 0\n"));
    }
}
