//! Meshes that together use every member of the five kinds that has a mapping.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::cloud_map::{Discovered, Discovery, RegisteredInstance, ServiceName};
use crate::testing::view;
use crate::view::MeshView;

/// A mesh `apps` in which `client` calls `s.local:80` through a router of `protocol` with these routes, by name; the
/// targets are the nodes `a` and `b`.
pub fn routed(protocol: &str, routes: &[(&str, Value)]) -> MeshView {
    let mapping = json!([{"portMapping": {"port": 80, "protocol": protocol}}]);
    let target = |host: &str| json!({"listeners": mapping, "serviceDiscovery": {"dns": {"hostname": host}}});
    let mut objects = vec![
        ("virtualNode/a".to_owned(), target("a.local")),
        ("virtualNode/b".to_owned(), target("b.local")),
        ("virtualRouter/r".to_owned(), json!({"listeners": mapping})),
        (
            "virtualService/s.local".to_owned(),
            json!({"provider": {"virtualRouter": {"virtualRouterName": "r"}}}),
        ),
        ("virtualNode/client".to_owned(), calling(&["s.local"])),
    ];
    objects.extend(routes.iter().map(|(name, spec)| (format!("virtualRouter/r/route/{name}"), spec.clone())));
    let objects: Vec<(&str, Value)> =
        objects.iter().map(|(path, spec)| (path.as_str(), spec.clone())).collect();
    view(&objects)
}

/// The spec of a node with these backends.
pub fn calling(services: &[&str]) -> Value {
    let backends: Vec<Value> =
        services.iter().map(|name| json!({"virtualService": {"virtualServiceName": name}})).collect();
    json!({"backends": backends})
}

/// Everything to `a`.
pub fn to_a() -> Value {
    json!({"weightedTargets": [{"virtualNode": "a", "weight": 100}]})
}

fn http(matcher: Value) -> Value {
    json!({"http2Route": {"action": to_a(), "match": matcher}})
}

fn grpc(matcher: Value) -> Value {
    json!({"grpcRoute": {"action": to_a(), "match": matcher}})
}

/// Every way to match an HTTP request.
pub fn http_matches() -> Vec<(&'static str, Value)> {
    let header = |matcher: Value, invert: bool| {
        http(json!({"prefix": "/", "headers": [{"name": "x-A", "match": matcher, "invert": invert}]}))
    };
    vec![
        ("prefix", http(json!({"prefix": "/p"}))),
        ("exact", http(json!({"path": {"exact": "/e"}}))),
        ("regex", http(json!({"path": {"regex": "/r[0-9]+"}}))),
        ("method", http(json!({"prefix": "/", "method": "POST"}))),
        ("connect", http(json!({"prefix": "/", "method": "CONNECT"}))),
        ("scheme", http(json!({"prefix": "/", "scheme": "https"}))),
        ("port", http(json!({"prefix": "/", "port": 80}))),
        ("other-port", http(json!({"prefix": "/", "port": 81}))),
        ("header-exact", header(json!({"exact": "v"}), false)),
        ("header-prefix", header(json!({"prefix": "v"}), true)),
        ("header-suffix", header(json!({"suffix": "v"}), false)),
        ("header-regex", header(json!({"regex": "v.*"}), false)),
        ("header-range", header(json!({"range": {"start": -5, "end": 10}}), false)),
        (
            "header-present",
            http(json!({"prefix": "/", "headers": [{"name": "x-b"}, {"name": "x-c", "invert": true}]})),
        ),
        (
            "query",
            http(
                json!({"prefix": "/", "queryParameters": [{"name": "q", "match": {"exact": "1"}}, {"name": "p"}, {"name": "o", "match": {}}]}),
            ),
        ),
    ]
}

/// Every way to match a gRPC request.
pub fn grpc_matches() -> Vec<(&'static str, Value)> {
    let metadata = json!([{"name": "m", "match": {"exact": "v"}}, {"name": "n", "match": {"range": {"start": 0, "end": 2}}, "invert": true},
        {"name": "o", "match": {"prefix": "v"}}, {"name": "p", "match": {"suffix": "v"}}, {"name": "q", "match": {"regex": "v+"}}, {"name": "r"}]);
    vec![
        ("method", grpc(json!({"serviceName": "p.S", "methodName": "M"}))),
        ("service", grpc(json!({"serviceName": "p.S"}))),
        ("all", grpc(json!({}))),
        ("metadata", grpc(json!({"metadata": metadata}))),
        ("port", grpc(json!({"port": 80}))),
    ]
}

