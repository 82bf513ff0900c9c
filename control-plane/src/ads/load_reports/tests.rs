//! The service over a real connection, with the client that envoy-types generates: what proxies are asked for, how their reports
//! appear in the loads, and which callers are refused.

use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::endpoint::v3::{ClusterStats, UpstreamLocalityStats};
use envoy_types::pb::envoy::service::load_stats::v3::load_reporting_service_client::LoadReportingServiceClient;
use envoy_types::pb::envoy::service::load_stats::v3::{LoadStatsRequest, LoadStatsResponse};
use fleetmesh_api::distribution::ObjectStatus;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};
use tower::ServiceExt;

use crate::ads::tests::{AdsWorld, CLIENT, LONG, ROUTE, route};
use crate::loads;

const A: &str = "cds_egress_apps_a_http2_80";
const B: &str = "cds_egress_apps_b_http2_80";

/// A proxy that reports.
struct TestReporter {
    reports: mpsc::UnboundedSender<LoadStatsRequest>,
    answers: Streaming<LoadStatsResponse>,
}

impl TestReporter {
    async fn open(world: &AdsWorld, id: &str) -> Self {
        let mut client = LoadReportingServiceClient::connect(world.address.clone()).await.expect("connected");
        let (reports, stream) = mpsc::unbounded_channel();
        let node = Some(Node { id: id.into(), ..Node::default() });
        reports.send(LoadStatsRequest { node, cluster_stats: Vec::new() }).expect("open");
        let stream = UnboundedReceiverStream::new(stream);
        let answers = client.stream_load_stats(stream).await.expect("a stream").into_inner();
        Self { reports, answers }
    }

    /// One that knows what to report.
    async fn start(world: &AdsWorld, id: &str) -> Self {
        let mut reporter = Self::open(world, id).await;
        let wanted = reporter.answer().await.expect("an answer").expect("the stream goes on");
        assert!(
            wanted.send_all_clusters && wanted.clusters.is_empty() && !wanted.report_endpoint_granularity
        );
        let interval = wanted.load_reporting_interval.expect("an interval");
        assert_eq!((interval.seconds, interval.nanos), (0, 250_000_000));
        reporter
    }

    async fn answer(&mut self) -> Result<Option<LoadStatsResponse>, Status> {
        timeout(LONG, self.answers.message()).await.expect("an answer in time")
    }

    /// Reports `(cluster, issued, failed, in progress)` each.
    fn report(&self, clusters: &[(&str, u64, u64, u64)]) {
        let stats = clusters.iter().map(|(name, issued, failed, in_progress)| {
            let locality = UpstreamLocalityStats {
                total_issued_requests: *issued,
                total_successful_requests: issued - failed,
                total_error_requests: *failed,
                total_requests_in_progress: *in_progress,
                ..Default::default()
            };
            // As Envoy: a cluster without traffic has a name and no localities.
            let silent = (issued, in_progress) == (&0, &0);
            let localities = if silent { Vec::new() } else { vec![locality] };
            ClusterStats {
                cluster_name: (*name).into(),
                upstream_locality_stats: localities,
                ..Default::default()
            }
        });
        // Envoy repeats its node; whatever it says later changes nothing.
        let node = Some(Node { id: "mesh/apps/virtualNode/b".into(), ..Node::default() });
        self.reports
            .send(LoadStatsRequest { node, cluster_stats: stats.collect() })
            .expect("the stream is open");
    }
}

/// The answer of the endpoint for a window of a minute: status, error type, body.
async fn get(world: &AdsWorld, path: &str) -> (u16, Option<String>, Value) {
    let views: std::sync::Arc<dyn crate::views::Views> = world.meshes.clone();
    let router = loads::http::router(world.loads.clone(), crate::accounts::Accounts::default(), views);
    let router = router.layer(axum::Extension(crate::rights::Rights::Local));
    let request = http::Request::get(path).body(axum::body::Body::empty()).expect("a request");
    let answer = router.oneshot(request).await.expect("an answer");
    let kind = answer.headers().get("x-amzn-errortype").map(|kind| kind.to_str().expect("text").to_owned());
    let status = answer.status().as_u16();
    let body: Bytes = answer.into_body().collect().await.expect("a body").to_bytes();
    (status, kind, serde_json::from_slice(&body).expect("JSON"))
}

