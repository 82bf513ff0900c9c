//! Virtual gateways: listeners, hosts, the order of routes, and routes joined with those behind them.

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::{address, socket_address};
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::HostRewriteSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{Route, RouteConfiguration, RouteMatch};
use serde_json::{Value, json};

use super::bootstrap::decoded;
use super::names;
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, Snapshot, unserved};
use crate::testing::{record, view};
use crate::view::MeshView;
use fleetmesh_model::ResourceId;

pub fn edge(view: &MeshView) -> Arc<Snapshot> {
    let id = ResourceId::virtual_gateway("apps", "edge");
    Arc::new(Snapshot::build(view, &Discovered::default(), &id).expect("the gateway exists"))
}

/// A mesh with the gateway `edge`, which has these listeners and routes; a router `r` with routes for `/red` and `/blue` is
/// behind `paths.local`, the node `red` behind `red.local`, nothing behind `empty.local`.
pub fn gateway(listeners: &Value, routes: &[(&str, Value)]) -> MeshView {
    let mapping = json!([{"portMapping": {"port": 80, "protocol": "http"}}]);
    let node = |host: &str| json!({"listeners": mapping, "serviceDiscovery": {"dns": {"hostname": host}}});
    let to = |path: &str, node: &str| json!({"httpRoute": {"match": {"prefix": path}, "action": {"weightedTargets": [{"virtualNode": node, "weight": 1}]}}});
    let mut objects = vec![
        ("virtualNode/red".to_owned(), node("red")),
        ("virtualNode/blue".to_owned(), node("blue")),
        ("virtualRouter/r".to_owned(), json!({"listeners": mapping})),
        ("virtualRouter/r/route/red".to_owned(), to("/red", "red")),
        ("virtualRouter/r/route/blue".to_owned(), to("/blue", "blue")),
        (
            "virtualService/paths.local".to_owned(),
            json!({"provider": {"virtualRouter": {"virtualRouterName": "r"}}}),
        ),
        (
            "virtualService/red.local".to_owned(),
            json!({"provider": {"virtualNode": {"virtualNodeName": "red"}}}),
        ),
        ("virtualService/empty.local".to_owned(), json!({})),
        ("virtualGateway/edge".to_owned(), json!({"listeners": listeners})),
    ];
    let named =
        |(name, spec): &(&str, Value)| (format!("virtualGateway/edge/gatewayRoute/{name}"), spec.clone());
    objects.extend(routes.iter().map(named));
    let objects: Vec<(&str, Value)> =
        objects.iter().map(|(path, spec)| (path.as_str(), spec.clone())).collect();
    view(&objects)
}

pub fn plain() -> Value {
    json!([{"portMapping": {"port": 8088, "protocol": "http"}}])
}

pub fn leads(service: &str, matcher: Value, rewrite: Value) -> Value {
    let mut action = json!({"target": {"virtualService": {"virtualServiceName": service}}});
    if !rewrite.is_null() {
        action["rewrite"] = rewrite;
    }
    json!({"httpRoute": {"match": matcher, "action": action}})
}

fn to(service: &str, matcher: Value) -> Value {
    leads(service, matcher, Value::Null)
}

