//! Ports that move: what the proxies of the node and of its callers are to run, and when. Time stands still but for what is waited
//! for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetmesh_mesh::ads::handover::{CLOSING, OPENING};
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::form::Forms;
use fleetmesh_mesh::snapshot::{ResourceType, VersionKeys};
use fleetmesh_mesh::testing::{record, version_keys};
use fleetmesh_mesh::view::{MeshView, Record};
use fleetmesh_model::{MeshName, ResourceId};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::feed::{Debounce, Feeds};
use super::node_feed::{Current, FollowedFeed};
use super::tests::{AdsWorld, CLIENT, LONG};
use crate::distribution::Distribution;
use crate::views::Views;

/// What is no later than at once: the debounce.
const AT_ONCE: Duration = Duration::from_millis(60);

/// A store of several meshes.
struct SeveralMeshes {
    meshes: Mutex<BTreeMap<MeshName, Arc<MeshView>>>,
    revisions: watch::Sender<u64>,
}

impl SeveralMeshes {
    /// Commits these objects of one mesh together.
    fn commit(&self, mesh: &str, objects: &[(&str, Value)]) {
        let revision = *self.revisions.borrow() + 1;
        let mut meshes = self.meshes.lock().expect("no panic while locked");
        let empty = || Arc::new(MeshView { revision, forms: Forms::default(), resources: BTreeMap::new() });
        let view = Arc::make_mut(meshes.entry(mesh.into()).or_insert_with(empty));
        view.revision = revision;
        let version = i64::try_from(revision).expect("a number");
        let is_new = view.resources.is_empty();
        for (path, spec) in [("", json!({}))].iter().filter(|_| is_new).chain(objects) {
            let record = Record::clone(&record(path, spec, version));
            let id = ResourceId::parse(&record.id.to_string().replacen("apps", mesh, 1)).expect("a resource");
            view.resources.insert(id.clone(), Arc::new(Record { id, ..record }));
        }
        drop(meshes);
        self.revisions.send_replace(revision);
    }
}

impl Views for SeveralMeshes {
    fn mesh(&self, name: &MeshName) -> Option<Arc<MeshView>> {
        self.meshes.lock().expect("no panic while locked").get(name).cloned()
    }

    fn mesh_names(&self) -> Vec<MeshName> {
        self.meshes.lock().expect("no panic while locked").keys().cloned().collect()
    }

    fn revisions(&self) -> watch::Receiver<u64> {
        self.revisions.subscribe()
    }

    fn version_keys(&self) -> Arc<VersionKeys> {
        Arc::new(version_keys(1))
    }
}

fn server(port: i32) -> Value {
    let mapping = json!({"portMapping": {"port": port, "protocol": "http2"}});
    json!({"listeners": [mapping], "serviceDiscovery": {"dns": {"hostname": "red.local"}}})
}

fn route_to(node: &str, port: i32) -> Value {
    let targets = json!([{"virtualNode": node, "port": port, "weight": 1}]);
    json!({"http2Route": {"match": {"prefix": "/"}, "action": {"weightedTargets": targets}}})
}

/// A served store with the meshes `apps` and `other`, which are alike.
struct Moves {
    store: Arc<SeveralMeshes>,
    feeds: Arc<Feeds>,
    distribution: Arc<Distribution>,
    _stop: tokio_util::sync::DropGuard,
}

impl Moves {
    async fn start() -> Self {
        let store = Arc::new(SeveralMeshes { meshes: Mutex::default(), revisions: watch::Sender::default() });
        let listeners = json!([{"portMapping": {"port": 80, "protocol": "http2"}}]);
        let backend = |name: &str| json!({"virtualService": {"virtualServiceName": name}});
        let routed = |router: &str| json!({"provider": {"virtualRouter": {"virtualRouterName": router}}});
        for mesh in ["apps", "other"] {
            let objects = [
                ("virtualNode/red", server(8001)),
                ("virtualNode/blue", server(9001)),
                ("virtualRouter/one", json!({"listeners": listeners})),
                ("virtualRouter/two", json!({"listeners": listeners})),
                ("virtualRouter/one/route/all", route_to("red", 8001)),
                ("virtualRouter/two/route/all", route_to("blue", 9001)),
                ("virtualService/one.local", routed("one")),
                ("virtualService/two.local", routed("two")),
                ("virtualNode/client", json!({"backends": [backend("one.local"), backend("two.local")]})),
            ];
            store.commit(mesh, &objects);
        }
        let views: Arc<dyn Views> = Arc::clone(&store) as _;
        let distribution = Arc::new(Distribution::new(Arc::clone(&views)));
        let known = watch::Sender::new(Discovered::default());
        let feeds = Arc::new(Feeds::new(views, known.subscribe(), Arc::clone(&distribution), None));
        let stop = CancellationToken::new();
        let (following, stopped) = (Arc::clone(&feeds), stop.clone());
        tokio::spawn(async move {
            let _known = known;
            following.follow(Debounce::default(), stopped).await;
        });
        // It answers when all of that is taken in.
        distribution.answer(&"apps".into(), None, Instant::now() + LONG).await.expect("the mesh");
        Self { store, feeds, distribution, _stop: stop.drop_guard() }
    }

