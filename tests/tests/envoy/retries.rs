//! A flaky server behind a retry policy, and App Mesh's own policy where a route has none.

use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::userns;
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{caller, empty_mesh, route, routed, router_on, server, targets};

const URL: &str = "http://shop.apps.local/";
const GRPC: &str = "http://rpc.apps.local:9000/shop.Orders/Create";
/// Requests that a policy is judged by.
const REQUESTS: u64 = 1000;

/// A policy of `retries` retries on `events`; a try may take 5 s.
fn policy(retries: u32, events: &Value) -> Value {
    let mut policy = json!({ "maxRetries": retries, "perRetryTimeout": { "unit": "s", "value": 5 } });
    for (member, events) in events.as_object().into_iter().flatten() {
        policy[member] = events.clone();
    }
    policy
}

fn http2(policy: Option<Value>) -> Value {
    let mut spec = json!({ "http2Route":
        { "match": { "prefix": "/" }, "action": targets(&[("flaky", 8001, 1)]) } });
    if let Some(policy) = policy {
        spec["http2Route"]["retryPolicy"] = policy;
    }
    spec
}

fn grpc(policy: &Value) -> Value {
    json!({ "grpcRoute":
        { "match": {}, "action": targets(&[("flaky", 9001, 1)]), "retryPolicy": policy } })
}

async fn world() -> (Bed, MeshMember, MeshMember) {
    let (mut bed, [client, flaky]) = Bed::start("retries", ["client", "flaky"]).await;
    bed.names(&[&client, &flaky], &["shop.apps.local", "rpc.apps.local"]).await;
    bed.create(&[
        empty_mesh(),
        server("flaky", &[("http2", 8001), ("grpc", 9001)]),
        router_on("shop", &[("http2", 80)]),
        (route("shop", "all"), http2(None)),
        routed("shop.apps.local", "shop"),
        router_on("rpc", &[("grpc", 9000)]),
        (route("rpc", "all"), grpc(&policy(1, &json!({ "grpcRetryEvents": ["unavailable"] })))),
        routed("rpc.apps.local", "rpc"),
        caller("client", &["shop.apps.local", "rpc.apps.local"]),
    ])
    .await;
    let flaky = bed.join(flaky, &[(Protocol::Http2, 8001), (Protocol::Grpc, 9001)]).await;
    let client = bed.join(client, &[]).await;
    (bed, client, flaky)
}

/// Whether a request succeeds when the server fails so many before.
async fn survives(client: &MeshMember, flaky: &mut MeshMember, failures: u64) -> bool {
    flaky.servers[0].fail_next(failures).await.unwrap();
    let outcome = client.get(Protocol::Http2, URL).await.outcome();
    flaky.servers[0].fail_next(0).await.unwrap();
    outcome == Ok("flaky".to_owned())
}

#[tokio::test]
async fn retries_hide_as_many_failures_as_the_policy_says() {
    if !userns::wanted() {
        return;
    }
    let (bed, client, mut flaky) = world().await;
    let all = route("shop", "all");

    // No policy: App Mesh retries twice on 503.
    assert!(survives(&client, &mut flaky, 2).await, "the default policy retries twice");
    assert!(!survives(&client, &mut flaky, 3).await, "the default policy retries no more than twice");

    bed.update(&all, &http2(Some(policy(0, &json!({ "httpRetryEvents": ["server-error"] })))), 1).await;
    assert!(!survives(&client, &mut flaky, 1).await, "maxRetries 0 retries nothing");

    bed.update(&all, &http2(Some(policy(4, &json!({ "httpRetryEvents": ["gateway-error"] })))), 1).await;
    assert!(survives(&client, &mut flaky, 4).await, "503 is a gateway-error, and 4 retries hide 4 failures");
    assert!(!survives(&client, &mut flaky, 5).await, "4 retries hide no 5 failures");

    bed.update(&all, &http2(Some(policy(4, &json!({ "httpRetryEvents": ["client-error"] })))), 1).await;
    assert!(!survives(&client, &mut flaky, 1).await, "503 is no client-error");

    flaky.servers[1].fail_next(1).await.unwrap();
    let outcome = client.get(Protocol::Grpc, GRPC).await.outcome();
    assert_eq!(outcome, Ok("flaky".to_owned()), "UNAVAILABLE is retried");
    flaky.servers[1].fail_next(2).await.unwrap();
    let outcome = client.get(Protocol::Grpc, GRPC).await.outcome();
    assert!(outcome.is_err(), "but once only: {outcome:?}");
}

#[tokio::test]
async fn no_caller_of_a_flaky_server_sees_a_failure_behind_a_retry_policy() {
    if !userns::wanted() {
        return;
    }
    let (bed, client, mut flaky) = world().await;
    let all = route("shop", "all");
    // One in five fails, so that ten retries in a row do in one of twenty million requests.
    bed.update(&all, &http2(Some(policy(10, &json!({ "httpRetryEvents": ["server-error"] })))), 1).await;
    flaky.servers[0].fail_every(5).await.unwrap();
    let options = LoadOptions { rate: 400, ..LoadOptions::new(URL) };
    let mut load = client.load(&bed, &options, "with retries").await;
    load.until("enough requests", LIMIT, |tally| tally.answered() >= REQUESTS).await.unwrap();

    load.phase("change").await.unwrap();
    bed.update(&all, &http2(Some(policy(0, &json!({ "httpRetryEvents": ["server-error"] })))), 1).await;
    load.phase("without").await.unwrap();
    load.until("enough requests", LIMIT, |tally| {
        let phase = tally.phase("without");
        phase.answered() + phase.failed() >= REQUESTS
    })
    .await
    .unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.phase("with retries").failed(), 0, "{tally:#?}");
    let without = tally.phase("without");
    let total = without.answered() + without.failed();
    // The server counts in the order of arrival: the requests that were on the way when the phase
    // began or ended shift its share by a few.
    assert!(without.failed().abs_diff(total / 5) <= total / 50, "one in five: {without:?}");
}
