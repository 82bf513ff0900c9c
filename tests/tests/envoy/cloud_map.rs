//! Virtual nodes that Cloud Map discovers: the instances registered in a real moto get the traffic of a real proxy, and
//! no failure of Cloud Map takes an instance away.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::tally::Tally;
use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::moto::{Moto, variables};
use fleetmesh_testbed::netns::NetnsInstance;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::{envoy, userns, wait};
use http::StatusCode;
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::cloud_map_front::{CloudMapFront, CloudMapManner};
use crate::spec::{
    caller, empty_mesh, http2_route, listeners, mesh, node, route, routed, router_on, server, service,
    targets,
};

const URL: &str = "http://shop.apps.local/";
const NAMESPACE: &str = "fleet.local";
const CLUSTER: &str = "cds_egress_apps_shop_http2_8001";
const PORT: u16 = 8001;
/// Requests that show who serves.
const REQUESTS: u64 = 300;
/// Polls that failed and that show that the control plane knows.
const FAILURES: usize = 4;

/// The service `shop` of Cloud Map in a moto.
struct Shop {
    moto: Moto,
    id: String,
}

impl Shop {
    async fn start(run: &RunDir) -> Self {
        Self::make(Moto::start(run).await.unwrap()).await
    }

    async fn make(moto: Moto) -> Self {
        let make = ["servicediscovery", "create-http-namespace", "--name", NAMESPACE];
        moto.aws(&make).await.unwrap();
        let namespaces = moto.aws(&["servicediscovery", "list-namespaces"]).await.unwrap();
        let namespace = namespaces["Namespaces"][0]["Id"].as_str().unwrap();
        let make = ["servicediscovery", "create-service", "--name", "shop", "--namespace-id", namespace];
        let service = moto.aws(&make).await.unwrap();
        let id = service["Service"]["Id"].as_str().unwrap().to_owned();
        Self { moto, id }
    }

    async fn register(&self, instance: &NetnsInstance, version: &str) {
        let attributes = json!({ "AWS_INSTANCE_IPV4": instance.ipv4(), "version": version }).to_string();
        let call = ["servicediscovery", "register-instance", "--service-id", &self.id, "--instance-id"];
        let call = [&call[..], &[instance.name(), "--attributes", &attributes]].concat();
        self.moto.aws(&call).await.unwrap();
    }

    async fn deregister(&self, instance: &NetnsInstance) {
        let call = ["servicediscovery", "deregister-instance", "--service-id", &self.id, "--instance-id"];
        self.moto.aws(&[&call[..], &[instance.name()]].concat()).await.unwrap();
    }
}

/// The virtual node `shop`: those of the service's instances that have version v1.
fn shop(health_check: Option<Value>) -> (ResourceId, Value) {
    let mut listeners = listeners(&[("http2", PORT)]);
    if let Some(check) = health_check {
        listeners[0]["healthCheck"] = check;
    }
    let attributes = json!([{ "key": "version", "value": "v1" }]);
    let discovery = json!({ "namespaceName": NAMESPACE, "serviceName": "shop", "attributes": attributes });
    (node("shop"), json!({ "listeners": listeners, "serviceDiscovery": { "awsCloudMap": discovery } }))
}

/// A control plane that asks `endpoint` often.
async fn control_plane(run: &RunDir, endpoint: &str) -> ControlPlane {
    let often = Launch::with(["--cloud-map-interval", "100ms"]).envs(variables(endpoint));
    ControlPlane::launch(run, often).await.unwrap()
}

