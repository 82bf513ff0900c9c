//! gRPC routes: service, method and metadata decide; what is no gRPC has no route.

use fleetmesh_testbed::app::Protocol;
use fleetmesh_testbed::userns;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::spec::{caller, empty_mesh, route, routed, router_on, server, targets};

const BASE: &str = "http://rpc.apps.local:9000";

/// Routes to red, by priority; everything else goes to blue.
fn to_red() -> Vec<(&'static str, Value)> {
    let metadata = |matcher: Value| json!([{ "name": "tenant", "match": matcher }]);
    vec![
        ("method", json!({ "serviceName": "shop.Orders", "methodName": "Create" })),
        ("service", json!({ "serviceName": "shop.Stock" })),
        ("exact", json!({ "serviceName": "m.Exact", "metadata": metadata(json!({ "exact": "ada" })) })),
        ("prefix", json!({ "serviceName": "m.Prefix", "metadata": metadata(json!({ "prefix": "ad" })) })),
        ("suffix", json!({ "serviceName": "m.Suffix", "metadata": metadata(json!({ "suffix": "da" })) })),
        ("regex", json!({ "serviceName": "m.Regex", "metadata": metadata(json!({ "regex": "a.a" })) })),
        (
            "range",
            json!({ "serviceName": "m.Range",
            "metadata": metadata(json!({ "range": { "start": 1, "end": 3 } })) }),
        ),
        ("present", json!({ "serviceName": "m.Present", "metadata": [{ "name": "tenant" }] })),
        (
            "invert",
            json!({ "serviceName": "m.Invert",
            "metadata": [{ "name": "tenant", "invert": true, "match": { "exact": "ada" } }] }),
        ),
    ]
}

/// Calls, with the metadata `tenant` or none, and who must answer.
const CALLS: &[(&str, &str, &str)] = &[
    ("shop.Orders/Create", "", "red"),
    ("shop.Orders/Cancel", "", "blue"),
    ("shop.OrdersX/Create", "", "blue"),
    ("shop.Stock/Count", "", "red"),
    ("shop.Stock/Add", "", "red"),
    ("shop.Stocks/Add", "", "blue"),
    ("m.Exact/A", "ada", "red"),
    ("m.Exact/A", "adam", "blue"),
    ("m.Exact/A", "", "blue"),
    ("m.Prefix/A", "adam", "red"),
    ("m.Prefix/A", "bad", "blue"),
    ("m.Suffix/A", "yada", "red"),
    ("m.Suffix/A", "adam", "blue"),
    ("m.Regex/A", "aba", "red"),
    ("m.Regex/A", "abba", "blue"),
    ("m.Range/A", "1", "red"),
    ("m.Range/A", "3", "blue"),
    ("m.Present/A", "x", "red"),
    ("m.Present/A", "", "blue"),
    ("m.Invert/A", "bob", "red"),
    ("m.Invert/A", "ada", "blue"),
];

#[tokio::test]
async fn calls_land_where_the_routes_say() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, blue]) = Bed::start("grpc", ["client", "red", "blue"]).await;
    bed.names(&[&client, &red, &blue], &["rpc.apps.local"]).await;
    let ports = [("grpc", 9001)];
    bed.create(&[
        empty_mesh(),
        server("red", &ports),
        server("blue", &ports),
        router_on("rpc", &[("grpc", 9000)]),
    ])
    .await;
    for (name, matcher) in to_red() {
        let spec = json!({ "grpcRoute": { "match": matcher, "action": targets(&[("red", 9001, 1)]) } });
        bed.create(&[(route("rpc", name), spec)]).await;
    }
    let rest = json!({ "grpcRoute": { "match": {}, "action": targets(&[("blue", 9001, 1)]) } });
    bed.create(&[
        (route("rpc", "rest"), rest),
        routed("rpc.apps.local", "rpc"),
        caller("client", &["rpc.apps.local"]),
    ])
    .await;
    let apps = [(Protocol::Grpc, 9001)];
    let _red = bed.join(red, &apps).await;
    let _blue = bed.join(blue, &apps).await;
    let client = bed.join(client, &[]).await;

    let mut wrong = Vec::new();
    for (call, tenant, wanted) in CALLS {
        let metadata = format!("tenant: {tenant}");
        let extra: &[&str] = if tenant.is_empty() { &[] } else { &["--header", &metadata] };
        let outcome = client.send(Protocol::Grpc, &format!("{BASE}/{call}"), extra).await.outcome();
        if outcome != Ok((*wanted).to_owned()) {
            wrong.push(format!("{call} of {tenant:?}: {outcome:?}, not {wanted}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
    let plain = client.get(Protocol::Http2, &format!("{BASE}/shop.Stock/Add")).await;
    assert_eq!(plain.status, 404, "a grpc route is for gRPC only: {plain:?}");
}
