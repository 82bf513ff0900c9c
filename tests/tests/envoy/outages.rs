//! R6, and what `docs/operations.md` says of outages: the operator, the control plane and the API server stop, are killed
//! or stand still while a real Envoy carries requests. None fails and no proxy is sent anything; a change that is made
//! right after the return is in force within 35 s.

use std::time::{Duration, Instant};

use fleetmesh_model::Kind;
use fleetmesh_testbed::app::{AppLoad, LoadOptions, Protocol};
use fleetmesh_testbed::cluster::Cluster;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::process::Signal;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::stack::Stack;
use fleetmesh_testbed::{http, userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::refusal_in_status::{apply, object};
use crate::spec::{MESH, backends, listeners, route, targets};

const URL: &str = "http://shop.apps.local/";
/// From the return of what was away to a change in force.
const RECONVERGED: Duration = Duration::from_secs(35);
/// Requests of a phase that show how it goes.
const REQUESTS: u64 = 300;
/// How often the API server comes back without the revisions that watches want to go on from.
const STORMS: usize = 3;
/// Notifies of each watch that the API server refuses.
const LOG: &str = "--log=info,fleetmesh_operator::cluster=debug";

/// A mesh under traffic, and everything that may go away. Fields are dropped in this order.
struct OutageWorld {
    load: AppLoad,
    operator: Operator,
    cluster: Cluster,
    kubectl: Kubectl,
    client: MeshMember,
    _red: MeshMember,
    bed: Bed,
    /// Changes so far, which are the weight of the target.
    changes: u32,
    /// What proxies had been sent before the first of them.
    pushes: u64,
}

fn weighted(weight: u32) -> Value {
    let http2 = json!({ "match": { "prefix": "/" }, "action": targets(&[("red", 8001, weight)]) });
    object("Route", "all", json!({ "virtualRouterName": "shop", "http2Route": http2 }))
}

impl OutageWorld {
    async fn start() -> Self {
        let run = RunDir::new("outages").unwrap();
        let Stack { operator, control_plane, cluster, kubectl } =
            Stack::builder().operator(Launch::with([LOG])).start(&run).await.unwrap();
        let (mut bed, [client, red]) = Bed::around(control_plane, run, ["client", "red"]).await;
        bed.names(&[&client, &red], &["shop.apps.local"]).await;
        let dns = json!({ "dns": { "hostname": "red.apps.local" } });
        let red_node = json!({ "listeners": listeners(&[("http2", 8001)]), "serviceDiscovery": dns });
        let provider = json!({ "provider": { "virtualRouter": { "virtualRouterName": "shop" } } });
        let objects = [
            object("Mesh", MESH, json!({})),
            object("VirtualNode", "red", red_node),
            object("VirtualRouter", "shop", json!({ "listeners": listeners(&[("http2", 80)]) })),
            weighted(1),
            object("VirtualService", "shop.apps.local", provider),
            object("VirtualNode", "client", json!({ "backends": backends(&["shop.apps.local"]) })),
        ];
        apply(&kubectl, &bed, &objects).await;
        kubectl.run(&["wait", "--for=condition=Ready", "--timeout=60s", "fleetmesh", "--all"]).await.unwrap();
        let red = bed.join(red, &[(Protocol::Http2, 8001)]).await;
        let client = bed.join(client, &[]).await;
        bed.runs_on(&route("shop", "all"), 1).await;
        let options = LoadOptions { rate: 300, ..LoadOptions::new(URL) };
        let load = client.load(&bed, &options, "before").await;
        let mut world =
            Self { load, operator, cluster, kubectl, client, _red: red, bed, changes: 1, pushes: 0 };
        world.pushes = world.updates().await;
        world
    }

    /// How often the caller's proxy took a configuration.
    async fn updates(&self) -> u64 {
        let routes = "http.egress.rds.rds_egress_http2_80.update_success";
        let mut sum = 0;
        for name in ["cluster_manager.cds.update_success", "listener_manager.lds.update_success", routes] {
            sum += self.client.stat(name).await;
        }
        sum
    }

    /// Requests go on while `what` is away: some are sent from now on, and all are answered.
    async fn requests_go_on(&mut self, what: &str) {
        self.load.phase(what).await.unwrap();
        let enough = |tally: &fleetmesh_testbed::app::tally::Tally| tally.phase(what).by("red") >= REQUESTS;
        self.load.until("requests are answered", LIMIT, enough).await.unwrap();
    }

    /// Makes a change and awaits that the proxies run it; nothing else has reached them since the last one.
    async fn a_change_comes_through(&mut self, after: &str) {
        assert_eq!(self.updates().await, self.pushes, "pushes for {after}");
        let returned = Instant::now();
        self.changes += 1;
        apply(&self.kubectl, &self.bed, &[weighted(self.changes)]).await;
        wait::until("the route runs on every proxy", RECONVERGED, async || {
            let found = self.kubectl.json(&["get", "routes.fleetmesh.dev", "all"]).await?;
            let (status, generation) = (&found["status"], &found["metadata"]["generation"]);
            anyhow::ensure!(status["observedGeneration"] == *generation && programmed(status), "{status}");
            Ok(Some(()))
        })
        .await
        .unwrap();
        let took = returned.elapsed();
        println!("R6: {after}: a change was in force {} ms after the return", took.as_millis());
        assert!(took < RECONVERGED, "{after}: {took:?}");
        self.pushes += 1;
        assert_eq!(self.updates().await, self.pushes, "pushes after {after}: the change's alone");
        self.operator.process().ensure_running().unwrap();
    }
}

fn programmed(status: &Value) -> bool {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| {
        let said = one["message"].as_str().unwrap_or_default();
        one["type"] == "Programmed" && one["status"] == "True" && said.contains("1 of 1")
    })
}

