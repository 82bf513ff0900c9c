//! What snapshots hold, and that nothing but the view and what is discovered decides it.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::ClusterDiscoveryType;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use serde_json::{Value, json};

use super::bootstrap::decoded;
use super::corpus::{self, calling, routed, to_a};
use super::{client, names};
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, Snapshot, unserved};
use crate::testing::{node, record, view};
use crate::view::MeshView;

fn unserved_of(view: &MeshView, path: &str) -> Vec<String> {
    let id = record(path, &view_spec(view, path), 1).id.clone();
    unserved(view, &Discovered::default(), view.get(&id).expect("the object"))
}

fn view_spec(view: &MeshView, path: &str) -> Value {
    let text = format!("mesh/apps/{path}");
    let record = view.resources.values().find(|record| record.id.to_string() == text).expect("the object");
    serde_json::to_value(&record.spec).expect("a spec")
}

fn egress(snapshot: &Snapshot, name: &str) -> RouteConfiguration {
    decoded::<RouteConfiguration>(snapshot, ResourceType::Route)
        .find(|routes| routes.name == name)
        .expect("routes")
}

#[test]
fn the_same_view_gives_the_same_bytes() {
    for (a, b) in corpus::all().iter().zip(corpus::all().iter()) {
        let (a, b) = (client(a), client(b));
        for kind in ResourceType::ALL {
            let (a, b) = (a.content(kind), b.content(kind));
            assert_eq!(a.version, b.version);
            let bodies = |content: &crate::snapshot::Content| -> Vec<bytes::Bytes> {
                content.resources.values().map(|resource| resource.body().clone()).collect()
            };
            assert_eq!(bodies(a), bodies(b));
        }
    }
}

#[test]
fn a_snapshot_is_made_again_only_when_something_it_was_made_from_changed() {
    let mesh = routed("http2", &[("x", json!({"http2Route": {"action": to_a(), "match": {"prefix": "/"}}}))]);
    let snapshot = client(&mesh);
    let mut later = mesh.clone();
    let put = |later: &mut MeshView, path: &str, spec: Value| {
        let record = record(path, &spec, 2);
        later.resources.insert(record.id.clone(), record);
    };
    put(&mut later, "virtualNode/stranger", json!({}));
    put(&mut later, "virtualService/unnamed.local", json!({}));
    assert!(snapshot.unchanged(&later, &Discovered::default()));
    for path in [
        "virtualNode/client",
        "virtualNode/a",
        "virtualRouter/r",
        "virtualRouter/r/route/x",
        "virtualService/s.local",
    ] {
        let mut later = mesh.clone();
        put(&mut later, path, view_spec(&mesh, path));
        assert!(!snapshot.unchanged(&later, &Discovered::default()), "{path}");
    }
    let mut later = mesh.clone();
    put(
        &mut later,
        "virtualRouter/r/route/y",
        json!({"http2Route": {"action": to_a(), "match": {"prefix": "/y"}}}),
    );
    assert!(!snapshot.unchanged(&later, &Discovered::default()), "a new route");
}

#[test]
fn only_what_the_backends_name_is_sent() {
    let mut mesh =
        routed("http2", &[("x", json!({"http2Route": {"action": to_a(), "match": {"prefix": "/"}}}))]);
    assert_eq!(
        names(&client(&mesh), ResourceType::Cluster),
        ["cds_egress_apps_a_http2_80", "cds_egress_apps_passthrough"]
    );
    let lonely = record("virtualNode/client", &calling(&[]), 2);
    mesh.resources.insert(lonely.id.clone(), lonely);
    let snapshot = client(&mesh);
    assert_eq!(names(&snapshot, ResourceType::Cluster), ["cds_egress_apps_passthrough"]);
    assert_eq!(names(&snapshot, ResourceType::Listener), ["lds_egress_0.0.0.0_15001"]);
    assert!(names(&snapshot, ResourceType::Route).is_empty());
}

