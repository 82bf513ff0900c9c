//! HTTP routes: each kind of match lets through what it names and nothing else, for http and http2 alike; the order
//! of routes; ports of a router.

use fleetmesh_testbed::app::Protocol;
use fleetmesh_testbed::userns;
use serde_json::{Value, json};

use crate::bed::{Bed, MeshMember};
use crate::spec::{caller, empty_mesh, route, routed, router_on, server, targets};

/// A match, the requests that it must let through, and those that it must not: path, then arguments of the client.
struct RouteCase {
    name: &'static str,
    matcher: Value,
    hits: &'static [(&'static str, &'static [&'static str])],
    misses: &'static [(&'static str, &'static [&'static str])],
}

fn header(prefix: &str, matcher: &Value) -> Value {
    json!({ "prefix": prefix, "headers": [{ "name": "x-user", "match": matcher }] })
}

fn cases() -> Vec<RouteCase> {
    [paths(), headers(), the_rest()].into_iter().flatten().collect()
}

fn paths() -> Vec<RouteCase> {
    vec![
        RouteCase {
            name: "prefix",
            matcher: json!({ "prefix": "/prefix/" }),
            hits: &[("/prefix/", &[]), ("/prefix/a/b?c=d", &[])],
            misses: &[("/prefix", &[]), ("/Prefix/", &[]), ("/a/prefix/", &[])],
        },
        RouteCase {
            name: "exact",
            matcher: json!({ "path": { "exact": "/exact" } }),
            hits: &[("/exact", &[]), ("/exact?a=b", &[])],
            misses: &[("/exact/", &[]), ("/exactly", &[])],
        },
        RouteCase {
            name: "regex",
            matcher: json!({ "path": { "regex": "/regex/[0-9]+" } }),
            hits: &[("/regex/1", &[]), ("/regex/23?a=b", &[])],
            misses: &[("/regex/", &[]), ("/regex/1a", &[]), ("/a/regex/1", &[])],
        },
    ]
}

fn headers() -> Vec<RouteCase> {
    vec![
        RouteCase {
            name: "header-present",
            matcher: json!({ "prefix": "/header-present", "headers": [{ "name": "x-user" }] }),
            hits: &[("/header-present", &["--header", "X-User: anyone"])],
            misses: &[("/header-present", &[]), ("/header-present", &["--header", "x-users: anyone"])],
        },
        RouteCase {
            name: "header-exact",
            matcher: header("/header-exact", &json!({ "exact": "ada" })),
            hits: &[("/header-exact", &["--header", "x-user: ada"])],
            misses: &[("/header-exact", &["--header", "x-user: adam"]), ("/header-exact", &[])],
        },
        RouteCase {
            name: "header-prefix",
            matcher: header("/header-prefix", &json!({ "prefix": "ad" })),
            hits: &[("/header-prefix", &["--header", "x-user: ada"])],
            misses: &[("/header-prefix", &["--header", "x-user: bad"])],
        },
        RouteCase {
            name: "header-suffix",
            matcher: header("/header-suffix", &json!({ "suffix": "da" })),
            hits: &[("/header-suffix", &["--header", "x-user: ada"])],
            misses: &[("/header-suffix", &["--header", "x-user: adam"])],
        },
        RouteCase {
            name: "header-regex",
            matcher: header("/header-regex", &json!({ "regex": "a.a|b[0-9]" })),
            hits: &[
                ("/header-regex", &["--header", "x-user: ada"]),
                ("/header-regex", &["--header", "x-user: b7"]),
            ],
            misses: &[("/header-regex", &["--header", "x-user: b77"])],
        },
        RouteCase {
            name: "header-range",
            matcher: header("/header-range", &json!({ "range": { "start": 5, "end": 10 } })),
            hits: &[
                ("/header-range", &["--header", "x-user: 5"]),
                ("/header-range", &["--header", "x-user: 9"]),
            ],
            misses: &[
                ("/header-range", &["--header", "x-user: 10"]),
                ("/header-range", &["--header", "x-user: 4"]),
                ("/header-range", &["--header", "x-user: five"]),
            ],
        },
        RouteCase {
            name: "header-invert",
            matcher: json!({ "prefix": "/header-invert",
                "headers": [{ "name": "x-user", "invert": true, "match": { "exact": "ada" } }] }),
            hits: &[("/header-invert", &["--header", "x-user: bob"])],
            // As Envoy has it, and so App Mesh: another value is needed, not none.
            misses: &[("/header-invert", &["--header", "x-user: ada"]), ("/header-invert", &[])],
        },
        RouteCase {
            name: "header-absent",
            matcher: json!({ "prefix": "/header-absent", "headers": [{ "name": "x-user", "invert": true }] }),
            hits: &[("/header-absent", &[])],
            misses: &[("/header-absent", &["--header", "x-user: ada"])],
        },
    ]
}

