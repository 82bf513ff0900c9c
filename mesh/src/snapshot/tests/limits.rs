//! Connection pools and outlier detection: what they are in Envoy, in whose cluster.

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use envoy_types::pb::envoy::config::cluster::v3::{Cluster, OutlierDetection};
use serde_json::{Value, json};

use super::bootstrap::decoded;
use super::client;
use super::corpus::{calling, discovered};
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, Snapshot};
use crate::testing::{node, view};
use crate::view::MeshView;

/// `client` calls the node `n`, which has one listener of `protocol` with these members beside its port.
fn called(protocol: &str, members: Value, discovery: Value) -> MeshView {
    let mut listener = json!({"portMapping": {"port": 80, "protocol": protocol}});
    let (Value::Object(listener_members), Value::Object(members)) = (&mut listener, members) else {
        panic!("no objects")
    };
    listener_members.extend(members);
    view(&[
        ("virtualNode/n", json!({"listeners": [listener], "serviceDiscovery": discovery})),
        ("virtualService/n.local", json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}})),
        ("virtualNode/client", calling(&["n.local"])),
    ])
}

fn dns() -> Value {
    json!({"dns": {"hostname": "n.local"}})
}

fn cluster(snapshot: &Arc<Snapshot>, name: &str) -> Cluster {
    let mut clusters = decoded::<Cluster>(snapshot, ResourceType::Cluster);
    clusters.find(|cluster| cluster.name == name).expect("the cluster")
}

/// Connections, waiting requests, requests and retries at most.
fn limits(cluster: &Cluster) -> [u32; 4] {
    let breakers = cluster.circuit_breakers.as_ref().expect("limits");
    let [thresholds] = breakers.thresholds.as_slice() else { panic!("one priority") };
    let Thresholds { max_connections, max_pending_requests, max_requests, max_retries, .. } = thresholds;
    [max_connections, max_pending_requests, max_requests, max_retries]
        .map(|number| number.expect("a limit").value)
}

#[test]
fn a_pool_limits_what_reaches_the_application_and_not_the_callers() {
    const MOST: u32 = 2_147_483_647;
    for (protocol, pool, expected) in [
        ("http", json!({"http": {"maxConnections": 3, "maxPendingRequests": 4}}), [3, 4, MOST, MOST]),
        ("http", json!({"http": {"maxConnections": 3}}), [3, MOST, MOST, MOST]),
        ("http2", json!({"http2": {"maxRequests": 5}}), [MOST, MOST, 5, MOST]),
        ("grpc", json!({"grpc": {"maxRequests": 6}}), [MOST, MOST, 6, MOST]),
        ("tcp", json!({"tcp": {"maxConnections": i32::MAX}}), [MOST, MOST, MOST, MOST]),
        ("tcp", json!({"tcp": {"maxConnections": 7}}), [7, MOST, MOST, MOST]),
        ("http", Value::Null, [MOST; 4]),
    ] {
        let mut members = json!({});
        if !pool.is_null() {
            members["connectionPool"] = pool.clone();
        }
        let mesh = called(protocol, members, dns());
        let own = Snapshot::build(&mesh, &Discovered::default(), &node("n")).expect("the node");
        let own = cluster(&Arc::new(own), &format!("cds_ingress_apps_n_{protocol}_80"));
        assert_eq!(limits(&own), expected, "{pool}");
        let caller = cluster(&client(&mesh), &format!("cds_egress_apps_n_{protocol}_80"));
        assert_eq!(limits(&caller), [MOST; 4], "{pool}");
    }
}

fn policy(duration: &Value) -> Value {
    json!({"outlierDetection": {"baseEjectionDuration": duration, "interval": duration,
        "maxEjectionPercent": 50, "maxServerErrors": 5}})
}

#[test]
fn callers_leave_out_what_fails_whatever_discovers_it() {
    let millis = |policy: &OutlierDetection| {
        [&policy.interval, &policy.base_ejection_time].map(|duration| {
            let duration = duration.expect("a duration");
            (duration.seconds, duration.nanos)
        })
    };
    let map = json!({"awsCloudMap": {"namespaceName": "apps.local", "serviceName": "n"}});
    for discovery in [dns(), map] {
        for (duration, seconds, nanos) in [
            (json!({"unit": "s", "value": 30}), 30, 0),
            (json!({"unit": "ms", "value": 1500}), 1, 500_000_000),
            // Envoy refuses 0.
            (json!({"unit": "s", "value": 0}), 0, 1_000_000),
        ] {
            let mesh = called("http2", policy(&duration), discovery.clone());
            let found =
                cluster(&client(&mesh), "cds_egress_apps_n_http2_80").outlier_detection.expect("a policy");
            assert_eq!(millis(&found), [(seconds, nanos); 2]);
            let numbers = [
                &found.consecutive_5xx,
                &found.enforcing_consecutive_5xx,
                &found.consecutive_gateway_failure,
                &found.enforcing_consecutive_gateway_failure,
                &found.enforcing_success_rate,
                &found.max_ejection_percent,
            ];
            assert_eq!(numbers.map(|number| number.expect("a number").value), [5, 100, 5, 100, 0, 50]);
            let own = Snapshot::build(&mesh, &discovered(Vec::new()), &node("n")).expect("the node");
            let own = cluster(&Arc::new(own), "cds_ingress_apps_n_http2_80");
            assert!(own.outlier_detection.is_none(), "nobody judges its own application");
        }
    }
}
