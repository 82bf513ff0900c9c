//! The service over a real connection, with the client that envoy-types generates, in both variants of the protocol: what proxies
//! get, and what the distribution says of them.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::google::rpc::Status as Refused;
use fleetmesh_api::distribution::{DistributionAnswer, ObjectStatus};
use fleetmesh_mesh::ads::stream::Variant;
use fleetmesh_mesh::cloud_map::{Discovered, Discovery, RegisteredInstance, ServiceName};
use fleetmesh_mesh::snapshot::ResourceType;
use fleetmesh_mesh::testing::view;
use fleetmesh_model::MeshName;
use fleetmesh_tasks::Tasks;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::test_proxy::AdsProxy;
use super::{AdsSettings, ProxyBooks, serve};
use crate::distribution::Distribution;
use crate::listen::{BoundListener, Bounds, Listen};
use crate::loads::ReportedLoads;
use crate::metrics::ServerMetrics;
use crate::testing::TestMeshes;
use crate::tls::Purpose;

pub(super) const LONG: Duration = Duration::from_secs(20);
pub(super) const ROUTE: &str = "virtualRouter/r/route/x";

pub(super) fn route(weight: u32) -> Value {
    let targets = json!([{"virtualNode": "a", "weight": 100}, {"virtualNode": "b", "weight": weight}]);
    json!({"http2Route": {"action": {"weightedTargets": targets}, "match": {"prefix": "/"}}})
}

fn calling() -> Value {
    json!({"backends": [{"virtualService": {"virtualServiceName": "s.local"}}]})
}

fn meshes() -> Arc<TestMeshes> {
    let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
    let target =
        |host: &str| json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": host}}});
    TestMeshes::new(view(&[
        ("virtualNode/a", target("a")),
        ("virtualNode/b", target("b")),
        ("virtualRouter/r", json!({"listeners": listeners})),
        (ROUTE, route(0)),
        ("virtualService/s.local", json!({"provider": {"virtualRouter": {"virtualRouterName": "r"}}})),
        ("virtualNode/client", calling()),
    ]))
}

pub(super) const VARIANTS: [Variant; 2] = [Variant::StateOfTheWorld, Variant::Delta];

/// A served mesh.
pub(super) struct AdsWorld {
    /// That of its proxies.
    variant: Variant,
    pub(super) meshes: Arc<TestMeshes>,
    /// What Cloud Map knows.
    known: watch::Sender<Discovered>,
    distribution: Arc<Distribution>,
    pub(super) loads: Arc<ReportedLoads>,
    pub(super) metrics: ServerMetrics,
    pub(super) address: String,
    pub(super) shutdown: CancellationToken,
}

impl AdsWorld {
    pub(super) async fn start(limit: Option<usize>) -> Self {
        Self::start_in(Variant::StateOfTheWorld, limit).await
    }

    pub(super) async fn start_in(variant: Variant, limit: Option<usize>) -> Self {
        let settings = AdsSettings { max_proxies_per_node: limit, ..AdsSettings::default() };
        let bound = Listen::Tcp("127.0.0.1:0".into())
            .bind(Purpose::Proxies, None, Bounds::default())
            .await
            .expect("a port");
        Self { variant, ..Self::start_on(bound, settings) }
    }

    /// The same on this listener.
    pub(super) fn start_on(bound: BoundListener, settings: AdsSettings) -> Self {
        let meshes = meshes();
        let views: Arc<dyn crate::views::Views> = Arc::clone(&meshes) as _;
        let distribution = Arc::new(Distribution::new(Arc::clone(&views)));
        let address = format!("http://{}", bound.address());
        let shutdown = CancellationToken::new();
        let known = watch::Sender::new(Discovered::default());
        let discovered = known.subscribe();
        let loads = Arc::new(ReportedLoads::new(Duration::from_millis(250)));
        let metrics = ServerMetrics::new();
        let books = ProxyBooks {
            distribution: Arc::clone(&distribution),
            loads: Arc::clone(&loads),
            metrics: metrics.clone(),
        };
        serve(views, discovered, settings, vec![bound], books, &Tasks::default(), &shutdown);
        let variant = Variant::StateOfTheWorld;
        Self { variant, meshes, known, distribution, loads, metrics, address, shutdown }
    }