fn the_rest() -> Vec<RouteCase> {
    vec![
        RouteCase {
            name: "method",
            matcher: json!({ "prefix": "/method", "method": "DELETE" }),
            hits: &[("/method", &["--method", "DELETE"])],
            misses: &[("/method", &[]), ("/method", &["--method", "PUT"])],
        },
        RouteCase {
            name: "scheme",
            matcher: json!({ "prefix": "/scheme", "scheme": "http" }),
            hits: &[("/scheme", &[])],
            misses: &[],
        },
        RouteCase {
            name: "other-scheme",
            matcher: json!({ "prefix": "/other-scheme", "scheme": "https" }),
            hits: &[],
            misses: &[("/other-scheme", &[])],
        },
        RouteCase {
            name: "query",
            matcher: json!({ "prefix": "/query", "queryParameters": [{ "name": "page", "match": { "exact": "2" } }] }),
            hits: &[("/query?page=2", &[]), ("/query?a=b&page=2", &[])],
            misses: &[("/query?page=3", &[]), ("/query", &[])],
        },
        RouteCase {
            name: "query-present",
            matcher: json!({ "prefix": "/query-present", "queryParameters": [{ "name": "debug" }] }),
            hits: &[("/query-present?debug=1", &[]), ("/query-present?debug", &[])],
            misses: &[("/query-present?debugger=1", &[]), ("/query-present", &[])],
        },
        RouteCase {
            name: "everything-together",
            matcher: json!({ "prefix": "/all", "method": "POST", "scheme": "http",
                "headers": [{ "name": "x-user" }, { "name": "x-team", "match": { "exact": "red" } }],
                "queryParameters": [{ "name": "page" }] }),
            hits: &[(
                "/all?page=1",
                &["--method", "POST", "--header", "x-user: ada", "--header", "x-team: red"],
            )],
            misses: &[
                ("/all", &["--method", "POST", "--header", "x-user: ada", "--header", "x-team: red"]),
                ("/all?page=1", &["--header", "x-user: ada", "--header", "x-team: red"]),
                ("/all?page=1", &["--method", "POST", "--header", "x-user: ada"]),
            ],
        },
    ]
}

/// A route of a virtual router for http or http2.
fn http(protocol: Protocol, matcher: &Value, action: &Value) -> Value {
    json!({ member(protocol): { "match": matcher, "action": action } })
}

fn member(protocol: Protocol) -> &'static str {
    if protocol == Protocol::Http { "httpRoute" } else { "http2Route" }
}

/// Asserts that each request is answered by `wanted`; says which are not.
async fn answered(
    client: &MeshMember,
    protocol: Protocol,
    base: &str,
    case: &RouteCase,
    wrong: &mut Vec<String>,
) {
    let hits = case.hits.iter().map(|request| (request, "red"));
    let misses = case.misses.iter().map(|request| (request, "blue"));
    for ((path, extra), wanted) in hits.chain(misses) {
        let outcome = client.send(protocol, &format!("{base}{path}"), extra).await.outcome();
        if outcome != Ok(wanted.to_owned()) {
            wrong.push(format!(
                "{}: {path} {extra:?} over {protocol:?}: {outcome:?}, not {wanted}",
                case.name
            ));
        }
    }
}

