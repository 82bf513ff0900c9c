//! Tests of the validation: tables of accepted and rejected requests, with the messages.

use fleetmesh_testbed::long;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn validator() -> Validator {
    Validator::new().expect("the model's schemas compile")
}

fn message(kind: Kind, spec: Value) -> String {
    match validator().spec(kind, spec.clone()) {
        Ok(_) => panic!("accepted: {spec}"),
        Err(refusal) => refusal.message,
    }
}

fn node(listener: &Value) -> Value {
    json!({"listeners": [listener], "serviceDiscovery": {"dns": {"hostname": "a"}}})
}

fn http_route(matcher: &Value) -> Value {
    json!({"httpRoute": {"match": matcher, "action": {"weightedTargets": [{"virtualNode": "n", "weight": 1}]}}})
}

#[test]
fn every_violation_is_named_by_its_path() {
    let mapping = json!({"port": 80, "protocol": "http"});
    let cases: Vec<(Kind, Value, &str)> = vec![
        (
            Kind::Mesh,
            json!({"egressFilter": {"type": "ALLOW"}}),
            r#"spec.egressFilter.type: "ALLOW" is not one of "ALLOW_ALL", "DROP_ALL""#,
        ),
        (Kind::Mesh, json!({"egressFilter": {}}), "spec.egressFilter.type: is required"),
        (Kind::Mesh, json!({"egress": {}}), "spec.egress: there is no such member; check its name"),
        (Kind::Mesh, json!([]), r#"spec: [] is not of type "object""#),
        (
            Kind::VirtualNode,
            node(&json!({"portMapping": {"port": 0, "protocol": "http"}})),
            "spec.listeners[0].portMapping.port: 0 is less than the minimum of 1",
        ),
        (
            Kind::VirtualNode,
            node(&json!({"portMapping": {"port": "80", "protocol": "http"}})),
            r#"spec.listeners[0].portMapping.port: "80" is not of type "integer""#,
        ),
        (
            Kind::VirtualNode,
            json!({"serviceDiscovery": {}}),
            "spec.serviceDiscovery: exactly one of awsCloudMap, dns must be set (found none of them)",
        ),
        (
            Kind::VirtualNode,
            json!({"serviceDiscovery": {"dns": {"hostname": "a"}, "awsCloudMap": {"namespaceName": "n", "serviceName": "s"}}}),
            "spec.serviceDiscovery: exactly one of awsCloudMap, dns must be set (found awsCloudMap and dns)",
        ),
        (
            Kind::VirtualNode,
            node(
                &json!({"portMapping": mapping, "connectionPool": {"http": {"maxConnections": 3_000_000_000_u64}}}),
            ),
            "spec.listeners[0].connectionPool.http.maxConnections: 3000000000 is greater than the maximum of 2147483647",
        ),
        (
            Kind::VirtualNode,
            node(&json!({"portMapping": mapping, "timeout": {"tcp": {}}})),
            "spec.listeners[0].timeout: timeout must be of the protocol of portMapping.protocol (found tcp for http)",
        ),
        (
            Kind::Route,
            http_route(&json!({"prefix": "x"})),
            r#"spec.httpRoute.match.prefix: "x" does not match "^/""#,
        ),
        (
            Kind::Route,
            http_route(&json!({"prefix": "/", "path": {"exact": "/a"}})),
            "spec.httpRoute.match: only one of prefix and path may be set (found both, prefix \"/\")",
        ),
        (
            Kind::Route,
            json!({"priority": 1}),
            "spec: exactly one of grpcRoute, http2Route, httpRoute, tcpRoute must be set (found none of them)",
        ),
        (
            Kind::VirtualService,
            json!({"provider": {"virtualNode": {"virtualNodeName": ""}}}),
            r#"spec.provider.virtualNode.virtualNodeName: "" is shorter than 1 character"#,
        ),
        (
            Kind::VirtualService,
            json!({"provider": {}}),
            "spec.provider: exactly one of virtualNode, virtualRouter must be set (found none of them)",
        ),
    ];
    for (kind, spec, expected) in cases {
        assert_eq!(message(kind, spec), expected);
    }
}

#[test]
fn several_violations_are_named_together() {
    let spec = json!({"httpRoute": {"match": {"prefix": "/"}, "action": {"weightedTargets": [
        {"virtualNode": "n", "weight": 101}, {"weight": -1},
    ]}}});
    let found = message(Kind::Route, spec);
    for expected in [
        "weightedTargets[0].weight: 101",
        "weightedTargets[1].weight: -1",
        "weightedTargets[1].virtualNode: is required",
    ] {
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_long_value_is_not_quoted() {
    let found =
        message(Kind::VirtualNode, json!({"serviceDiscovery": {"dns": {"hostname": "x".repeat(5000)}}}));
    assert_eq!(found, "spec.serviceDiscovery.dns.hostname: the value is longer than 253 characters");
}

#[test]
fn whole_numbers_and_nulls_are_read_as_meant() {
    let spec = json!({"listeners": [{"portMapping": {"port": 80.0, "protocol": "http"}, "tls": null}],
        "serviceDiscovery": {"dns": {"hostname": "a"}, "awsCloudMap": null}});
    let read = validator().spec(Kind::VirtualNode, spec).expect("accepted");
    let written = serde_json::to_value(&read).expect("JSON");
    assert_eq!(
        written,
        json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}],
        "serviceDiscovery": {"dns": {"hostname": "a"}}})
    );
}