/// Retry policies and timeouts.
pub fn policies() -> Vec<(&'static str, Value)> {
    let with = |retry: Value, timeout: Value| json!({"http2Route": {"action": to_a(), "match": {"prefix": "/"}, "retryPolicy": retry, "timeout": timeout}});
    let events = json!(["server-error", "gateway-error", "client-error", "stream-error"]);
    let seconds = |value: i64| json!({"unit": "s", "value": value});
    vec![
        (
            "all",
            with(
                json!({"httpRetryEvents": events, "tcpRetryEvents": ["connection-error"], "maxRetries": 3, "perRetryTimeout": {"unit": "ms", "value": 2000}}),
                json!({"idle": seconds(7), "perRequest": seconds(3)}),
            ),
        ),
        (
            "none",
            with(
                json!({"maxRetries": 0, "perRetryTimeout": seconds(0)}),
                json!({"idle": seconds(0), "perRequest": seconds(0)}),
            ),
        ),
        (
            "huge",
            with(
                json!({"maxRetries": i64::MAX, "perRetryTimeout": seconds(i64::MAX), "httpRetryEvents": ["client-error"]}),
                json!({"idle": seconds(i64::MAX), "perRequest": seconds(i64::MAX)}),
            ),
        ),
    ]
}

/// Nodes with every listener, health check, log and discovery; a mesh of either filter.
pub fn nodes() -> Vec<MeshView> {
    let check = |protocol: &str| json!({"healthyThreshold": 2, "intervalMillis": 5000, "path": "/ping", "protocol": protocol, "timeoutMillis": 2000, "unhealthyThreshold": 3});
    let listener = |port: u16, protocol: &str, checked: &str| json!({"portMapping": {"port": port, "protocol": protocol}, "healthCheck": check(checked)});
    let listeners = json!([
        listener(1, "http", "http"),
        listener(2, "http2", "http2"),
        listener(3, "grpc", "grpc"),
        listener(4, "tcp", "tcp"),
        listener(5, "http", "grpc"),
        listener(6, "tcp", "http2"),
        listener(7, "http2", "http"),
        listener(8, "http", "tcp")
    ]);
    let timeouts = json!([
        {"portMapping": {"port": 1, "protocol": "http"}, "timeout": {"http": {"idle": {"unit": "s", "value": 9}, "perRequest": {"unit": "s", "value": 0}}}},
        {"portMapping": {"port": 2, "protocol": "grpc"}, "timeout": {"grpc": {"perRequest": {"unit": "ms", "value": 1}}}},
        {"portMapping": {"port": 3, "protocol": "tcp"}, "timeout": {"tcp": {"idle": {"unit": "s", "value": 0}}}}]);
    let formats = [
        json!(null),
        json!({"text": "%START_TIME% %RESPONSE_CODE%"}),
        json!({"json": [{"key": "b", "value": "%RESPONSE_CODE%"}, {"key": "a", "value": "%REQ(:PATH)%"}]}),
    ];
    let mut views = Vec::new();
    for (index, preference) in
        ["IPv4_ONLY", "IPv6_ONLY", "IPv4_PREFERRED", "IPv6_PREFERRED"].into_iter().enumerate()
    {
        let mut client = calling(&["n.local"]);
        client["listeners"] = timeouts.clone();
        client["serviceDiscovery"] = json!({"dns": {"hostname": "client.local", "ipPreference": preference}});
        let format = &formats[index % formats.len()];
        client["logging"] = json!({"accessLog": {"file": {"path": "/dev/stdout"}}});
        if !format.is_null() {
            client["logging"]["accessLog"]["file"]["format"] = format.clone();
        }
        let filter = if index % 2 == 0 { "ALLOW_ALL" } else { "DROP_ALL" };
        let response = if index % 2 == 0 { "ENDPOINTS" } else { "LOADBALANCER" };
        views.push(view(&[
            ("", json!({"egressFilter": {"type": filter}, "serviceDiscovery": {"ipPreference": preference}})),
            ("virtualNode/n", json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": "N.local", "responseType": response}}})),
            ("virtualService/n.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
            ("virtualNode/client", client),
        ]));
    }
    views
}

/// The service that discovers the node `n` of [`cloud_map`].
pub fn service() -> ServiceName {
    ServiceName { namespace_name: "apps.local".into(), service_name: "n".into() }
}

/// That service with these instances.
pub fn discovered(instances: Vec<RegisteredInstance>) -> Discovered {
    [(service(), Discovery::Instances(Arc::new(instances)))].into_iter().collect()
}

/// A node with two listeners, discovered by Cloud Map.
pub fn cloud_map() -> MeshView {
    let check = json!({"healthyThreshold": 2, "intervalMillis": 5000, "path": "/ping", "protocol": "http2", "timeoutMillis": 2000, "unhealthyThreshold": 3});
    let listeners = json!([
        {"portMapping": {"port": 80, "protocol": "http2"}, "healthCheck": check},
        {"portMapping": {"port": 90, "protocol": "grpc"}}]);
    let discovery = json!({"awsCloudMap": {"namespaceName": "apps.local", "serviceName": "n"}});
    view(&[
        ("virtualNode/n", json!({"listeners": listeners, "serviceDiscovery": discovery})),
        ("virtualService/n.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualNode/client", calling(&["n.local"])),
    ])
}

/// What routes nowhere, what is missing, what conflicts.
pub fn odd() -> Vec<MeshView> {
    let tcp = json!({"tcpRoute": {"action": {"weightedTargets": [{"virtualNode": "a", "weight": 0}, {"virtualNode": "b", "weight": 3}]}}});
    let nowhere = json!({"http2Route": {"action": {"weightedTargets": [{"virtualNode": "gone", "weight": 1}]}, "match": {"prefix": "/"}}});
    let zero = json!({"http2Route": {"action": {"weightedTargets": [{"virtualNode": "a", "weight": 0}, {"virtualNode": "gone", "weight": 1}]}, "match": {"prefix": "/"}}});
    let both = json!([{"portMapping": {"port": 80, "protocol": "http2"}}, {"portMapping": {"port": 90, "protocol": "tcp"}}]);
    let conflicts = view(&[
        ("virtualNode/n", json!({"listeners": both, "serviceDiscovery": {"dns": {"hostname": "n"}}})),
        (
            "virtualNode/m",
            json!({"listeners": [{"portMapping": {"port": 80, "protocol": "tcp"}}], "serviceDiscovery": {"dns": {"hostname": "m"}}}),
        ),
        ("virtualService/n.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualService/N.LOCAL", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualService/o.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualService/m.local", json!({"provider": {"virtualNode": {"virtualNodeName": "m"}}})),
        ("virtualService/empty.local", json!({})),
        (
            "virtualNode/client",
            calling(&["n.local", "N.LOCAL", "o.local", "m.local", "empty.local", "absent.local"]),
        ),
    ]);
    vec![
        view(&[("virtualNode/client", json!({}))]),
        routed("tcp", &[("t", tcp)]),
        routed("tcp", &[]),
        routed("http", &[]),
        routed("http2", &[("x", nowhere), ("y", zero)]),
        conflicts,
    ]
}

/// A node with every pool and the longest and shortest outlier detection, which `client` is and calls.
pub fn limits() -> MeshView {
    let detection = |unit: &str, value: i64| json!({"baseEjectionDuration": {"unit": unit, "value": value}, "interval": {"unit": unit, "value": value}, "maxEjectionPercent": 100, "maxServerErrors": i64::MAX});
    let listener = |port: u16, protocol: &str, pool: Value, detection: Value| json!({"portMapping": {"port": port, "protocol": protocol}, "connectionPool": {protocol: pool}, "outlierDetection": detection});
    let listeners = json!([
        listener(1, "http", json!({"maxConnections": 1, "maxPendingRequests": i32::MAX}), detection("s", 1)),
        listener(2, "http2", json!({"maxRequests": i32::MAX}), detection("s", i64::MAX)),
        listener(3, "grpc", json!({"maxRequests": 1}), detection("ms", 0)),
        listener(4, "tcp", json!({"maxConnections": 1}), detection("s", 400))
    ]);
    let mut client = calling(&["n.local"]);
    client["listeners"] = listeners.clone();
    view(&[
        (
            "virtualNode/n",
            json!({"listeners": listeners, "serviceDiscovery": {"dns": {"hostname": "n.local"}}}),
        ),
        ("virtualService/n.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualNode/client", client),
    ])
}

/// Services on port 443 that `client` calls: HTTP and tcp, also under names that nobody asks for, where all passes and where
/// nothing else does.
pub fn port_443() -> Vec<MeshView> {
    let mut views = Vec::new();
    for filter in ["ALLOW_ALL", "DROP_ALL"] {
        for (protocol, name) in [
            ("http", "n.local"),
            ("tcp", "n.local"),
            ("tcp", "n.apps.local"),
            ("tcp", "10.0.0.1"),
            ("tcp", "*.n:80"),
        ] {
            let listeners = json!([{"portMapping": {"port": 443, "protocol": protocol}}]);
            let discovery = json!({"awsCloudMap": {"namespaceName": "apps.local", "serviceName": "n"}});
            let service = format!("virtualService/{name}");
            views.push(view(&[
                ("", json!({"egressFilter": {"type": filter}})),
                ("virtualNode/n", json!({"listeners": listeners, "serviceDiscovery": discovery})),
                (&service, json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
                ("virtualNode/client", calling(&[name])),
            ]));
        }
    }
    views
}

/// Certificates and trust from files and SDS, by the member of a spec that they are.
pub const FILE: &str = r#"{"file": {"certificateChain": "/certs/a.pem", "privateKey": "/certs/a.key"}}"#;
pub const TRUST: &str = r#"{"file": {"certificateChain": "/certs/ca.pem"}}"#;

/// Nodes with TLS of every mode, source, protocol and name; `client` is one and calls one.
pub fn tls() -> Vec<MeshView> {
    let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let sds = json!({"sds": {"secretName": "spiffe://example.com/a"}});
    let names = json!({"match": {"exact": ["a.local", "spiffe://example.com/a", "10.0.0.1", "fd00::1", "a@example.com"]}});
    let sources = [(json(FILE), json(TRUST)), (sds.clone(), sds)];
    let mut views = Vec::new();
    for (index, mode) in ["STRICT", "PERMISSIVE", "DISABLED"].into_iter().enumerate() {
        for (certificate, trust) in &sources {
            let validation = json!({"trust": trust, "subjectAlternativeNames": names});
            let listener = |port: u16, protocol: &str| {
                let mut tls = json!({"mode": mode, "certificate": certificate});
                if port.is_multiple_of(2) {
                    tls["validation"] = validation.clone();
                }
                json!({"portMapping": {"port": port, "protocol": protocol}, "tls": tls})
            };
            let listeners =
                json!([listener(1, "http"), listener(2, "http2"), listener(3, "grpc"), listener(4, "tcp")]);
            let hosts = ["n.local", "10.0.0.1", "n.local."];
            let discoveries = [
                json!({"dns": {"hostname": hosts[index]}}),
                json!({"awsCloudMap": {"namespaceName": "apps.local", "serviceName": "n"}}),
            ];
            for (discovery, names) in discoveries.into_iter().zip([Some(&names), None]) {
                let mut policy = json!({"tls": {"enforce": index == 0, "certificate": certificate, "validation": {"trust": trust}}});
                if let Some(names) = names {
                    policy["tls"]["validation"]["subjectAlternativeNames"] = names.clone();
                }
                let mut client = calling(&["n.local", "m.local"]);
                client["listeners"] = listeners.clone();
                client["backendDefaults"] = json!({"clientPolicy": policy});
                client["backends"][1]["virtualService"]["clientPolicy"] =
                    json!({"tls": {"ports": [1, 2], "validation": {"trust": trust}}});
                views.push(view(&[
                    ("virtualNode/n", json!({"listeners": listeners, "serviceDiscovery": discovery})),
                    (
                        "virtualService/n.local",
                        json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}}),
                    ),
                    (
                        "virtualService/m.local",
                        json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}}),
                    ),
                    ("virtualNode/client", client),
                ]));
            }
        }
    }
    views
}

/// All of them.
pub fn all() -> Vec<MeshView> {
    let grpc_retry = json!({"grpcRoute": {"action": to_a(), "match": {}, "retryPolicy": {
        "grpcRetryEvents": ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"],
        "httpRetryEvents": ["gateway-error"], "maxRetries": 1, "perRetryTimeout": {"unit": "s", "value": 1}}}});
    let mut views = vec![
        routed("http2", &http_matches()),
        routed("grpc", &grpc_matches()),
        routed("http2", &policies()),
        routed("grpc", &[("g", grpc_retry)]),
        cloud_map(),
        limits(),
    ];
    views.extend(nodes());
    views.extend(odd());
    views.extend(tls());
    views.extend(port_443());
    views
}
