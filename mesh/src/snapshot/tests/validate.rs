//! Every snapshot is accepted by a real Envoy: `envoy --mode validate` on a bootstrap that holds its resources.

use std::process::Command;
use std::sync::Arc;

use fleetmesh_model::re2;
use fleetmesh_tools::tools;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use prost::Message;
use serde_json::{Value, json};

use super::bootstrap::bootstrap;
use super::{client, corpus, gateway};
use crate::cloud_map::RegisteredInstance;
use crate::snapshot::Snapshot;
use crate::testing::{node, view};

/// Validates the bootstrap that holds `snapshots`; Envoy's output when it refuses.
pub fn validate<'a>(snapshots: impl IntoIterator<Item = &'a Snapshot>) -> Result<(), String> {
    let envoy = tools::tool("envoy").map_err(|error| error.to_string())?;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bootstrap.pb");
    std::fs::write(&file, bootstrap(snapshots).encode_to_vec()).expect("the bootstrap is written");
    let mut command = Command::new(envoy);
    command.args(["--mode", "validate", "--log-level", "error", "--config-path"]).arg(&file);
    let output = command.output().expect("Envoy runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(text) }
}

#[test]
fn envoy_accepts_every_match_policy_node_and_oddity() {
    let views = corpus::all();
    let mut snapshots: Vec<_> = views.iter().map(client).collect();
    snapshots.extend(gateway::every_member().iter().map(gateway::edge));
    for addresses in [&[][..], &["10.0.0.1", "10.0.0.2"], &["fd00::1"]] {
        let instances = addresses.iter().map(|address| RegisteredInstance {
            id: (*address).to_owned(),
            unhealthy: false,
            attributes: ["AWS_INSTANCE_IPV4", "AWS_INSTANCE_IPV6"]
                .map(|name| (name.to_owned(), (*address).to_owned()))
                .into(),
        });
        let discovered = corpus::discovered(instances.collect());
        let snapshot = Snapshot::build(&corpus::cloud_map(), &discovered, &node("client"));
        snapshots.push(Arc::new(snapshot.expect("the node exists")));
    }
    if let Err(text) = validate(snapshots.iter().map(AsRef::as_ref)) {
        panic!("{text}");
    }
}

#[test]
fn envoy_refuses_what_is_wrong_so_the_test_above_can_fail() {
    let log = json!({"accessLog": {"file": {"path": "/no-such-folder/access.log"}}});
    let node = json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}], "logging": log});
    let snapshot = client(&view(&[("virtualNode/client", node)]));
    let text = validate([snapshot.as_ref()]).expect_err("a log that cannot be opened");
    assert!(text.contains("/no-such-folder/access.log"), "{text}");
}

/// What nobody made may have any name: here `s.local:80`, which is how a Host header names `s.local`, too.
#[test]
fn envoy_accepts_backends_whose_names_are_hosts_of_others() {
    let target = json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}], "serviceDiscovery": {"dns": {"hostname": "a.local"}}});
    let objects = [
        ("virtualNode/a", target),
        ("virtualService/s.local", json!({"provider": {"virtualNode": {"virtualNodeName": "a"}}})),
        ("virtualNode/client", corpus::calling(&["s.local:80", "s.local", "*", "S.local."])),
    ];
    if let Err(text) = validate([client(&view(&objects)).as_ref()]) {
        panic!("{text}");
    }
}

#[test]
fn envoy_accepts_every_regular_expression_that_the_model_accepts() {
    let patterns = include_str!("../../../../model/src/re2/tests/patterns.txt").lines();
    let routes: Vec<(String, Value)> = patterns
        .filter(|pattern| re2::check(pattern).is_ok())
        .map(|pattern| json!({"prefix": "/", "headers": [{"name": "x", "match": {"regex": pattern}}]}))
        .map(|matched| json!({"http2Route": {"action": corpus::to_a(), "match": matched}}))
        .enumerate()
        .map(|(index, route)| (format!("r{index}"), route))
        .collect();
    assert!(routes.len() > 60, "{} patterns", routes.len());
    let routes: Vec<(&str, Value)> =
        routes.iter().map(|(name, spec)| (name.as_str(), spec.clone())).collect();
    if let Err(text) = validate([client(&corpus::routed("http2", &routes)).as_ref()]) {
        panic!("{text}");
    }
}