#[tokio::test]
async fn no_outage_fails_a_request_or_pushes_anything() {
    if !userns::wanted() {
        return;
    }
    let mut world = OutageWorld::start().await;
    world.requests_go_on("everything is there").await;
    the_operator_goes(&mut world).await;
    the_control_plane_goes(&mut world).await;
    // From here on it is one and the same operator.
    let operator = world.operator.process().id();
    the_api_server_is_killed(&mut world).await;
    the_api_server_stands_still(&mut world).await;
    watches_expire(&mut world).await;
    assert_eq!(world.operator.process().id(), operator);

    let tally = world.load.finish().await.unwrap();
    println!("R6: {} requests, {} failed", tally.answered(), tally.failed());
    assert_eq!(tally.failed(), 0, "{tally:#?}");
}

async fn the_operator_goes(world: &mut OutageWorld) {
    let status = world.operator.stop().await.unwrap();
    assert!(status.success(), "{status}");
    world.requests_go_on("the operator was stopped").await;
    world.operator.restart(&world.bed.run).await.unwrap();
    world.a_change_comes_through("the operator was stopped (SIGTERM)").await;

    world.operator.kill();
    world.requests_go_on("the operator was killed").await;
    world.operator.restart(&world.bed.run).await.unwrap();
    world.a_change_comes_through("the operator was killed (SIGKILL)").await;
}

/// Its death by SIGKILL has a test of its own, `outage`.
async fn the_control_plane_goes(world: &mut OutageWorld) {
    let stopped = world.bed.control_plane.process().terminate(LIMIT).await.unwrap();
    assert!(stopped.success(), "{stopped}");
    world.requests_go_on("the control plane was stopped").await;
    world.bed.control_plane.restart(&world.bed.run).await.unwrap();
    world.bed.runs_on(&route("shop", "all"), 1).await;
    world.a_change_comes_through("the control plane was stopped (SIGTERM)").await;
}

async fn the_api_server_is_killed(world: &mut OutageWorld) {
    world.cluster.kill_api_server();
    world.requests_go_on("the API server was killed").await;
    world.cluster.restart_api_server(&world.bed.run).await.unwrap();
    world.a_change_comes_through("the API server was killed").await;
}

async fn the_api_server_stands_still(world: &mut OutageWorld) {
    world.cluster.api_server().signal(Signal::STOP).unwrap();
    world.requests_go_on("the API server stood still").await;
    world.cluster.api_server().signal(Signal::CONT).unwrap();
    world.a_change_comes_through("the API server stood still").await;
}

/// Again and again the API server comes back and has forgotten where every watch was: 410 Gone.
async fn watches_expire(world: &mut OutageWorld) {
    let gone = refused_watches(world);
    for _ in 0..STORMS {
        // A watch that is about to list holds no version that could be too old.
        wait::until("every watch is back", LIMIT, async || Ok(all_watch(world).then_some(()))).await.unwrap();
        let before = refused_watches(world);
        world.cluster.kill_api_server();
        let etcd = world.cluster.etcd().unwrap();
        let revision = etcd.put("/registry/fleetmesh.dev/nothing", "{}").await.unwrap();
        etcd.compact(revision).await.unwrap();
        world.cluster.restart_api_server(&world.bed.run).await.unwrap();
        wait::until("watches were refused as too old", LIMIT, async || {
            Ok((refused_watches(world) > before).then_some(()))
        })
        .await
        .unwrap();
    }
    world.requests_go_on("watches expired").await;
    let gone = refused_watches(world) - gone;
    println!("R6: {gone} watches were answered with 410 Gone in {STORMS} storms");
    world.a_change_comes_through("watches expired").await;
    let health = format!("{}/readyz", world.operator.health_url());
    http::get(&health).await.unwrap();
}

/// How many watches of the operator were answered with 410 Gone so far.
fn refused_watches(world: &mut OutageWorld) -> usize {
    operator_log(world).lines().filter(|line| line.contains("too old resource version")).count()
}

/// Whether the last that the operator said of its watch of each kind is that it watches again.
fn all_watch(world: &mut OutageWorld) -> bool {
    let log = operator_log(world);
    Kind::ALL.iter().all(|kind| {
        let of_kind = format!(" kind={kind}");
        let mut said =
            log.lines().filter(|line| line.contains("cluster::watch: ") && line.contains(&of_kind));
        said.next_back().is_some_and(|line| line.contains("watching again"))
    })
}

fn operator_log(world: &mut OutageWorld) -> String {
    std::fs::read_to_string(world.operator.process().log()).unwrap()
}