/// Gateways that together use every member which has a mapping.
pub fn every_member() -> Vec<MeshView> {
    let check = json!({"healthyThreshold": 2, "intervalMillis": 5000, "path": "/ping", "protocol": "http", "timeoutMillis": 2000, "unhealthyThreshold": 2});
    let mut grpc_check = check.clone();
    grpc_check["protocol"] = json!("grpc");
    let listeners = json!([
        {"portMapping": {"port": 8088, "protocol": "http"}, "healthCheck": check, "connectionPool": {"http": {"maxConnections": 3, "maxPendingRequests": 4}}},
        {"portMapping": {"port": 8089, "protocol": "http2"}, "connectionPool": {"http2": {"maxRequests": 5}}},
        {"portMapping": {"port": 8090, "protocol": "grpc"}, "healthCheck": grpc_check, "connectionPool": {"grpc": {"maxRequests": 6}}},
    ]);
    let grpc = |matcher: Value, rewrite: Value| json!({"grpcRoute": {"match": matcher, "action": {"rewrite": rewrite, "target": {"virtualService": {"virtualServiceName": "red.local"}, "port": 80}}}});
    let http2 = |matcher: Value| json!({"http2Route": {"match": matcher, "action": {"target": {"virtualService": {"virtualServiceName": "paths.local"}}}}, "priority": 5});
    let headers = json!([{"name": "a"}, {"name": "b", "invert": true, "match": {"range": {"start": 1, "end": 5}}}, {"name": "c", "match": {"regex": "x+"}}]);
    let everything = json!({"prefix": "/a.b", "method": "POST", "headers": headers, "queryParameters": [{"name": "q", "match": {"exact": "x"}}, {"name": "p"}]});
    let escaped = json!({"prefix": {"value": "/$1\\2/"}});
    let metadata = json!([{"name": "m", "match": {"prefix": "x"}}]);
    vec![
        gateway(
            &listeners,
            &[
                ("everything", to("paths.local", everything.clone())),
                ("port", to("red.local", json!({"port": 8088, "hostname": {"exact": "A.example.com."}}))),
                ("suffix", to("red.local", json!({"hostname": {"suffix": "*.example.com"}}))),
                ("end", to("red.local", json!({"hostname": {"suffix": "example.com"}}))),
                ("escaped", leads("red.local", json!({"prefix": "/x+[y]"}), escaped)),
                (
                    "regex",
                    leads(
                        "red.local",
                        json!({"path": {"regex": "/v[0-9]+"}}),
                        json!({"path": {"exact": "/a\\b"}}),
                    ),
                ),
                (
                    "exact",
                    leads(
                        "paths.local",
                        json!({"path": {"exact": "/old"}}),
                        json!({"path": {"exact": "/red/x"}}),
                    ),
                ),
                ("nowhere", to("empty.local", json!({"prefix": "/empty"}))),
                ("h2", http2(everything)),
                ("grpc", grpc(json!({"serviceName": "p.S", "metadata": metadata}), json!({}))),
                (
                    "grpc-all",
                    grpc(
                        json!({"hostname": {"exact": "grpc.local"}}),
                        json!({"hostname": {"defaultTargetHostname": "DISABLED"}}),
                    ),
                ),
            ],
        ),
        over_tls(),
        gateway(&plain(), &[]),
        gateway(&json!([]), &[("x", to("red.local", json!({})))]),
    ]
}

/// A gateway with TLS of every mode that shows a certificate to the services behind it.
fn over_tls() -> MeshView {
    let check = json!({"healthyThreshold": 2, "intervalMillis": 5000, "protocol": "http", "path": "/", "timeoutMillis": 2000, "unhealthyThreshold": 2});
    let file = json!({"file": {"certificateChain": "/c", "privateKey": "/k"}});
    let trust = json!({"trust": {"file": {"certificateChain": "/ca"}}});
    let listener = |port: u16, mode: &str| json!({"portMapping": {"port": port, "protocol": "http"}, "healthCheck": check, "tls": {"mode": mode, "certificate": file}});
    let mut mutual = listener(8446, "STRICT");
    mutual["tls"]["validation"] = trust.clone();
    let listeners =
        json!([listener(8443, "STRICT"), listener(8444, "PERMISSIVE"), listener(8445, "DISABLED"), mutual]);
    let mut view = gateway(&listeners, &[("g", to("red.local", json!({"prefix": "/"})))]);
    let policy = json!({"tls": {"certificate": file, "validation": trust}});
    let spec = json!({"listeners": listeners, "backendDefaults": {"clientPolicy": policy}});
    let edge = record("virtualGateway/edge", &spec, 2);
    view.resources.insert(edge.id.clone(), edge);
    view
}

#[test]
fn tls_is_the_listeners_and_towards_services_the_client_policys() {
    let view = over_tls();
    let snapshot = edge(&view);
    let chains = decoded::<Listener>(&snapshot, ResourceType::Listener).map(|listener| {
        let chains = listener.filter_chains.iter().map(|chain| chain.transport_socket.is_some());
        (chains.collect::<Vec<bool>>(), listener.listener_filters.len())
    });
    let expected = [(vec![true], 0), (vec![true, false], 1), (vec![false], 0), (vec![true], 0)];
    assert_eq!(chains.collect::<Vec<_>>(), expected);
    let clusters = decoded::<Cluster>(&snapshot, ResourceType::Cluster);
    let clusters: Vec<(String, bool)> =
        clusters.map(|cluster| (cluster.name, cluster.transport_socket.is_some())).collect();
    let expected = [
        ("cds_egress_apps_red_http_80", true),
        ("cds_ingress_apps_edge_http_8443", true),
        ("cds_ingress_apps_edge_http_8444", false),
        ("cds_ingress_apps_edge_http_8445", false),
    ];
    assert_eq!(clusters, expected.map(|(name, tls)| (name.to_owned(), tls)));
    assert_eq!(names(&snapshot, ResourceType::Secret).len(), 2, "a certificate and authorities");
    assert_eq!(unserved_of(&view, "virtualGateway/edge"), [""; 0]);
}