/// Any text that a specification lets through: quotes, operators, other scripts.
fn text(max: usize) -> impl Strategy<Value = String> {
    let any = prop_oneof![3 => "[a-zA-Z0-9._-]", 1 => "[ -~]", 1 => "[äé世]"];
    prop::collection::vec(any, 1..=max).prop_map(|parts| parts.concat())
}

fn matcher() -> impl Strategy<Value = Value> {
    prop_oneof![
        text(40).prop_map(|value| json!({ "exact": value })),
        text(40).prop_map(|value| json!({ "prefix": value })),
        text(40).prop_map(|value| json!({ "suffix": value })),
        "[a-z]{1,5}[.][*+]([|][0-9]{2})?".prop_map(|value| json!({ "regex": value })),
        (any::<i32>(), 1..1000i64).prop_map(|(start, length)| {
            json!({"range": {"start": start, "end": i64::from(start) + length}})
        }),
    ]
}

fn http_route() -> impl Strategy<Value = Value> {
    let header = ("[a-zA-Z][a-zA-Z0-9-]{0,20}", prop::option::of(matcher()), any::<Option<bool>>());
    let headers = prop::collection::vec(header, 0..4);
    let weights = prop::collection::vec(0..=100i32, 2)
        .prop_filter("some weight", |weights| weights.iter().any(|one| *one > 0));
    let timeout = prop::option::of((0..100_000i64, 0..100_000i64));
    let priority = prop::option::of(0..1000i32);
    (headers, weights, timeout, priority, text(60), prop::option::of(0..9usize)).prop_map(
        |(headers, weights, timeout, priority, path, method)| {
            let headers: Vec<Value> = headers
                .into_iter()
                .map(|(name, matcher, invert)| {
                    let mut header = json!({ "name": name });
                    if let Some(matcher) = matcher {
                        header["match"] = matcher;
                    }
                    if let Some(invert) = invert {
                        header["invert"] = json!(invert);
                    }
                    header
                })
                .collect();
            let mut matcher = json!({"prefix": format!("/{path}")});
            if !headers.is_empty() {
                matcher["headers"] = json!(headers);
            }
            if let Some(method) = method {
                let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
                matcher["method"] = json!(methods[method]);
            }
            let targets = json!([{"virtualNode": "a", "weight": weights[0]}, {"virtualNode": "b", "weight": weights[1]}]);
            let mut route = json!({"action": {"weightedTargets": targets}, "match": matcher});
            if let Some((idle, request)) = timeout {
                let millis = |value: i64| json!({"unit": "ms", "value": value});
                route["timeout"] = json!({"idle": millis(idle), "perRequest": millis(request)});
            }
            let mut spec = json!({"http2Route": route});
            if let Some(priority) = priority {
                spec["priority"] = json!(priority);
            }
            spec
        },
    )
}

/// One Envoy for all of them: it takes a second to start.
#[test]
fn envoy_accepts_generated_routes() {
    let mut runner = TestRunner::default();
    let mut generate = || http_route().new_tree(&mut runner).expect("a route").current();
    let snapshots: Vec<_> = (0..40)
        .map(|_| {
            let routes: Vec<(String, Value)> =
                (0..5).map(|index| (format!("r{index}"), generate())).collect();
            let routes: Vec<(&str, Value)> =
                routes.iter().map(|(name, spec)| (name.as_str(), spec.clone())).collect();
            client(&corpus::routed("http2", &routes))
        })
        .collect();
    if let Err(text) = validate(snapshots.iter().map(AsRef::as_ref)) {
        panic!("{text}");
    }
}