#[tokio::test]
async fn requests_land_where_the_routes_say() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, blue]) = Bed::start("http", ["client", "red", "blue"]).await;
    bed.names(&[&client, &red, &blue], &["one.apps.local", "two.apps.local"]).await;
    let ports = [("http", 8001), ("http2", 8002)];
    let apps = [(Protocol::Http, 8001), (Protocol::Http2, 8002)];
    bed.create(&[empty_mesh(), server("red", &ports), server("blue", &ports)]).await;
    for (protocol, name, port) in [(Protocol::Http, "one", 8001), (Protocol::Http2, "two", 8002)] {
        let word = if protocol == Protocol::Http { "http" } else { "http2" };
        // A second port of the router, where nothing but a route for that port differs.
        bed.create(&[router_on(name, &[(word, 80), (word, 81)])]).await;
        let (to_red, to_blue) = (targets(&[("red", port, 1)]), targets(&[("blue", port, 1)]));
        for case in cases() {
            bed.create(&[(route(name, case.name), http(protocol, &case.matcher, &to_red))]).await;
        }
        order(&bed, name, protocol, &to_red, &to_blue).await;
        bed.create(&[
            (route(name, "rest"), http(protocol, &json!({ "prefix": "/" }), &to_blue)),
            (route(name, "port-81"), http(protocol, &json!({ "prefix": "/port", "port": 81 }), &to_red)),
            routed(&format!("{name}.apps.local"), name),
        ])
        .await;
    }
    bed.create(&[caller("client", &["one.apps.local", "two.apps.local"])]).await;
    let _red = bed.join(red, &apps).await;
    let _blue = bed.join(blue, &apps).await;
    let client = bed.join(client, &[]).await;

    let mut wrong = Vec::new();
    for (protocol, base) in
        [(Protocol::Http, "http://one.apps.local"), (Protocol::Http2, "http://two.apps.local")]
    {
        for case in cases().iter().chain(&order_cases()) {
            answered(&client, protocol, base, case, &mut wrong).await;
        }
        for (port, wanted) in [(":80", "blue"), (":81", "red")] {
            let outcome = client.get(protocol, &format!("{base}{port}/port")).await.outcome();
            if outcome != Ok(wanted.to_owned()) {
                wrong.push(format!("port {port} over {protocol:?}: {outcome:?}, not {wanted}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}

/// Pairs of routes that both match: the lower priority wins, then the more specific path.
async fn order(bed: &Bed, router: &str, protocol: Protocol, to_red: &Value, to_blue: &Value) {
    let pairs = [
        // (name, match, action, priority)
        ("first", json!({ "prefix": "/priority" }), to_red, Some(1)),
        ("second", json!({ "path": { "exact": "/priority" } }), to_blue, Some(2)),
        ("long", json!({ "prefix": "/longer/prefix" }), to_red, None),
        ("a-short", json!({ "prefix": "/longer" }), to_blue, None),
        ("whole", json!({ "path": { "exact": "/longer/path" } }), to_red, None),
    ];
    for (name, matcher, action, priority) in pairs {
        let mut spec = http(protocol, &matcher, action);
        if let Some(priority) = priority {
            spec["priority"] = json!(priority);
        }
        bed.create(&[(route(router, name), spec)]).await;
    }
}

fn order_cases() -> [RouteCase; 2] {
    [
        RouteCase {
            name: "priority",
            matcher: Value::Null,
            hits: &[("/priority", &[]), ("/priority/x", &[])],
            misses: &[],
        },
        RouteCase {
            name: "specific path",
            matcher: Value::Null,
            hits: &[("/longer/prefix/x", &[]), ("/longer/path", &[])],
            misses: &[("/longer/x", &[]), ("/longer/pat", &[])],
        },
    ]
}