    pub(super) async fn proxy(&self, id: &str) -> AdsProxy {
        AdsProxy::open(self.variant, self.channel().await, id, "").await.expect("a stream")
    }

    pub(super) async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(self.address.clone()).expect("an address");
        endpoint.connect().await.expect("connected")
    }

    /// A proxy that says when it connects that it runs `version` of the clusters.
    pub(super) async fn proxy_with(&self, id: &str, version: &str) -> AdsProxy {
        let (variant, channel) = (Variant::StateOfTheWorld, self.channel().await);
        AdsProxy::open(variant, channel, id, version).await.expect("a stream")
    }

    /// Opens a stream over `channel`.
    pub(super) async fn open(channel: Channel, id: &str) -> Result<AdsProxy, Status> {
        AdsProxy::open(Variant::StateOfTheWorld, channel, id, "").await
    }

    /// Whether the metrics have this line.
    fn counts(&self, line: &str) {
        let page = self.metrics.text();
        assert!(page.contains(&format!("fleetmesh_control_plane_{line}\n")), "no {line} in\n{page}");
    }

    pub(super) async fn distribution(&self) -> DistributionAnswer {
        self.distribution.answer(&"apps".into(), None, Instant::now() + LONG).await.expect("the mesh")
    }

    /// Awaits that the object is in what some proxy is to run.
    pub(super) async fn runs(&self, path: &str) {
        self.until(path, |status| status.proxies > 0).await;
    }

    /// Awaits that the distribution says `what` of the object.
    pub(super) async fn until(&self, path: &str, what: impl Fn(&ObjectStatus) -> bool) -> ObjectStatus {
        let mut answer = self.distribution().await;
        let deadline = Instant::now() + LONG;
        loop {
            let resource = format!("mesh/apps/{path}");
            if let Some(found) = answer.objects.iter().find(|one| one.resource == resource && what(one)) {
                return found.clone();
            }
            let next = self.distribution.answer(&"apps".into(), Some(answer.token.clone()), deadline).await;
            assert!(Instant::now() < deadline, "never: {answer:#?}");
            answer = next.expect("the mesh");
        }
    }
}

pub(super) const CLIENT: &str = "mesh/apps/virtualNode/client";

#[tokio::test]
async fn a_changed_weight_is_one_answer_and_its_acknowledgement_is_reported() {
    for variant in VARIANTS {
        let world = AdsWorld::start_in(variant, None).await;
        let mut proxy = world.proxy(CLIENT).await;
        proxy.settle().await;
        let all = |status: &ObjectStatus| (status.proxies, status.acknowledged) == (1, 1);
        for path in
            ["virtualNode/client", "virtualNode/a", "virtualRouter/r", "virtualService/s.local", ROUTE]
        {
            world.until(path, all).await;
        }
        world.meshes.commit(ROUTE, Some(route(50)));
        let waiting = world.until(ROUTE, |status| status.version == 2).await;
        assert_eq!((waiting.proxies, waiting.acknowledged), (1, 0));
        let routes = proxy.take(ResourceType::Route).await;
        proxy.acknowledge(&routes, &["rds_egress_http2_80"]);
        world.until(ROUTE, all).await;
        drop(proxy);
        world.until(ROUTE, |status| status.proxies == 0).await;
    }
}

