//! Timeouts: a route's and a listener's bound what a request may take; 0 takes the bound away.

use std::time::{Duration, Instant};

use fleetmesh_testbed::app::Protocol;
use fleetmesh_testbed::userns;
use serde_json::{Value, json};

use crate::bed::{Bed, MeshMember};
use crate::spec::{caller, empty_mesh, node, route, routed, router_on, server, targets};

const URL: &str = "http://shop.apps.local/";
/// Far above what a test sets as timeout, far below App Mesh's default of 15 s.
const SLOW: Duration = Duration::from_secs(3);

fn millis(value: u64) -> Value {
    json!({ "perRequest": { "unit": "ms", "value": value } })
}

/// A route without retries, so that a timeout is seen once.
fn http2(timeout: &Value) -> Value {
    json!({ "http2Route": {
        "match": { "prefix": "/" },
        "action": targets(&[("slow", 8001, 1)]),
        "retryPolicy": { "maxRetries": 0, "perRetryTimeout": { "value": 0 } },
        "timeout": timeout } })
}

/// The status of a request that takes [`SLOW`], and how long it took.
async fn slow_request(client: &MeshMember) -> (u16, Duration) {
    let delay = format!("x-delay-ms: {}", SLOW.as_millis());
    let started = Instant::now();
    let answer = client.send(Protocol::Http2, URL, &["--header", &delay]).await;
    (answer.status, started.elapsed())
}

#[tokio::test]
async fn requests_take_no_longer_than_allowed() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, slow]) = Bed::start("timeouts", ["client", "slow"]).await;
    bed.names(&[&client, &slow], &["shop.apps.local"]).await;
    let (slow_id, mut slow_spec) = server("slow", &[("http2", 8001)]);
    bed.create(&[
        empty_mesh(),
        (slow_id, slow_spec.clone()),
        router_on("shop", &[("http2", 80)]),
        (route("shop", "all"), http2(&millis(300))),
        routed("shop.apps.local", "shop"),
        caller("client", &["shop.apps.local"]),
    ])
    .await;
    let _slow = bed.join(slow, &[(Protocol::Http2, 8001)]).await;
    let client = bed.join(client, &[]).await;

    let quick = client.send(Protocol::Http2, URL, &["--header", "x-delay-ms: 5"]).await;
    assert_eq!(quick.status, 200, "{quick:?}");
    let (status, took) = slow_request(&client).await;
    assert_eq!(status, 504, "the route's timeout ends it");
    assert!(took < SLOW, "after 300 ms, not {took:?}");

    bed.update(&route("shop", "all"), &http2(&millis(0)), 1).await;
    let (status, took) = slow_request(&client).await;
    assert_eq!(status, 200, "0 takes the timeout away");
    assert!(took >= SLOW, "{took:?}");

    // Two proxies have the node: its own and the caller's.
    slow_spec["listeners"][0]["timeout"] = json!({ "http2": millis(300) });
    bed.update(&node("slow"), &slow_spec, 2).await;
    let (status, took) = slow_request(&client).await;
    assert_eq!(status, 504, "the listener's timeout ends it");
    assert!(took < SLOW, "after 300 ms, not {took:?}");
}