/// Awaits that what the endpoint says of `node` has these members, and gives all of them.
async fn until(world: &AdsWorld, node: &str, members: Value) -> Value {
    let wait = async {
        loop {
            let (_, _, body) = get(world, "/fleetmesh/v1/meshes/apps/loads").await;
            let targets = body["targets"].as_array().expect("targets");
            let found = targets.iter().find(|target| target["virtualNode"] == node);
            let has = |target: &&Value| {
                members.as_object().expect("members").iter().all(|(name, value)| target[name] == *value)
            };
            if let Some(found) = found.filter(has) {
                return found.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, wait).await.unwrap_or_else(|_| panic!("never {members} on {node}"))
}

#[tokio::test]
async fn reports_are_counted_by_the_virtual_node_that_the_clusters_lead_to() {
    let world = AdsWorld::start(None).await;
    let reporter = TestReporter::start(&world, CLIENT).await;
    let own = "cds_ingress_apps_client_http2_80";
    let stranger = "cds_egress_apps_client_http2_80";
    reporter.report(&[(A, 10, 3, 2), (B, 0, 0, 0), (own, 5, 5, 5), (stranger, 7, 7, 7)]);
    let a = until(&world, "a", json!({"reports": 1})).await;
    let arn = "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/a";
    assert_eq!(a["arn"], arn);
    assert_eq!(a["issued"], 10);
    assert_eq!(
        (&a["succeeded"], &a["failed"], &a["inProgress"], &a["reporters"]),
        (&json!(7), &json!(3), &json!(2), &json!(1))
    );
    until(&world, "b", json!({"reports": 1, "issued": 0, "succeeded": 0, "failed": 0})).await;
    reporter.report(&[(A, 1, 0, 4), (B, 0, 0, 0)]);
    until(&world, "a", json!({"reports": 2, "issued": 11, "inProgress": 4})).await;
    let second = TestReporter::start(&world, CLIENT).await;
    second.report(&[(A, 1, 1, 1)]);
    until(&world, "a", json!({"reports": 3, "failed": 4, "inProgress": 5, "reporters": 2})).await;
    let (_, _, body) = get(&world, "/fleetmesh/v1/meshes/apps/loads").await;
    let names: Vec<_> =
        body["targets"].as_array().expect("targets").iter().map(|one| &one["virtualNode"]).collect();
    assert_eq!(names, ["a", "b"]);
    drop(reporter);
    until(&world, "a", json!({"reports": 3, "issued": 12, "inProgress": 1, "reporters": 1})).await;
}

#[tokio::test]
async fn a_cluster_that_is_given_later_counts_from_then_on() {
    let world = AdsWorld::start(None).await;
    let mut proxy = world.proxy(CLIENT).await;
    proxy.settle().await;
    let reporter = TestReporter::start(&world, CLIENT).await;
    let new = "cds_egress_apps_c_http2_80";
    reporter.report(&[(A, 1, 0, 0), (new, 100, 0, 0)]);
    until(&world, "a", json!({"reports": 1})).await;
    let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
    let dns = json!({"dns": {"hostname": "c"}});
    world.meshes.commit("virtualNode/c", Some(json!({"listeners": listeners, "serviceDiscovery": dns})));
    let action = json!({"weightedTargets": [{"virtualNode": "c", "weight": 1}]});
    let spec = json!({"http2Route": {"action": action, "match": {"prefix": "/c"}}});
    world.meshes.commit("virtualRouter/r/route/c", Some(spec));
    world.runs("virtualRouter/r/route/c").await;
    reporter.report(&[(A, 1, 0, 0), (new, 5, 0, 0)]);
    until(&world, "c", json!({"reports": 1, "issued": 5})).await;
    world.meshes.commit("virtualNode/a", None);
    let (_, _, body) = get(&world, "/fleetmesh/v1/meshes/apps/loads").await;
    assert!(!body.to_string().contains("virtualNode/a"), "a deleted node is reported no more: {body}");
}

/// Nobody runs the node's configuration meanwhile: a proxy that only reports goes by what it calls now, too.
#[tokio::test]
async fn a_backend_that_was_taken_away_does_not_count_any_more() {
    let world = AdsWorld::start(None).await;
    let reporter = TestReporter::start(&world, CLIENT).await;
    reporter.report(&[(A, 10, 0, 0), (B, 1, 0, 0)]);
    until(&world, "b", json!({"issued": 1})).await;
    let action = json!({"weightedTargets": [{"virtualNode": "b", "weight": 1}]});
    world.meshes.commit(ROUTE, Some(json!({"http2Route": {"action": action, "match": {"prefix": "/"}}})));
    // It answers when the snapshots are those of the commit.
    world.distribution().await;
    reporter.report(&[(A, 777, 777, 0), (B, 5, 0, 0)]);
    until(&world, "b", json!({"issued": 6})).await;
    until(&world, "a", json!({"issued": 10, "failed": 0, "reports": 1})).await;
    let client = json!({"backends": [{"virtualService": {"virtualServiceName": "s.local"}}]});
    world.meshes.commit("virtualNode/client", None);
    world.distribution().await;
    reporter.report(&[(B, 100, 0, 0)]);
    // An answer to a later stream says that it was read.
    drop(reporter);
    let gone = TestReporter::open(&world, CLIENT).await.answer().await.expect_err("there is no such node");
    assert_eq!(i32::from(gone.code()), 3, "{gone}");
    world.meshes.commit("virtualNode/client", Some(client));
    world.distribution().await;
    let reporter = TestReporter::start(&world, CLIENT).await;
    reporter.report(&[(B, 1, 0, 0)]);
    until(&world, "b", json!({"issued": 7, "reports": 3})).await;
}

/// After a restart of the control plane the streams of a proxy come back one by one. Until that of its configuration does, it
/// shares requests as it did before, and a canary that counts it out would judge requests of the step before.
#[tokio::test]
async fn who_reports_and_is_not_connected_is_a_proxy_that_runs_what_it_got_before() {
    let world = AdsWorld::start(None).await;
    let counted = |counts: (i32, i32)| {
        move |status: &ObjectStatus| {
            let callers = status.callers.get("client").map(|caller| (caller.proxies, caller.acknowledged));
            (status.proxies, status.acknowledged) == counts && callers.unwrap_or_default() == counts
        }
    };
    let reporter = TestReporter::start(&world, CLIENT).await;
    world.until(ROUTE, counted((1, 0))).await;
    // Nobody follows the node, and it counts as before when others' snapshots were made anew.
    world.meshes.commit(ROUTE, Some(route(50)));
    world.until(ROUTE, |status| status.version == 2 && counted((1, 0))(status)).await;
    let mut proxy = world.proxy(CLIENT).await;
    proxy.settle().await;
    world.until(ROUTE, counted((1, 1))).await;
    let another = TestReporter::start(&world, CLIENT).await;
    world.until(ROUTE, counted((2, 1))).await;
    drop(another);
    world.until(ROUTE, counted((1, 1))).await;
    drop(proxy);
    world.until(ROUTE, counted((1, 0))).await;
    drop(reporter);
    world.until(ROUTE, counted((0, 0))).await;
}

#[tokio::test]
async fn who_cannot_report_gets_the_errors_of_the_discovery_service() {
    let world = AdsWorld::start(Some(1)).await;
    for id in [
        "mesh/apps/virtualNode/nobody",
        "mesh/none/virtualNode/client",
        "mesh/apps/virtualGateway/g",
        "mesh/apps",
        "",
    ] {
        let here = TestReporter::open(&world, id).await.answer().await.expect_err(id);
        let there = world.proxy(id).await.refused().await;
        assert_eq!((here.code(), here.message()), (there.code(), there.message()));
    }
    let reporter =
        TestReporter::start(&world, "arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/client")
            .await;
    let status = TestReporter::open(&world, CLIENT).await.answer().await.expect_err("one is the limit");
    assert_eq!(i32::from(status.code()), 8, "{status}");
    drop(reporter);
    let again = async { while TestReporter::open(&world, CLIENT).await.answer().await.is_err() {} };
    timeout(LONG, again).await.expect("the place is free again");
}

#[tokio::test]
async fn a_report_that_does_not_fit_ends_the_stream_and_counts_nothing() {
    let world = AdsWorld::start(None).await;
    let mut reporter = TestReporter::start(&world, CLIENT).await;
    reporter.report(&[(A, 1, 0, 6)]);
    until(&world, "a", json!({"inProgress": 6})).await;
    let many: Vec<_> =
        std::iter::repeat_n((A, 1, 0, 0), fleetmesh_mesh::ads::load_reports::wire::MAX_CLUSTERS + 1)
            .collect();
    reporter.report(&many);
    let status = reporter.answer().await.expect_err("too many");
    assert!(status.message().contains("at most 8192"), "{status}");
    until(&world, "a", json!({"issued": 1, "reports": 1, "inProgress": 0, "reporters": 0})).await;
}

#[tokio::test]
async fn streams_end_without_an_error_when_the_server_stops() {
    let world = AdsWorld::start(None).await;
    let mut reporter = TestReporter::start(&world, CLIENT).await;
    world.shutdown.cancel();
    assert!(reporter.answer().await.expect("code 0").is_none());
}

#[tokio::test]
async fn the_endpoint_says_what_it_reports_and_what_it_cannot() {
    let world = AdsWorld::start(None).await;
    let (status, _, body) = get(&world, "/fleetmesh/v1/meshes/apps/loads?window=600").await;
    assert_eq!(status, 200);
    let expected = json!({
        "mesh": "apps", "windowSeconds": 600, "observedSeconds": body["observedSeconds"], "reportIntervalMillis": 250,
        "targets": [],
    });
    assert_eq!(body, expected);
    assert!(body["observedSeconds"].as_u64().expect("seconds") < 60);
    for window in ["0", "601", "-1", "1.5", "", "ten"] {
        let (status, kind, body) =
            get(&world, &format!("/fleetmesh/v1/meshes/apps/loads?window={window}")).await;
        assert_eq!((status, kind.as_deref()), (400, Some("BadRequestException")), "{body}");
        let expected = format!("window {window:?} is out of bounds: whole seconds from 1 to 600");
        assert_eq!(body["message"], expected);
    }
    let (status, kind, body) = get(&world, "/fleetmesh/v1/meshes/none/loads").await;
    assert_eq!((status, kind.as_deref()), (404, Some("NotFoundException")));
    assert_eq!(body["message"], "the mesh \"none\" does not exist");
}