    /// A proxy of a node, which runs what it is to run.
    fn proxy(&self, mesh: &str, node: &str) -> FollowedFeed {
        let feed = self.feeds.subscribe(&ResourceId::virtual_node(mesh, node), None);
        let mut proxy = feed.expect("the node");
        acknowledge(&mut proxy);
        proxy
    }

    /// Moves `red` of a mesh and the route to it.
    fn to(&self, mesh: &str, port: i32) {
        self.store.commit(
            mesh,
            &[("virtualNode/red", server(port)), ("virtualRouter/one/route/all", route_to("red", port))],
        );
    }
}

/// The proxy acknowledges all that it is to run.
fn acknowledge(proxy: &mut FollowedFeed) {
    let wanted = Arc::clone(&proxy.current.borrow().offer.wanted);
    proxy.runs(&wanted, false);
}

/// Awaits what a proxy is to run; gives how long that took.
async fn until(proxy: &mut FollowedFeed, runs: impl FnMut(&Current) -> bool) -> Duration {
    let began = Instant::now();
    timeout(LONG, proxy.current.wait_for(runs)).await.expect("in time").expect("the feed");
    began.elapsed()
}

fn serves(ports: &'static [i32]) -> impl FnMut(&Current) -> bool {
    move |current| current.offer.wanted.ports.iter().eq(ports)
}