fn table(snapshot: &Snapshot) -> RouteConfiguration {
    let mut tables = decoded::<RouteConfiguration>(snapshot, ResourceType::Route);
    tables.find(|routes| routes.name == "rds_ingress_http_8088").expect("routes")
}

fn matched(matched: &RouteMatch) -> String {
    let path = match &matched.path_specifier {
        Some(PathSpecifier::Prefix(prefix)) => format!("{prefix}…"),
        Some(PathSpecifier::Path(path)) => path.clone(),
        Some(PathSpecifier::SafeRegex(regex)) => format!("~{}", regex.regex),
        other => panic!("{other:?}"),
    };
    let more = matched.headers.len() + matched.query_parameters.len();
    if more == 0 { path } else { format!("{path} and {more}") }
}

fn shown(route: &Route) -> String {
    let action = match route.action.as_ref().expect("an action") {
        Action::DirectResponse(answer) => answer.status.to_string(),
        Action::Route(action) => {
            let host = match &action.host_rewrite_specifier {
                Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => host.as_str(),
                None => "its host",
                other => panic!("{other:?}"),
            };
            let regex = action.regex_rewrite.as_ref().map(|rewrite| {
                let pattern = rewrite.pattern.as_ref().expect("a pattern");
                format!(" {}→{}", pattern.regex, rewrite.substitution)
            });
            let prefix = Some(&action.prefix_rewrite).filter(|prefix| !prefix.is_empty());
            let rewrite = regex.or_else(|| prefix.map(|prefix| format!(" →{prefix}")));
            format!("{host}{}", rewrite.unwrap_or_default())
        }
        other => panic!("{other:?}"),
    };
    format!("{}: {} = {action}", route.name, matched(route.r#match.as_ref().expect("a match")))
}

fn routes(view: &MeshView) -> Vec<String> {
    let table = table(&edge(view));
    table.virtual_hosts.iter().flat_map(|host| host.routes.iter().map(shown)).collect()
}

fn unserved_of(view: &MeshView, path: &str) -> Vec<String> {
    let id = record(path, &json!({"listeners": []}), 1).id.clone();
    unserved(view, &Discovered::default(), view.get(&id).expect("the object"))
}

#[test]
fn a_gateway_listens_on_its_own_ports_and_has_what_its_routes_lead_to() {
    let snapshot = edge(&every_member()[0]);
    let listeners = ["lds_ingress_0.0.0.0_8088", "lds_ingress_0.0.0.0_8089", "lds_ingress_0.0.0.0_8090"];
    assert_eq!(names(&snapshot, ResourceType::Listener), listeners);
    let tables = ["rds_ingress_grpc_8090", "rds_ingress_http2_8089", "rds_ingress_http_8088"];
    assert_eq!(names(&snapshot, ResourceType::Route), tables);
    let clusters = [
        "cds_egress_apps_blue_http_80",
        "cds_egress_apps_red_http_80",
        "cds_ingress_apps_edge_grpc_8090",
        "cds_ingress_apps_edge_http_8088",
    ];
    assert_eq!(names(&snapshot, ResourceType::Cluster), clusters);
    let ports = decoded::<Listener>(&snapshot, ResourceType::Listener).map(|listener| {
        let address = listener.address.and_then(|address| address.address);
        let Some(address::Address::SocketAddress(socket)) = address else { panic!("no address") };
        (socket.address, socket.port_specifier)
    });
    let port = |port| ("0.0.0.0".to_owned(), Some(socket_address::PortSpecifier::PortValue(port)));
    assert_eq!(ports.collect::<Vec<_>>(), [port(8088), port(8089), port(8090)]);
    assert!(snapshot.targets.nodes.values().all(|node| node.kind() == fleetmesh_model::Kind::VirtualNode));
    assert!(
        names(&edge(&every_member()[3]), ResourceType::Listener).is_empty(),
        "no listeners, nothing at all"
    );
}

#[test]
fn routes_are_tried_by_priority_then_host_then_path() {
    let prioritised = |mut route: Value, priority: i32| {
        route["priority"] = json!(priority);
        route
    };
    let host = |host: Value| to("red.local", json!({"prefix": "/", "hostname": host}));
    let view = gateway(
        &plain(),
        &[
            ("a-any", to("red.local", json!({"prefix": "/"}))),
            ("b-long", to("red.local", json!({"prefix": "/long"}))),
            ("c-exact", to("red.local", json!({"path": {"exact": "/x"}}))),
            ("d-method", to("red.local", json!({"prefix": "/", "method": "GET"}))),
            ("e-host", host(json!({"exact": "A.example.com"}))),
            ("f-end", host(json!({"suffix": ".example.com"}))),
            ("g-longer-end", host(json!({"suffix": ".b.example.com"}))),
            ("h-first", prioritised(to("red.local", json!({"prefix": "/"})), 0)),
            ("i-second", prioritised(host(json!({"suffix": ".example.com"})), 7)),
        ],
    );
    let table = table(&edge(&view));
    assert!(table.ignore_port_in_host_matching);
    let hosts: Vec<(Vec<&str>, Vec<&str>)> = table
        .virtual_hosts
        .iter()
        .map(|host| {
            let routes = host.routes.iter().map(|route| route.name.as_str());
            (host.domains.iter().map(String::as_str).collect(), routes.collect())
        })
        .collect();
    let any = ["c-exact", "b-long", "d-method", "a-any"];
    let with = |first: &[&'static str]| [first, &any].concat();
    assert_eq!(
        hosts,
        [
            (vec!["a.example.com"], with(&["h-first", "i-second", "e-host", "f-end"])),
            (
                vec!["*.b.example.com", ".b.example.com"],
                with(&["h-first", "i-second", "g-longer-end", "f-end"])
            ),
            (vec!["*.example.com", ".example.com"], with(&["h-first", "i-second", "f-end"])),
            (vec!["*"], with(&["h-first"])),
        ]
    );
}

#[test]
fn a_suffix_is_the_name_itself_too_unless_that_has_routes_of_its_own() {
    let host = |host: Value| to("red.local", json!({"hostname": host}));
    let alone = gateway(&plain(), &[("end", host(json!({"suffix": "example.com"})))]);
    let beside = gateway(
        &plain(),
        &[("end", host(json!({"suffix": "example.com"}))), ("one", host(json!({"exact": "example.com"})))],
    );
    let domains = |view| -> Vec<Vec<String>> {
        table(&edge(view)).virtual_hosts.into_iter().map(|host| host.domains).collect()
    };
    assert_eq!(domains(&alone), [["*example.com", "example.com"]]);
    assert_eq!(domains(&beside), [["example.com"], ["*example.com"]]);
}

#[test]
fn a_gateway_route_becomes_one_route_for_each_behind_it_and_ends_in_404() {
    let paths =
        |matcher: Value, rewrite: Value| gateway(&plain(), &[("g", leads("paths.local", matcher, rewrite))]);
    for (matcher, rewrite, expected) in [
        (
            json!({"prefix": "/paths"}),
            Value::Null,
            vec![
                "g: ~/paths/?blue.* = paths.local ^/paths/?→/",
                "g: ~/paths/?red.* = paths.local ^/paths/?→/",
                "g: /paths… = 404",
            ],
        ),
        (
            json!({"prefix": "/test/"}),
            json!({"prefix": {"value": "/red/"}}),
            vec!["g: /test/… = paths.local →/red/"],
        ),
        (
            json!({"path": {"exact": "/rewrite"}}),
            json!({"path": {"exact": "/blue"}}),
            vec!["g: /rewrite = paths.local →/blue"],
        ),
        (
            json!({"prefix": "/"}),
            json!({"hostname": {"defaultTargetHostname": "DISABLED"}}),
            vec!["g: /blue… = its host", "g: /red… = its host", "g: /… = 404"],
        ),
        (
            json!({"prefix": "/red", "method": "GET"}),
            json!({"prefix": {"defaultPrefix": "DISABLED"}}),
            vec!["g: /red… and 1 = paths.local"],
        ),
        (json!({}), Value::Null, vec!["g: /blue… = paths.local", "g: /red… = paths.local", "g: /… = 404"]),
    ] {
        let view = paths(matcher.clone(), rewrite);
        assert_eq!(routes(&view), expected, "{matcher}");
        assert_eq!(unserved_of(&view, "virtualGateway/edge/gatewayRoute/g"), [""; 0], "{matcher}");
    }
}

#[test]
fn what_is_behind_a_route_without_a_router_gets_everything() {
    let view = gateway(&plain(), &[("g", to("red.local", json!({"prefix": "/api"})))]);
    assert_eq!(routes(&view), ["g: /api… = red.local ^/api/?→/"]);
    let view = gateway(&plain(), &[("g", to("empty.local", json!({"prefix": "/api"})))]);
    assert_eq!(routes(&view), ["g: /api… = 404"]);
}

#[test]
fn a_condition_on_the_host_behind_the_gateway_is_on_the_rewritten_one() {
    let with_host = |pattern: Value| {
        let mut view = gateway(&plain(), &[("g", to("paths.local", json!({"prefix": "/"})))]);
        let route = record(
            "virtualRouter/r/route/red",
            &json!({"httpRoute": {"match": {"prefix": "/red", "headers": [{"name": "Host", "match": pattern}]}, "action": {"weightedTargets": [{"virtualNode": "red", "weight": 1}]}}}),
            2,
        );
        view.resources.insert(route.id.clone(), route);
        view
    };
    let holds = with_host(json!({"exact": "paths.local"}));
    assert!(routes(&holds).contains(&"g: /red… = paths.local".to_owned()), "{:?}", routes(&holds));
    let fails = with_host(json!({"suffix": ".com"}));
    assert!(!routes(&fails).iter().any(|route| route.contains("/red")), "{:?}", routes(&fails));
    let unknown = with_host(json!({"regex": "p.*"}));
    let unserved = unserved_of(&unknown, "virtualGateway/edge/gatewayRoute/g");
    assert!(
        unserved[0].starts_with("spec.httpRoute.action.target: what route \"red\" matches"),
        "{unserved:?}"
    );
}

#[test]
fn what_a_gateway_cannot_serve_says_why() {
    let tls = json!({"mode": "STRICT", "certificate": {"acm": {"certificateArn": "arn"}}});
    let listeners = json!([
        {"portMapping": {"port": 8088, "protocol": "http"}, "tls": tls},
        {"portMapping": {"port": 8089, "protocol": "http"}},
    ]);
    let target = |service: &str, port: Option<u16>| {
        let mut target = json!({"virtualService": {"virtualServiceName": service}});
        if let Some(port) = port {
            target["port"] = json!(port);
        }
        json!({"httpRoute": {"match": {}, "action": {"target": target}}})
    };
    let view = gateway(
        &listeners,
        &[
            ("other-port", to("red.local", json!({"port": 1}))),
            ("other-target", target("red.local", Some(81))),
            ("empty", target("empty.local", None)),
            ("fine", target("red.local", Some(80))),
        ],
    );
    let snapshot = edge(&view);
    assert_eq!(names(&snapshot, ResourceType::Listener), ["lds_ingress_0.0.0.0_8089"], "TLS or nothing");
    let closed = unserved_of(&view, "virtualGateway/edge");
    assert!(closed[0].starts_with("spec.listeners[0].tls.certificate.acm: "), "{closed:?}");
    for (name, expected) in [
        ("other-port", vec!["spec.httpRoute: the virtual gateway has no http listener on port 1"]),
        (
            "other-target",
            vec!["spec.httpRoute.action.target: virtual service \"red.local\" speaks no HTTP on port 81"],
        ),
        ("empty", vec!["spec.httpRoute.action.target: virtual service \"empty.local\" has no provider"]),
        ("fine", vec![]),
    ] {
        assert_eq!(unserved_of(&view, &format!("virtualGateway/edge/gatewayRoute/{name}")), expected);
    }
}

#[test]
fn a_pool_limits_what_leaves_the_gateway_and_a_check_is_made_of_its_own_port() {
    let limits = |listeners: Value| {
        let view = gateway(&listeners, &[("g", to("red.local", json!({})))]);
        let snapshot = edge(&view);
        let cluster = decoded::<Cluster>(&snapshot, ResourceType::Cluster);
        let cluster = { cluster }.find(|cluster| cluster.name == "cds_egress_apps_red_http_80").expect("red");
        let thresholds = cluster.circuit_breakers.expect("limits").thresholds.remove(0);
        [thresholds.max_connections, thresholds.max_pending_requests, thresholds.max_requests]
            .map(|number| number.expect("a number").value)
    };
    const MOST: u32 = 2_147_483_647;
    let http = json!({"portMapping": {"port": 8088, "protocol": "http"}, "connectionPool": {"http": {"maxConnections": 3, "maxPendingRequests": 4}}});
    assert_eq!(limits(plain()), [MOST; 3]);
    assert_eq!(limits(json!([http])), [3, 4, MOST]);
    let larger = json!({"portMapping": {"port": 8089, "protocol": "http"}, "connectionPool": {"http": {"maxConnections": 9}}});
    assert_eq!(limits(json!([http, larger])), [9, MOST, MOST]);
    let snapshot = edge(&every_member()[0]);
    let checked = decoded::<Cluster>(&snapshot, ResourceType::Cluster)
        .filter(|cluster| cluster.name.contains("ingress"))
        .map(|cluster| cluster.health_checks.len());
    assert_eq!(checked.collect::<Vec<_>>(), [1, 1]);
}