#[tokio::test]
async fn a_refusal_is_reported_with_the_proxys_words_on_the_object_that_changed() {
    for variant in VARIANTS {
        let world = AdsWorld::start_in(variant, None).await;
        let mut proxy = world.proxy(CLIENT).await;
        let before = proxy.settle().await;
        world.until(ROUTE, |status| status.acknowledged == 1).await;
        world.meshes.commit(ROUTE, Some(route(50)));
        let routes = proxy.take(ResourceType::Route).await;
        proxy.send(DiscoveryRequest {
            resource_names: vec!["rds_egress_http2_80".into()],
            type_url: routes.type_url.clone(),
            response_nonce: routes.nonce.clone(),
            error_detail: Some(Refused { code: 13, message: "not like this".into(), details: Vec::new() }),
            ..DiscoveryRequest::default()
        });
        let refused = world.until(ROUTE, |status| !status.rejected.is_empty()).await;
        assert_eq!((refused.acknowledged, &*refused.rejected[0].message), (0, "not like this"));
        assert!(refused.rejected[0].proxy.starts_with("mesh/apps/virtualNode/client#"));
        let others = world.distribution().await.objects;
        let blamed: Vec<_> =
            others.iter().filter(|one| !one.rejected.is_empty()).map(|one| &*one.resource).collect();
        assert_eq!(blamed, ["mesh/apps/virtualRouter/r/route/x"]);
        // What it may have taken of that is taken back.
        let restored = proxy.take(ResourceType::Route).await;
        assert_eq!(restored.resources, before.resources);
        proxy.acknowledge(&restored, &["rds_egress_http2_80"]);
        world.meshes.commit(ROUTE, Some(route(7)));
        let routes = proxy.take(ResourceType::Route).await;
        proxy.acknowledge(&routes, &["rds_egress_http2_80"]);
        world.until(ROUTE, |status| status.acknowledged == 1 && status.rejected.is_empty()).await;
        world.counts(r#"pushes_total{resource_type="route"} 4"#);
        world.counts(r#"refusals_total{resource_type="route"} 1"#);
        world.counts(r#"acknowledgement_seconds_count{resource_type="route"} 3"#);
        world.counts("streams 1");
    }
}

#[tokio::test]
async fn of_two_routes_that_changed_at_once_the_one_whose_words_are_quoted_is_blamed() {
    for variant in VARIANTS {
        let world = AdsWorld::start_in(variant, None).await;
        let mut proxy = world.proxy(CLIENT).await;
        proxy.settle().await;
        world.until(ROUTE, |status| status.acknowledged == 1).await;
        let action = json!({"weightedTargets": [{"virtualNode": "a", "weight": 1}]});
        let bad = json!({"http2Route": {"action": action, "match": {"path": {"regex": "/bad"}}}});
        world.meshes.commit(ROUTE, Some(route(50)));
        world.meshes.commit("virtualRouter/r/route/bad", Some(bad));
        let mut routes = proxy.take(ResourceType::Route).await;
        if !String::from_utf8_lossy(&routes.resources[0].value).contains("/bad") {
            // The commits fell on both sides of an update.
            proxy.acknowledge(&routes, &["rds_egress_http2_80"]);
            routes = proxy.take(ResourceType::Route).await;
        }
        proxy.send(DiscoveryRequest {
            resource_names: vec!["rds_egress_http2_80".into()],
            type_url: routes.type_url.clone(),
            response_nonce: routes.nonce.clone(),
            error_detail: Some(Refused { code: 13, message: "not so: /bad".into(), details: Vec::new() }),
            ..DiscoveryRequest::default()
        });
        world.until("virtualRouter/r/route/bad", |status| !status.rejected.is_empty()).await;
        world.until(ROUTE, |status| status.rejected.is_empty()).await;
    }
}

/// Requests that say nothing, more than come at once: what comes after them waits for its turn.
#[tokio::test]
async fn a_flood_of_requests_is_read_in_its_turn() {
    for variant in VARIANTS {
        let world = AdsWorld::start_in(variant, None).await;
        let began = Instant::now();
        let mut proxy = world.proxy(CLIENT).await;
        let clusters = proxy.take(ResourceType::Cluster).await;
        for _ in 0..1100 {
            proxy.acknowledge(&clusters, &[]);
        }
        proxy.subscribe(ResourceType::Listener, &[]);
        proxy.take(ResourceType::Listener).await;
        // The opening one is not counted, 999 come at once, and the others at 200 a second.
        assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn what_a_refusal_says_beyond_its_bound_is_not_searched() {
    const BAD: &str = "virtualRouter/r/route/bad";
    for variant in VARIANTS {
        let world = AdsWorld::start_in(variant, None).await;
        let mut proxy = world.proxy(CLIENT).await;
        proxy.settle().await;
        world.until(ROUTE, |status| status.acknowledged == 1).await;
        let mut weight = 50;
        let (routes, quote) = loop {
            let quote = format!("/bad{weight}");
            let action = json!({"weightedTargets": [{"virtualNode": "a", "weight": 1}]});
            let bad = json!({"http2Route": {"action": action, "match": {"path": {"regex": quote}}}});
            world.meshes.commit(ROUTE, Some(route(weight)));
            world.meshes.commit(BAD, Some(bad));
            let routes = proxy.take(ResourceType::Route).await;
            if String::from_utf8_lossy(&routes.resources[0].value).contains(&quote) {
                break (routes, quote);
            }
            // The commits fell on both sides of an update: once more, so that both are new at once.
            proxy.acknowledge(&routes, &["rds_egress_http2_80"]);
            let routes = proxy.take(ResourceType::Route).await;
            proxy.acknowledge(&routes, &["rds_egress_http2_80"]);
            weight += 1;
        };
        let message = "x".repeat(4096) + &quote;
        proxy.send(DiscoveryRequest {
            resource_names: vec!["rds_egress_http2_80".into()],
            type_url: routes.type_url.clone(),
            response_nonce: routes.nonce.clone(),
            error_detail: Some(Refused { code: 13, message, details: Vec::new() }),
            ..DiscoveryRequest::default()
        });
        for path in [ROUTE, BAD] {
            world.until(path, |status| !status.rejected.is_empty()).await;
        }
    }
}

#[tokio::test]
async fn who_cannot_be_served_gets_app_meshs_codes() {
    for variant in VARIANTS {
        let world = AdsWorld::start_in(variant, Some(1)).await;
        for (id, code) in [
            ("mesh/apps/virtualNode/nobody", 3),
            ("mesh/none/virtualNode/client", 3),
            ("mesh/apps/virtualGateway/g", 3),
            ("", 3),
        ] {
            let status = world.proxy(id).await.answer().await.expect_err(id);
            assert_eq!(i32::from(status.code()), code, "{status}");
        }
        world.counts(r#"stream_ends_total{code="INVALID_ARGUMENT"} 4"#);
        let mut first =
            world.proxy("arn:aws:appmesh:us-west-2:111122223333:mesh/apps/virtualNode/client").await;
        first.settle().await;
        let status = world.proxy(CLIENT).await.answer().await.expect_err("one is the limit");
        assert_eq!(i32::from(status.code()), 8, "{status}");
    }
}

#[tokio::test]
async fn a_deleted_node_leaves_its_proxies_as_they_are_and_uncounted() {
    for variant in VARIANTS {
        let world = AdsWorld::start_in(variant, None).await;
        let mut proxy = world.proxy(CLIENT).await;
        proxy.settle().await;
        world.until(ROUTE, |status| status.acknowledged == 1).await;
        world.meshes.commit("virtualNode/client", None);
        world.until(ROUTE, |status| status.proxies == 0).await;
        world.meshes.commit("virtualNode/client", Some(calling()));
        world.until(ROUTE, |status| (status.proxies, status.acknowledged) == (1, 1)).await;
        world.meshes.commit(ROUTE, Some(route(1)));
        proxy.take(ResourceType::Route).await;
    }
}

/// Without it every proxy would keep what it has, for ever, and nobody would know.
#[tokio::test]
async fn when_nothing_makes_snapshots_any_more_serving_ends_with_an_error() {
    /// A store that is gone.
    struct Gone;
    impl crate::views::Views for Gone {
        fn mesh(&self, _: &MeshName) -> Option<Arc<fleetmesh_mesh::view::MeshView>> {
            None
        }
        fn mesh_names(&self) -> Vec<MeshName> {
            panic!("the store is gone")
        }
        fn revisions(&self) -> watch::Receiver<u64> {
            watch::channel(0).1
        }
        fn version_keys(&self) -> Arc<fleetmesh_mesh::snapshot::VersionKeys> {
            crate::views::Views::version_keys(meshes().as_ref())
        }
    }
    let bound = Listen::Tcp("127.0.0.1:0".into()).bind(Purpose::Proxies, None, Bounds::default()).await;
    let views: Arc<dyn crate::views::Views> = Arc::new(Gone);
    let books = ProxyBooks {
        distribution: Arc::new(Distribution::new(Arc::clone(&views))),
        loads: Arc::new(ReportedLoads::new(Duration::from_secs(1))),
        metrics: ServerMetrics::new(),
    };
    let (known, shutdown) = (watch::Sender::new(Discovered::default()), CancellationToken::new());
    let (bound, tasks) = (vec![bound.expect("a port")], Tasks::default());
    serve(views, known.subscribe(), AdsSettings::default(), bound, books, &tasks, &shutdown);
    let served = crate::server::supervise(&tasks, shutdown.clone());
    let error = timeout(LONG, served).await.expect("it ends").expect_err("an error").to_string();
    assert!(
        error.starts_with("the task \"snapshots of the proxies\" panicked: the store is gone"),
        "{error}"
    );
    assert!(shutdown.is_cancelled(), "the others have to stop");
}

#[tokio::test]
async fn streams_end_without_an_error_when_the_server_stops() {
    for variant in VARIANTS {
        let world = AdsWorld::start_in(variant, None).await;
        let mut proxy = world.proxy(CLIENT).await;
        proxy.settle().await;
        world.shutdown.cancel();
        assert!(proxy.answer().await.expect("code 0").is_none());
    }
}

#[tokio::test]
async fn a_reader_with_a_token_waits_for_news_and_no_longer_than_it_said() {
    let world = AdsWorld::start(None).await;
    let first = world.distribution().await;
    assert!(first.complete);
    let none = world
        .distribution
        .answer(&"apps".into(), Some(first.token.clone()), Instant::now())
        .await
        .expect("the mesh");
    assert!(!none.complete && none.is_empty());
    let mesh = "apps".into();
    let waiting = world.distribution.answer(&mesh, Some(first.token), Instant::now() + LONG);
    let commit = async { world.meshes.commit(ROUTE, Some(route(1))) };
    let (news, ()) = tokio::join!(waiting, commit);
    let news = news.expect("the mesh");
    let changed: Vec<_> = news.objects.iter().map(|one| (&*one.resource, one.version)).collect();
    assert_eq!(changed, [("mesh/apps/virtualRouter/r/route/x", 2)]);
    assert!(world.distribution.answer(&"none".into(), None, Instant::now()).await.is_none());
}

#[tokio::test]
async fn new_instances_reach_a_proxy_and_a_failed_discovery_the_distribution() {
    for variant in VARIANTS {
        let world = AdsWorld::start_in(variant, None).await;
        let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
        let discovery = json!({"awsCloudMap": {"namespaceName": "apps.local", "serviceName": "a"}});
        world
            .meshes
            .commit("virtualNode/a", Some(json!({"listeners": listeners, "serviceDiscovery": discovery})));
        let service = ServiceName { namespace_name: "apps.local".into(), service_name: "a".into() };
        let enter = |outcome| world.known.send_if_modified(|known| known.enter(&service, outcome));
        enter(Discovery::Failed("ServiceNotFound: a".into()));
        let status = world.until("virtualNode/a", |status| !status.unserved.is_empty()).await;
        assert!(status.unserved[0].ends_with("was never discovered: ServiceNotFound: a"), "{status:?}");

        let mut proxy = world.proxy(CLIENT).await;
        let clusters = proxy.take(ResourceType::Cluster).await;
        let names = ["cds_egress_apps_a_http2_80"];
        proxy.subscribe(ResourceType::Endpoint, &names);
        let instance =
            |id: &str| RegisteredInstance { id: id.into(), unhealthy: false, attributes: Default::default() };
        enter(Discovery::Instances(Arc::new(vec![instance("i-1")])));
        let endpoints = proxy.take(ResourceType::Endpoint).await;
        proxy.acknowledge(&endpoints, &names);
        proxy.acknowledge(&clusters, &[]);
        world.until("virtualNode/a", |status| status.unserved.is_empty()).await;
        enter(Discovery::Failed("ThrottlingException: Rate exceeded".into()));
        let mut other = instance("i-2");
        other.attributes.insert("AWS_INSTANCE_IPV4".into(), "10.0.0.2".into());
        enter(Discovery::Instances(Arc::new(vec![other])));
        let changed = proxy.take(ResourceType::Endpoint).await;
        assert_ne!(changed.version_info, endpoints.version_info);
    }
}