/// Whether a caller in the mesh `mesh` is to use just these nodes on just these ports, and no cluster of others.
fn calls(mesh: &'static str, targets: [(&'static str, i32); 2]) -> impl Fn(&Current) -> bool {
    move |current| {
        let clusters = targets.map(|(node, port)| format!("cds_egress_{mesh}_{node}_http2_{port}"));
        clusters.iter().eq(current.offer.wanted.targets.nodes.keys())
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_gets_a_port_when_the_nodes_proxies_run_it_and_not_before() {
    let moves = Moves::start().await;
    let (mut red, mut second) = (moves.proxy("apps", "red"), moves.proxy("apps", "red"));
    let mut client = moves.proxy("apps", "client");
    moves.to("apps", 8002);
    until(&mut red, serves(&[8001, 8002])).await;
    acknowledge(&mut red);
    // Once more something else is through to the caller, and this is not.
    moves.store.commit(
        "apps",
        &[("virtualNode/blue", server(9002)), ("virtualRouter/two/route/all", route_to("blue", 9002))],
    );
    assert!(until(&mut client, calls("apps", [("blue", 9002), ("red", 8001)])).await <= AT_ONCE);
    acknowledge(&mut second);
    assert!(until(&mut client, calls("apps", [("blue", 9002), ("red", 8002)])).await <= AT_ONCE);
    assert!(serves(&[8001, 8002])(&red.current.borrow()), "the caller has not acknowledged");
    assert_eq!(until(&mut red, serves(&[8002])).await.as_secs(), CLOSING.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_never_acknowledges_holds_callers_up_no_longer_than_the_bound() {
    let moves = Moves::start().await;
    let (mut red, mut client) = (moves.proxy("apps", "red"), moves.proxy("apps", "client"));
    moves.to("apps", 8002);
    let waited = until(&mut client, calls("apps", [("blue", 9001), ("red", 8002)])).await;
    assert!(waited >= OPENING && waited <= OPENING + AT_ONCE, "{waited:?}");
    assert!(serves(&[8001, 8002])(&red.current.borrow()));
    // One that goes away is waited for no longer.
    moves.to("apps", 8003);
    until(&mut red, serves(&[8001, 8002, 8003])).await;
    drop(red);
    assert!(until(&mut client, calls("apps", [("blue", 9001), ("red", 8003)])).await <= AT_ONCE);
}

#[tokio::test(start_paused = true)]
async fn no_other_mesh_node_or_change_waits() {
    let moves = Moves::start().await;
    let _red = moves.proxy("apps", "red");
    let mut clients = [moves.proxy("apps", "client"), moves.proxy("other", "client")];
    let mut other = moves.proxy("other", "red");
    moves.to("apps", 8002);
    moves.to("other", 8002);
    assert!(until(&mut other, serves(&[8001, 8002])).await <= AT_ONCE);
    acknowledge(&mut other);
    assert!(until(&mut clients[1], calls("other", [("blue", 9001), ("red", 8002)])).await <= AT_ONCE);
    // A node without proxies, to which a service of the caller that waits leads as well.
    let blue = [("virtualNode/blue", server(9002)), ("virtualRouter/two/route/all", route_to("blue", 9002))];
    moves.store.commit("apps", &blue);
    assert!(until(&mut clients[0], calls("apps", [("blue", 9002), ("red", 8001)])).await <= AT_ONCE);
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_starts_anew_is_in_step() {
    let moves = Moves::start().await;
    let mut red = moves.proxy("apps", "red");
    moves.to("apps", 8002);
    // Before the change is taken in, and after.
    let mut early = moves.proxy("apps", "client");
    assert!(calls("apps", [("blue", 9001), ("red", 8001)])(&early.current.borrow()));
    until(&mut red, serves(&[8001, 8002])).await;
    let late = moves.proxy("apps", "client");
    assert!(calls("apps", [("blue", 9001), ("red", 8001)])(&late.current.borrow()));
    acknowledge(&mut red);
    until(&mut early, calls("apps", [("blue", 9001), ("red", 8002)])).await;
    assert!(serves(&[8001, 8002])(&moves.proxy("apps", "red").current.borrow()));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_not_counted_as_run() {
    let moves = Moves::start().await;
    let (mut red, mut client) = (moves.proxy("apps", "red"), moves.proxy("apps", "client"));
    let connected = ["red", "client"].map(|node| {
        let node = ResourceId::virtual_node("apps", node);
        Distribution::connect(&moves.distribution, &node, None, None)
    });
    let report = |feed: &FollowedFeed, index: usize| {
        let acknowledged = Some(Arc::clone(&feed.current.borrow().offer.wanted));
        connected[index]
            .report(fleetmesh_mesh::distribution::Progress { acknowledged, rejections: Vec::new() });
    };
    // The route is a new object, of which the caller has no version yet.
    moves.store.commit(
        "apps",
        &[("virtualNode/red", server(8002)), ("virtualRouter/one/route/also", route_to("red", 8002))],
    );
    until(&mut red, serves(&[8001, 8002])).await;
    report(&red, 0);
    report(&client, 1);
    let counts = async |path: &str| {
        let answer = moves.distribution.answer(&"apps".into(), None, Instant::now() + LONG).await;
        let objects = answer.expect("the mesh").objects;
        let object = objects.into_iter().find(|object| object.resource == format!("mesh/apps/{path}"));
        object.map(|object| (object.proxies, object.acknowledged)).expect("the object")
    };
    assert_eq!(counts("virtualRouter/one/route/also").await, (1, 0));
    assert_eq!(counts("virtualNode/red").await, (2, 1), "its own proxy runs it, its caller's does not");
    acknowledge(&mut red);
    until(&mut client, calls("apps", [("blue", 9001), ("red", 8002)])).await;
    report(&client, 1);
    assert_eq!(counts("virtualRouter/one/route/also").await, (1, 1));
    assert_eq!(counts("virtualNode/red").await, (2, 2));
}

/// A listener takes connections when Envoy has its routes, too.
#[tokio::test]
async fn a_proxy_runs_a_port_when_it_has_acknowledged_the_routes_of_that() {
    let world = AdsWorld::start(None).await;
    let mut client = world.proxy(CLIENT).await;
    client.settle().await;
    let mut callee = world.proxy("mesh/apps/virtualNode/a").await;
    let clusters = callee.take(ResourceType::Cluster).await;
    callee.acknowledge(&clusters, &[]);
    callee.subscribe(ResourceType::Listener, &[]);
    let listeners = callee.take(ResourceType::Listener).await;
    callee.acknowledge(&listeners, &[]);
    callee.subscribe(ResourceType::Route, &["rds_ingress_http2_80"]);
    let routes = callee.take(ResourceType::Route).await;
    callee.acknowledge(&routes, &["rds_ingress_http2_80"]);
    world.until("virtualNode/a", |status| (status.proxies, status.acknowledged) == (2, 2)).await;
    let mapping = json!({"portMapping": {"port": 81, "protocol": "http2"}});
    let moved = json!({"listeners": [mapping], "serviceDiscovery": {"dns": {"hostname": "a"}}});
    world.meshes.commit("virtualNode/a", Some(moved));
    let clusters = callee.take(ResourceType::Cluster).await;
    callee.acknowledge(&clusters, &[]);
    let listeners = callee.take(ResourceType::Listener).await;
    callee.acknowledge(&listeners, &[]);
    let names = ["rds_ingress_http2_80", "rds_ingress_http2_81"];
    callee.subscribe(ResourceType::Route, &names);
    let routes = callee.take(ResourceType::Route).await;
    let early = timeout(Duration::from_millis(300), client.answer()).await;
    assert!(early.is_err(), "the caller is sent {early:?}");
    callee.acknowledge(&routes, &names);
    let clusters = client.take(ResourceType::Cluster).await;
    let sent =
        |name: &str| clusters.resources.iter().any(|one| String::from_utf8_lossy(&one.value).contains(name));
    assert!(sent("cds_egress_apps_a_http2_81"));
}