#[test]
fn routes_are_tried_by_priority_and_then_by_how_specific_they_are() {
    let route = |matcher: Value, priority: Option<i32>| {
        let mut spec = json!({"http2Route": {"action": to_a(), "match": matcher}});
        if let Some(priority) = priority {
            spec["priority"] = json!(priority);
        }
        spec
    };
    let mesh = routed(
        "http2",
        &[
            ("a-any", route(json!({"prefix": "/"}), None)),
            ("b-long", route(json!({"prefix": "/long"}), None)),
            ("c-exact", route(json!({"path": {"exact": "/x"}}), None)),
            ("d-regex", route(json!({"path": {"regex": "/.*"}}), None)),
            ("e-header", route(json!({"prefix": "/", "headers": [{"name": "h"}]}), None)),
            ("f-second", route(json!({"prefix": "/"}), Some(7))),
            ("g-first", route(json!({"prefix": "/"}), Some(0))),
            ("h-any", route(json!({"prefix": "/"}), None)),
        ],
    );
    let routes = egress(&client(&mesh), "rds_egress_http2_80");
    let order: Vec<_> = routes.virtual_hosts[0].routes.iter().map(|route| route.name.as_str()).collect();
    assert_eq!(order, ["g-first", "f-second", "c-exact", "d-regex", "b-long", "e-header", "a-any", "h-any"]);
}

#[test]
fn a_weight_of_0_stays() {
    let action =
        json!({"weightedTargets": [{"virtualNode": "a", "weight": 100}, {"virtualNode": "b", "weight": 0}]});
    let mesh = routed("http2", &[("x", json!({"http2Route": {"action": action, "match": {"prefix": "/"}}}))]);
    let routes = egress(&client(&mesh), "rds_egress_http2_80");
    let Some(Action::Route(action)) = &routes.virtual_hosts[0].routes[0].action else { panic!("no route") };
    let Some(ClusterSpecifier::WeightedClusters(weighted)) = &action.cluster_specifier else {
        panic!("no weights")
    };
    let weights: Vec<_> =
        weighted.clusters.iter().map(|one| (one.name.as_str(), one.weight.map(|w| w.value))).collect();
    assert_eq!(weights, [("cds_egress_apps_a_http2_80", Some(100)), ("cds_egress_apps_b_http2_80", Some(0))]);
}

#[test]
fn discovery_by_dns_is_one_load_balancer_or_many_endpoints() {
    use envoy_types::pb::envoy::config::cluster::v3::cluster::DiscoveryType::{LogicalDns, StrictDns};
    for (response, expected) in
        [(None, LogicalDns), (Some("LOADBALANCER"), LogicalDns), (Some("ENDPOINTS"), StrictDns)]
    {
        let mut dns = json!({"hostname": "n"});
        if let Some(response) = response {
            dns["responseType"] = json!(response);
        }
        let mesh = view(&[
            (
                "virtualNode/n",
                json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}], "serviceDiscovery": {"dns": dns}}),
            ),
            ("virtualService/n.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
            ("virtualNode/client", calling(&["n.local"])),
        ]);
        let snapshot = client(&mesh);
        let cluster = decoded::<Cluster>(&snapshot, ResourceType::Cluster)
            .find(|one| one.name.contains("_n_"))
            .expect("a cluster");
        assert_eq!(cluster.cluster_discovery_type, Some(ClusterDiscoveryType::Type(expected.into())));
    }
}

