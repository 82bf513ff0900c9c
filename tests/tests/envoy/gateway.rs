//! A virtual gateway: a client outside of the mesh reaches two services by an Envoy that is given nothing but the gateway's
//! ARN. The application sees what the gateway's rewrites make of a request.

use fleetmesh_testbed::app::{self, AppLoad, LoadOptions, Protocol};
use fleetmesh_testbed::netns::NetnsInstance;
use fleetmesh_testbed::userns;
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT};
use crate::spec::{
    empty_mesh, gateway, gateway_route, listeners, route, routed, router_on, server, service, targets,
};

/// A request and what becomes of it: the path, more arguments of the client, who answers, the path and the host that the
/// application sees.
type Case = (&'static str, &'static [&'static str], &'static str, &'static str, &'static str);

const PATHS: &str = "paths.apps.local";
const RED: &str = "red.apps.local";
const BLUE: &str = "blue.apps.local";

const CASES: [Case; 17] = [
    ("/", &[], "blue", "/", BLUE),
    ("/any?x=1", &[], "blue", "/any?x=1", BLUE),
    // The prefix becomes a slash, and the router behind sees the rest.
    ("/paths/red", &[], "red", "/red", PATHS),
    ("/paths/blue/x?y=1", &[], "blue", "/blue/x?y=1", PATHS),
    ("/test/x", &[], "red", "/red/x", PATHS),
    ("/old", &[], "red", "/red/new", PATHS),
    ("/old?x=1", &[], "red", "/red/new?x=1", PATHS),
    ("/v12/x", &[], "red", "/v12/x", RED),
    ("/v12", &[], "blue", "/v12", BLUE),
    ("/keep/x", &["--header", "host: keep.example.com"], "red", "/keep/x", "keep.example.com"),
    ("/", &["--header", "color_header: red"], "red", "/", RED),
    ("/", &["--header", "x-number: 7"], "red", "/", RED),
    ("/", &["--header", "x-number: 10"], "blue", "/", BLUE),
    ("/m", &["--method", "DELETE"], "red", "/m", RED),
    ("/query?color=red", &[], "red", "/?color=red", RED),
    ("/query?color=blue", &[], "blue", "/query?color=blue", BLUE),
    // Dots cannot lead around a prefix.
    ("/keep/../paths/red", &[], "red", "/red", PATHS),
];

/// The same with the Host header: who answers.
const HOSTS: [(&str, &str); 6] = [
    ("red.example.com", "red"),
    ("RED.example.com:8088", "red"),
    ("a.b.red.example.org", "red"),
    ("red.example.org", "blue"),
    ("redder.example.com", "blue"),
    ("nobody.example.com", "blue"),
];

fn to(service: &str, port: Option<u16>, matcher: &Value, rewrite: &Value) -> Value {
    let mut target = json!({ "virtualService": { "virtualServiceName": service } });
    if let Some(port) = port {
        target["port"] = json!(port);
    }
    let action = json!({ "target": target, "rewrite": rewrite });
    json!({ "httpRoute": { "match": matcher, "action": action } })
}

fn gateway_routes() -> Vec<(&'static str, Value)> {
    let red = |matcher: Value| to(RED, Some(8001), &matcher, &json!({}));
    let header = |name: &str, pattern: Value| json!({ "prefix": "/", "headers": [{ "name": name, "match": pattern }] });
    let query =
        json!({ "prefix": "/query", "queryParameters": [{ "name": "color", "match": { "exact": "red" } }] });
    let kept = json!({ "hostname": { "defaultTargetHostname": "DISABLED" }, "prefix": { "defaultPrefix": "DISABLED" } });
    let anything = json!({ "prefix": "/query" });
    vec![
        ("rest", to(BLUE, None, &json!({ "prefix": "/" }), &json!({}))),
        ("paths", to(PATHS, None, &json!({ "prefix": "/paths" }), &json!({}))),
        ("test", to(PATHS, None, &json!({ "prefix": "/test/" }), &json!({ "prefix": { "value": "/red/" } }))),
        (
            "old",
            to(
                PATHS,
                None,
                &json!({ "path": { "exact": "/old" } }),
                &json!({ "path": { "exact": "/red/new" } }),
            ),
        ),
        ("regex", red(json!({ "path": { "regex": "/v[0-9]+/.*" } }))),
        ("keep", to(RED, Some(8001), &json!({ "prefix": "/keep" }), &kept)),
        ("header", red(header("color_header", json!({ "exact": "red" })))),
        ("range", red(header("x-number", json!({ "range": { "start": 5, "end": 10 } })))),
        ("method", red(json!({ "prefix": "/", "method": "DELETE" }))),
        ("query", red(query)),
        ("query-rest", to(BLUE, None, &anything, &json!({ "prefix": { "defaultPrefix": "DISABLED" } }))),
        ("host", red(json!({ "hostname": { "exact": "red.example.com" } }))),
        ("suffix", red(json!({ "hostname": { "suffix": ".red.example.org" } }))),
    ]
}

/// Two nodes, a service for each, a router that separates them by path, and the gateway `edge`.
async fn objects(bed: &Bed) {
    let provided = |node: &str| json!({ "provider": { "virtualNode": { "virtualNodeName": node } } });
    let to_node = |path: &str, node: &str| json!({ "httpRoute": { "match": { "prefix": path }, "action": targets(&[(node, 8001, 1)]) } });
    bed.create(&[
        empty_mesh(),
        server("red", &[("http", 8001), ("grpc", 8002)]),
        server("blue", &[("http", 8001)]),
        router_on("paths", &[("http", 80)]),
        (route("paths", "red"), to_node("/red", "red")),
        (route("paths", "blue"), to_node("/blue", "blue")),
        routed(PATHS, "paths"),
        (service(RED), provided("red")),
        (service(BLUE), provided("blue")),
        (gateway("edge"), json!({ "listeners": listeners(&[("http", 8088), ("grpc", 9111)]) })),
    ])
    .await;
    for (name, spec) in gateway_routes() {
        bed.create(&[(gateway_route("edge", name), spec)]).await;
    }
    let target = json!({ "port": 8002, "virtualService": { "virtualServiceName": RED } });
    let grpc = json!({ "match": { "serviceName": "shop.Pricing" }, "action": { "target": target } });
    bed.create(&[(gateway_route("edge", "grpc"), json!({ "grpcRoute": grpc }))]).await;
}

async fn land_where_the_routes_say(outside: &NetnsInstance) {
    let mut wrong = Vec::new();
    for (path, extra, responder, seen, host) in CASES {
        let url = format!("http://edge.apps.local:8088{path}");
        let answer = app::get(outside, Protocol::Http, &url, extra).await.unwrap();
        let seen_there: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let found =
            (answer.responder.as_str(), seen_there["path"].as_str(), seen_there["headers"]["host"].as_str());
        if found != (responder, Some(seen), Some(host)) {
            wrong.push(format!("{path} {extra:?}: {found:?}, not {:?}", (responder, seen, host)));
        }
    }
    for (host, responder) in HOSTS {
        let header = format!("host: {host}");
        let url = "http://edge.apps.local:8088/";
        let answer = app::get(outside, Protocol::Http, url, &["--header", &header]).await.unwrap();
        if answer.responder != responder {
            wrong.push(format!("{host}: {:?}, not {responder}", answer.responder));
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    // What no route behind the gateway route takes goes to no other gateway route.
    let url = "http://edge.apps.local:8088/paths/green";
    let status = app::get(outside, Protocol::Http, url, &[]).await.unwrap().status;
    assert_eq!(status, 404, "{url}");
    for (method, expected) in [("shop.Pricing/Quote", Ok("red".to_owned())), ("shop.Other/Quote", Err(()))] {
        let url = format!("http://edge.apps.local:9111/{method}");
        let outcome = app::get(outside, Protocol::Grpc, &url, &[]).await.unwrap().outcome();
        assert_eq!(outcome.map_err(|_| ()), expected, "{method}");
    }
}

#[tokio::test]
async fn requests_from_outside_land_where_the_gateway_routes_say() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [outside, edge, red, blue]) =
        Bed::start("gateway", ["outside", "edge", "red", "blue"]).await;
    bed.names(&[&outside, &edge, &red, &blue], &[]).await;
    objects(&bed).await;
    let _red = bed.join(red, &[(Protocol::Http, 8001), (Protocol::Grpc, 8002)]).await;
    let _blue = bed.join(blue, &[(Protocol::Http, 8001)]).await;
    let edge = bed.join_gateway(edge).await;
    bed.runs_on(&gateway("edge"), 1).await;
    bed.runs_on(&gateway_route("edge", "rest"), 1).await;
    land_where_the_routes_say(&outside).await;
    let shown = app::get(&outside, Protocol::Http, "http://edge.apps.local:8088/", &[]).await.unwrap();
    let seen_there: Value = serde_json::from_str(&shown.body).unwrap();
    assert_eq!(seen_there["headers"]["x-forwarded-for"], outside.ipv4().to_string(), "the client's address");

    // The same path under load leads elsewhere, and the listener changes: nothing fails.
    let options = LoadOptions {
        protocol: Protocol::Http,
        rate: 200,
        ..LoadOptions::new("http://edge.apps.local:8088/")
    };
    let mut load = AppLoad::start(&options, "before", &outside, &bed.run).await.unwrap();
    load.until("blue serves", LIMIT, |tally| tally.answered() > 100).await.unwrap();
    let rest = to(RED, Some(8001), &json!({ "prefix": "/" }), &json!({}));
    bed.update(&gateway_route("edge", "rest"), &rest, 1).await;
    load.phase("after").await.unwrap();
    let logging = json!({ "accessLog": { "file": { "path": "/dev/stdout" } } });
    let pool = json!({ "http": { "maxConnections": 500 } });
    let changed = json!({ "logging": logging, "listeners": [
        { "portMapping": { "port": 8088, "protocol": "http" }, "connectionPool": pool },
        { "portMapping": { "port": 9111, "protocol": "grpc" } }] });
    bed.update(&gateway("edge"), &changed, 1).await;
    load.until("red serves", LIMIT, |tally| tally.phase("after").answered() > 200).await.unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:?}");
    assert!(tally.phase("before").by("blue") > 100, "{tally:?}");
    assert!(tally.phase("after").by("red") > 200, "{tally:?}");
    assert_eq!(edge.stat("listener_manager.lds.update_rejected").await, 0);
}