#[test]
fn tags_are_unique_and_bounded() {
    let tags = |json: Value| validator().tags(Some(json)).map_err(|refusal| refusal.message);
    assert_eq!(tags(json!([{"key": "a", "value": "b"}])), Ok(Tags::from([("a".into(), "b".into())])));
    let twice = json!([{"key": "a", "value": ""}, {"key": "a", "value": "x"}]);
    assert_eq!(tags(twice), Err("tags[1].key: \"a\" occurs twice; give each key once".into()));
    assert_eq!(tags(json!([{"key": "a"}])), Err("tags[0].value: is required".into()));
    let long = tags(json!([{"key": "a", "value": "x".repeat(257)}]));
    assert_eq!(long, Err("tags[0].value: the value is longer than 256 characters".into()));
    for reserved in ["aws:cloudformation:stack-name", "AWS:x", "aws:"] {
        let said = tags(json!([{"key": "a", "value": ""}, {"key": reserved, "value": "b"}]));
        let expected = format!(
            "tags[1].key: {reserved:?} begins with \"aws:\", in whatever case, which is reserved for tags that AWS itself gives; choose another key"
        );
        assert_eq!(said, Err(expected));
    }
    for free in ["aws", "awsome:x", "x-aws:y", "äws:"] {
        assert!(tags(json!([{"key": free, "value": "b"}])).is_ok(), "{free}");
    }
    let keys = |json: Value| validator().tag_keys(Some(json)).map_err(|refusal| refusal.message);
    assert_eq!(keys(json!(["aws:x"])), Ok(vec!["aws:x".into()]), "one that was taken once can go");
    assert_eq!(keys(json!(["a", ""])), Err(r#"tagKeys[1]: "" is shorter than 1 character"#.into()));
}

/// Any JSON, biased towards the model's own words so that it gets below the first level.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("listeners"),
        Just("portMapping"),
        Just("port"),
        Just("protocol"),
        Just("http"),
        Just("http2Route"),
        Just("httpRoute"),
        Just("match"),
        Just("action"),
        Just("weightedTargets"),
        Just("weight"),
        Just("virtualNode"),
        Just("prefix"),
        Just("provider"),
        Just("dns"),
        Just("hostname"),
        Just("serviceDiscovery"),
        Just("x"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,6}".prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(word.clone().prop_map(String::from), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(long::choose(10_000, 100_000)))]

    #[test]
    fn whatever_is_accepted_round_trips_and_nothing_panics(json in any_json(), kind in 0usize..5) {
        thread_local!(static VALIDATOR: Validator = validator());
        let kind = Kind::ALL[kind];
        if let Ok(spec) = VALIDATOR.with(|validator| validator.spec(kind, json.clone())) {
            let written = serde_json::to_value(&spec).expect("JSON");
            prop_assert_eq!(written, canonical::canonical(json));
        }
    }
}