#[test]
fn a_service_without_a_provider_answers_404_even_where_others_pass() {
    let mesh = view(&[
        ("", json!({"egressFilter": {"type": "ALLOW_ALL"}})),
        (
            "virtualNode/n",
            json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}], "serviceDiscovery": {"dns": {"hostname": "n"}}}),
        ),
        ("virtualService/n.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualService/Empty.local", json!({})),
        ("virtualNode/client", calling(&["n.local", "Empty.local"])),
    ]);
    let routes = egress(&client(&mesh), "rds_egress_http_80");
    let hosts: Vec<_> =
        routes.virtual_hosts.iter().map(|host| (host.domains.clone(), host.routes.len())).collect();
    assert_eq!(
        hosts,
        [
            (vec!["n.local:80".to_owned(), "n.local".to_owned()], 1),
            (vec!["empty.local:80".to_owned(), "empty.local".to_owned()], 0),
            (vec!["*".to_owned()], 1),
        ]
    );
}

#[test]
fn what_a_port_cannot_serve_is_named_and_not_dropped_in_silence() {
    let mesh = corpus::odd().pop().expect("the conflicts");
    assert_eq!(
        unserved_of(&mesh, "virtualNode/client"),
        [
            "spec.backends[1].virtualService.virtualServiceName: \"n.local\" has the name already: DNS names have no case",
            "spec.backends[2].virtualService.virtualServiceName: port 90 belongs to the tcp service \"n.local\", which takes all of it; give it another port, or let names resolve on the node's machines (fleetmesh proxy dns, proxy.dns of a fleet): its virtual address is its own",
            "spec.backends[3].virtualService.virtualServiceName: port 80 speaks HTTP for \"n.local\" already, so it cannot be tcp; give it another port, or let names resolve on the node's machines (fleetmesh proxy dns, proxy.dns of a fleet): its virtual address is its own",
        ]
    );
}

#[test]
fn of_a_node_with_every_member_nothing_but_an_impossible_check_is_not_served() {
    let policy = json!({"tls": {"validation": {"trust": {"file": {"certificateChain": "/c"}}}}});
    let mesh = view(&[(
        "virtualNode/n",
        json!({
            "backendDefaults": {"clientPolicy": policy},
            "backends": [{"virtualService": {"virtualServiceName": "x", "clientPolicy": policy}}],
            "listeners": [{
                "portMapping": {"port": 80, "protocol": "http"},
                "connectionPool": {"http": {"maxConnections": 1}},
                "outlierDetection": {"baseEjectionDuration": {"unit": "s", "value": 1}, "interval": {"unit": "s", "value": 1}, "maxEjectionPercent": 1, "maxServerErrors": 1},
                "healthCheck": {"healthyThreshold": 2, "intervalMillis": 5000, "protocol": "grpc", "timeoutMillis": 2000, "unhealthyThreshold": 2},
                "tls": {"mode": "STRICT", "certificate": {"file": {"certificateChain": "/c", "privateKey": "/k"}}},
            }],
            "serviceDiscovery": {"awsCloudMap": {"namespaceName": "a", "serviceName": "b"}},
        }),
    )]);
    assert_eq!(
        unserved_of(&mesh, "virtualNode/n"),
        ["spec.listeners[0].healthCheck: a grpc check needs a grpc or http2 listener, not http"]
    );
}

#[test]
fn a_route_that_no_listener_or_target_serves_says_why() {
    let route = json!({"httpRoute": {"action": {"weightedTargets": [{"virtualNode": "a", "weight": 1, "port": 81}, {"virtualNode": "gone", "weight": 1}]}, "match": {"prefix": "/", "port": 99}}});
    let mesh = routed("http2", &[("x", route)]);
    assert_eq!(
        unserved_of(&mesh, "virtualRouter/r/route/x"),
        [
            "spec.httpRoute: the virtual router has no http listener on port 99",
            "spec.httpRoute.action.weightedTargets[0]: virtual node \"a\" has no listener on port 81",
            "spec.httpRoute.action.weightedTargets[1]: virtual node \"gone\" does not exist",
        ]
    );
    assert!(unserved_of(&mesh, "virtualService/s.local").is_empty());
}

#[test]
fn a_node_that_is_not_there_has_no_snapshot() {
    assert!(Snapshot::build(&view(&[]), &Discovered::default(), &node("client")).is_none());
}
