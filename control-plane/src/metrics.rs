//! The control plane's metrics, as OpenMetrics text on `/metrics` of the API's listeners. Every label is bounded: operations, error
//! classes, resource types, gRPC codes. Names of meshes, nodes, proxies or people are never labels.

use std::sync::Arc;
use std::time::Duration;

use fleetmesh_mesh::refusal::Class;
use fleetmesh_mesh::snapshot::ResourceType;
use fleetmesh_metrics::{Catalog, Counters, Description, Gauge, Gauges, Histogram, Histograms, labels};
use tonic::Code;

use crate::views::Views;

/// Upper bounds in seconds.
const SECONDS: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0];

labels! {
    struct RequestLabels { operation: &'static str, result: &'static str }
    struct OperationLabel { operation: &'static str }
    struct TypeLabel { resource_type: &'static str }
    struct CodeLabel { code: &'static str }
    struct ResultLabel { result: &'static str }
    struct KindLabel { kind: &'static str }
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
pub struct ServerMetrics {
    requests: Counters<RequestLabels>,
    request_seconds: Histograms<OperationLabel>,
    commits: Counters<ResultLabel>,
    commit_seconds: Histogram,
    objects: Gauges<KindLabel>,
    revision: Gauge,
    streams: Gauge,
    behind: Gauge,
    stream_ends: Counters<CodeLabel>,
    pushes: Counters<TypeLabel>,
    pushed_bytes: Counters<TypeLabel>,
    acknowledged: Histograms<TypeLabel>,
    refused: Counters<TypeLabel>,
    joins: Counters<ResultLabel>,
    polls: Counters<ResultLabel>,
    authorities: Counters<ResultLabel>,
    catalog: Arc<Catalog>,
}

impl ServerMetrics {
    /// Metrics that all count from 0.
    pub fn new() -> Self {
        let mut of = Catalog::new("fleetmesh_control_plane");
        Self {
            requests: of
                .counters("requests", "Requests of the App Mesh API by result: ok, or App Mesh's exception"),
            request_seconds: of.histograms("request_seconds", "How long they took", SECONDS),
            commits: of
                .counters("commits", "Changes given to the store by result: ok, refused by a rule, failed"),
            commit_seconds: of.histogram("commit_seconds", "How long they took, the disk included", SECONDS),
            objects: of.gauges("store_objects", "App Mesh objects in the store"),
            revision: of.gauge(
                "store_revision",
                "The commits that the store ever took; a backup that is put back takes it back",
            ),
            streams: of.gauge("streams", "Proxies that stream their configuration"),
            behind: of.gauge(
                "streams_behind",
                "Those of them that have not acknowledged all of their present configuration",
            ),
            stream_ends: of.counters("stream_ends", "Streams that ended, by gRPC code"),
            pushes: of.counters("pushes", "Answers sent to proxies by resource type"),
            pushed_bytes: of.counters("pushed_bytes", "The size of their resources"),
            acknowledged: of.histograms(
                "acknowledgement_seconds",
                "The time between an answer and its acknowledgement (ACK)",
                SECONDS,
            ),
            refused: of.counters("refusals", "Answers that a proxy refused (NACK)"),
            joins: of.counters(
                "joins",
                "Instances that asked for a certificate, by result: ok, or App Mesh's exception",
            ),
            polls: of.counters("cloud_map_polls", "Looks at services of AWS Cloud Map by result: ok, failed"),
            authorities: of.counters(
                "authority_reads",
                "Certificates of authorities asked of ACM PCA by result: ok, failed",
            ),
            catalog: Arc::new(of),
        }
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

    /// A proxy's stream begins, behind its configuration; it ends when the answer is dropped.
    pub fn stream(&self) -> StreamGuard {
        self.streams.inc();
        self.behind.inc();
        StreamGuard { streams: self.streams.clone(), behind: self.behind.clone(), is_behind: true }
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

    /// An instance asked for a certificate.
    pub fn joined(&self, refused: Option<Class>) {
        let result = refused.map_or("ok", Class::shape);
        self.joins.get_or_create(&ResultLabel { result }).inc();
    }

    /// A service of Cloud Map was looked at.
    pub fn polled(&self, answered: bool) {
        let result = if answered { "ok" } else { "failed" };
        self.polls.get_or_create(&ResultLabel { result }).inc();
    }

    /// ACM PCA was asked for the certificate of an authority; `ok` is whether it has it.
    pub fn read_authority(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.authorities.get_or_create(&ResultLabel { result }).inc();
    }

    /// Sets what is known of the store.
    fn stored(&self, views: &dyn Views) {
        let mut counts = std::collections::BTreeMap::new();
        for view in views.mesh_names().iter().filter_map(|name| views.mesh(name)) {
            for id in view.resources.keys() {
                *counts.entry(id.kind().as_str()).or_insert(0) += 1;
            }
        }
        // A kind that is gone must not stay as it was.
        self.objects.clear();
        for (kind, count) in counts {
            self.objects.get_or_create(&KindLabel { kind }).set(count);
        }
        let revision = *views.revisions().borrow();
        self.revision.set(i64::try_from(revision).unwrap_or(i64::MAX));
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        self.catalog.text()
    }

    /// Every family, those without samples too.
    pub fn families(&self) -> &[Description] {
        self.catalog.families()
    }

    /// The same, with the sizes of what is in `views` now.
    pub fn page(&self, views: &dyn Views) -> String {
        self.stored(views);
        self.text()
    }
}

impl Default for ServerMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// A stream that is open.
#[derive(Debug)]
pub struct StreamGuard {
    streams: Gauge,
    behind: Gauge,
    is_behind: bool,
}

impl StreamGuard {
    /// Whether the proxy has not acknowledged all of its present configuration.
    pub fn behind(&mut self, is_behind: bool) {
        match (self.is_behind, is_behind) {
            (false, true) => _ = self.behind.inc(),
            (true, false) => _ = self.behind.dec(),
            _ => {}
        }
        self.is_behind = is_behind;
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.behind(false);
        self.streams.dec();
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
        let metrics = ServerMetrics::new();
        metrics.served("Update", None, Duration::from_millis(2));
        metrics.served("Create", Some(Class::Conflict), Duration::from_millis(2));
        metrics.committed(Committed::Refused, Duration::from_millis(2));
        metrics.pushed(ResourceType::Route, 10);
        metrics.pushed(ResourceType::Route, 5);
        metrics.acknowledged(ResourceType::Route, Duration::from_millis(20));
        metrics.refused(ResourceType::Listener);
        metrics.ended(Code::Unauthenticated);
        metrics.joined(Some(Class::Forbidden));
        metrics.polled(true);
        metrics.read_authority(false);
        let mut open = metrics.stream();
        assert!(metrics.text().contains("streams_behind 1\n"), "it has acknowledged nothing");
        open.behind(false);
        open.behind(false);
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
            r#"joins_total{result="ForbiddenException"} 1"#,
            r#"cloud_map_polls_total{result="ok"} 1"#,
            r#"authority_reads_total{result="failed"} 1"#,
            "streams 1",
            "streams_behind 0",
        ] {
            let line = format!("fleetmesh_control_plane_{line}\n");
            assert!(metrics.text().contains(&line), "{line}{}", metrics.text());
        }
        open.behind(true);
        assert!(metrics.text().contains("streams_behind 1\n"));
        drop(open);
        assert!(metrics.text().contains("fleetmesh_control_plane_streams 0\n"));
        assert!(metrics.text().contains("streams_behind 0\n"), "who is gone is not behind");
    }
}