/// Awaits that the client's proxy balances over exactly these instances.
async fn hosts(client: &MeshMember, wanted: &[&NetnsInstance]) {
    let wanted: BTreeSet<SocketAddr> =
        wanted.iter().map(|instance| SocketAddr::new(instance.ipv4().into(), PORT)).collect();
    wait::until(&format!("the proxy has {wanted:?}"), LIMIT, async || {
        let hosts = envoy::hosts(&client.instance, CLUSTER).await?;
        anyhow::ensure!(hosts == wanted, "it has {hosts:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// Awaits that the front has refused some polls since its behaviour was set.
async fn refusals(front: &CloudMapFront, status: StatusCode) {
    wait::until("polls have failed", LIMIT, async || {
        let failed = front.answered().iter().filter(|answered| answered.status == status).count();
        Ok((failed >= FAILURES).then_some(()))
    })
    .await
    .unwrap();
}

/// How often the proxy took a configuration of each type.
async fn updates(client: &MeshMember) -> [u64; 4] {
    [
        client.stat("cluster_manager.cds.update_success").await,
        client.stat("listener_manager.lds.update_success").await,
        client.stat("http.egress.rds.rds_egress_http2_80.update_success").await,
        client.stat(&format!("cluster.{CLUSTER}.update_success")).await,
    ]
}

fn by(phase: &'static str, who: &'static str) -> impl Fn(&Tally) -> bool {
    move |tally| tally.phase(phase).by(who) >= REQUESTS
}

#[tokio::test]
async fn registered_instances_serve_and_no_failure_takes_one_away() {
    instances(false).await;
}

#[tokio::test]
async fn registered_instances_serve_and_no_failure_takes_one_away_in_the_state_of_the_world() {
    instances(true).await;
}

async fn instances(state_of_the_world: bool) {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("cloud-map").unwrap();
    let cloud_map = Shop::start(&run).await;
    let front = CloudMapFront::start(CloudMapManner::Forward(cloud_map.moto.endpoint())).await;
    let plane = control_plane(&run, &front.url).await;
    let names = ["client", "red", "blue", "green"];
    let (mut bed, [client, red, blue, green]) = Bed::around(plane, run, names).await;
    bed.state_of_the_world = state_of_the_world;
    bed.names(&[&client, &red, &blue, &green], &["shop.apps.local"]).await;
    cloud_map.register(&red, "v1").await;
    cloud_map.register(&green, "v2").await;
    let ports = [("http2", PORT)];
    bed.create(&[
        empty_mesh(),
        server("red", &ports),
        server("blue", &ports),
        server("green", &ports),
        shop(None),
        router_on("shop", &[("http2", 80)]),
        (route("shop", "all"), http2_route(&targets(&[("shop", PORT, 1)]))),
        routed("shop.apps.local", "shop"),
        caller("client", &["shop.apps.local"]),
    ])
    .await;
    let apps = [(Protocol::Http2, PORT)];
    let red = bed.join(red, &apps).await;
    let blue = bed.join(blue, &apps).await;
    let _green = bed.join(green, &apps).await;
    let mut client = bed.join(client, &[]).await;
    hosts(&client, &[&red.instance]).await;
    bed.runs_on(&node("shop"), 1).await;

    let options = LoadOptions { rate: 250, ..LoadOptions::new(URL) };
    let mut load = client.load(&bed, &options, "one").await;
    load.until("red serves", LIMIT, by("one", "red")).await.unwrap();

    // Another instance is endpoints and nothing else.
    let before = updates(&client).await;
    load.phase("change").await.unwrap();
    cloud_map.register(&blue.instance, "v1").await;
    hosts(&client, &[&red.instance, &blue.instance]).await;
    let [clusters, listeners, routes, endpoints] = before;
    assert_eq!(updates(&client).await, [clusters, listeners, routes, endpoints + 1]);
    load.phase("two").await.unwrap();
    load.until("blue serves", LIMIT, by("two", "blue")).await.unwrap();

    // A cluster that changes starts without endpoints, and needs them again.
    let check = json!({ "protocol": "tcp", "intervalMillis": 5000, "timeoutMillis": 2000,
        "healthyThreshold": 2, "unhealthyThreshold": 2 });
    let (shop_id, checked) = shop(Some(check));
    load.phase("cluster changed").await.unwrap();
    bed.update(&shop_id, &checked, 1).await;
    // It did not wait in vain: Envoy may fall back on the endpoints of the old cluster, but only after that.
    assert_eq!(client.stat(&format!("cluster.{CLUSTER}.init_fetch_timeout")).await, 0);
    load.until("blue serves on", LIMIT, by("cluster changed", "blue")).await.unwrap();
    hosts(&client, &[&red.instance, &blue.instance]).await;

    // What changes while Cloud Map throttles is found afterwards.
    load.phase("throttled").await.unwrap();
    front.set(CloudMapManner::Throttle);
    cloud_map.deregister(&blue.instance).await;
    refusals(&front, StatusCode::BAD_REQUEST).await;
    load.until("blue serves on", LIMIT, by("throttled", "blue")).await.unwrap();
    hosts(&client, &[&red.instance, &blue.instance]).await;
    load.phase("change").await.unwrap();
    front.set(CloudMapManner::Forward(cloud_map.moto.endpoint()));
    hosts(&client, &[&red.instance]).await;
    load.phase("deregistered").await.unwrap();
    load.until("red serves", LIMIT, by("deregistered", "red")).await.unwrap();

    // Cloud Map is gone; then the control plane too, for a while.
    load.phase("gone").await.unwrap();
    drop(cloud_map);
    front.set(CloudMapManner::Forward("http://127.0.0.1:1".to_owned()));
    refusals(&front, StatusCode::BAD_GATEWAY).await;
    load.until("red serves on", LIMIT, by("gone", "red")).await.unwrap();
    load.phase("restarted").await.unwrap();
    let before = updates(&client).await;
    bed.control_plane.kill();
    bed.control_plane.restart(&bed.run).await.unwrap();
    bed.runs_on(&shop_id, 1).await;
    front.set(CloudMapManner::Forward("http://127.0.0.1:1".to_owned()));
    refusals(&front, StatusCode::BAD_GATEWAY).await;
    load.until("red still serves", LIMIT, by("restarted", "red")).await.unwrap();
    assert_eq!(updates(&client).await, before, "a restart pushes nothing");

    // It comes back, with another instance.
    load.phase("change").await.unwrap();
    let cloud_map = Shop::start(&bed.run).await;
    cloud_map.register(&blue.instance, "v1").await;
    front.set(CloudMapManner::Forward(cloud_map.moto.endpoint()));
    hosts(&client, &[&blue.instance]).await;
    load.phase("back").await.unwrap();
    load.until("blue serves", LIMIT, by("back", "blue")).await.unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    for (phase, who) in
        [("one", "red"), ("deregistered", "red"), ("gone", "red"), ("restarted", "red"), ("back", "blue")]
    {
        let phase = tally.phase(phase);
        assert_eq!(phase.by(who), phase.answered(), "only instances with the attributes serve: {phase:?}");
    }
    let polled =
        |operation: &str| front.answered().iter().filter(|answered| answered.operation == operation).count();
    let (revisions, lists) = (polled("DiscoverInstancesRevision"), polled("DiscoverInstances"));
    assert!(lists >= 1 && revisions > 2 * lists, "{revisions} revisions, {lists} lists");

    // Proxy and control plane start anew while Cloud Map throttles: what was found before is not lost.
    front.set(CloudMapManner::Throttle);
    bed.control_plane.kill();
    bed.control_plane.restart(&bed.run).await.unwrap();
    client.envoy.restart(&client.instance, &bed.run).unwrap();
    client.envoy.ready(&client.instance, LIMIT).await.unwrap();
    hosts(&client, &[&blue.instance]).await;
    // An answer that is empty counts.
    cloud_map.deregister(&blue.instance).await;
    front.set(CloudMapManner::Forward(cloud_map.moto.endpoint()));
    hosts(&client, &[]).await;
    assert_eq!(client.get(Protocol::Http2, URL).await.status, 503);
}

#[tokio::test]
async fn a_service_that_is_never_discovered_holds_up_nothing_else() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("cloud-map-never").unwrap();
    let moto = Moto::start(&run).await.unwrap();
    let plane = control_plane(&run, &moto.endpoint()).await;
    let (mut bed, [client, red, blue]) = Bed::around(plane, run, ["client", "red", "blue"]).await;
    bed.names(&[&client, &red, &blue], &["shop.apps.local", "other.apps.local"]).await;
    let ports = [("http2", PORT)];
    let to = |node: &str| http2_route(&targets(&[(node, PORT, 1)]));
    bed.create(&[
        empty_mesh(),
        server("red", &ports),
        server("blue", &ports),
        shop(None),
        router_on("shop", &[("http2", 80)]),
        (route("shop", "all"), to("shop")),
        routed("shop.apps.local", "shop"),
        router_on("other", &[("http2", 80)]),
        (route("other", "all"), to("red")),
        routed("other.apps.local", "other"),
        caller("client", &["shop.apps.local", "other.apps.local"]),
    ])
    .await;
    let apps = [(Protocol::Http2, PORT)];
    let _red = bed.join(red, &apps).await;
    let blue = bed.join(blue, &apps).await;
    let client = bed.join(client, &[]).await;
    let other = client.get(Protocol::Http2, "http://other.apps.local/").await;
    assert_eq!((other.status, client.get(Protocol::Http2, URL).await.status), (200, 503));
    let status = bed.status(&node("shop")).await.unwrap();
    let said = status["unserved"][0].as_str().unwrap_or_default();
    let wanted = r#"spec.serviceDiscovery.awsCloudMap: service "shop" in namespace "fleet.local" was never discovered: NamespaceNotFound"#;
    assert!(said.starts_with(wanted), "{status}");

    let cloud_map = Shop::make(moto).await;
    cloud_map.register(&blue.instance, "v1").await;
    hosts(&client, &[&blue.instance]).await;
    assert_eq!(client.get(Protocol::Http2, URL).await.status, 200);
    let status = bed.status(&node("shop")).await.unwrap();
    assert_eq!(status["unserved"], json!([]), "{status}");
}

/// With the name by which Cloud Map discovers it, a tcp service takes connections to its instances, and no others on its port.
#[tokio::test]
async fn a_tcp_service_takes_connections_by_the_addresses_of_its_instances() {
    if !userns::wanted() {
        return;
    }
    let run = RunDir::new("cloud-map-tcp").unwrap();
    let cloud_map = Shop::start(&run).await;
    let plane = control_plane(&run, &cloud_map.moto.endpoint()).await;
    let (mut bed, [client, red, blue]) = Bed::around(plane, run, ["client", "red", "blue"]).await;
    bed.names(&[&client, &red, &blue], &[]).await;
    cloud_map.register(&red, "v1").await;
    let discovery = json!({ "awsCloudMap": { "namespaceName": NAMESPACE, "serviceName": "shop" } });
    let provider = json!({ "provider": { "virtualNode": { "virtualNodeName": "red" } } });
    bed.create(&[
        (mesh(), json!({ "egressFilter": { "type": "ALLOW_ALL" } })),
        (node("red"), json!({ "listeners": listeners(&[("tcp", PORT)]), "serviceDiscovery": discovery })),
        server("blue", &[("tcp", PORT)]),
        (service("shop.fleet.local"), provider),
        caller("client", &["shop.fleet.local"]),
    ])
    .await;
    let red = bed.join(red, &[(Protocol::Tcp, PORT)]).await;
    let blue = bed.join(blue, &[(Protocol::Tcp, PORT)]).await;
    let client = bed.join(client, &[]).await;
    let cluster = format!("cluster.cds_egress_apps_red_tcp_{PORT}.upstream_cx_total");
    let reach = async |instance: &NetnsInstance| {
        let answer = client.get(Protocol::Tcp, &format!("tcp://{}:{PORT}", instance.ipv4())).await;
        (answer.responder, client.stat(&cluster).await)
    };
    wait::until("the backend takes what is for its instance", LIMIT, async || {
        let (responder, taken) = reach(&red.instance).await;
        Ok((responder == "red" && taken > 0).then_some(()))
    })
    .await
    .unwrap();
    let before = client.stat(&cluster).await;
    assert_eq!(reach(&blue.instance).await, ("blue".to_owned(), before), "what is for others passes");

    cloud_map.register(&blue.instance, "v1").await;
    wait::until("the backend takes what is for the new one", LIMIT, async || {
        let before = client.stat(&cluster).await;
        Ok((reach(&blue.instance).await.1 > before).then_some(()))
    })
    .await
    .unwrap();
    let status = bed.status(&node("client")).await.unwrap();
    assert_eq!(status["notes"], Value::Null, "nothing is taken by its port alone");
}
