//! Connection pools and outlier detection: what is too much is refused at the node, and who keeps failing is left out.

use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::{userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::pool::{Pool, URL};
use crate::spec::{caller, empty_mesh, http2_route, node, service, targets};

/// Keeps a request at the application until all the others have arrived.
const SLOW: [&str; 2] = ["--header", "x-delay-ms: 2000"];

/// How many of `count` slow requests at once are served, and how many refused.
async fn at_once(client: &MeshMember, protocol: Protocol, count: usize) -> (usize, usize) {
    let slow = (0..count).map(|_| client.send(protocol, URL, &SLOW));
    let answers = futures::future::join_all(slow).await;
    let of = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!(of(200) + of(503), count, "{answers:?}");
    (of(200), of(503))
}

fn listening(protocol: &str, pool: &Value) -> Value {
    json!({
        "listeners": [{ "portMapping": { "port": 80, "protocol": protocol }, "connectionPool": pool }],
        "serviceDiscovery": { "dns": { "hostname": "red.apps.local" } } })
}

#[tokio::test]
async fn more_than_the_pool_is_refused_and_nothing_less() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red]) = Bed::start("pools", ["client", "red"]).await;
    bed.names(&[&client, &red], &["shop.apps.local"]).await;
    let provider = json!({ "provider": { "virtualNode": { "virtualNodeName": "red" } } });
    bed.create(&[
        empty_mesh(),
        (node("red"), listening("http2", &json!({ "http2": { "maxRequests": 2 } }))),
        (service("shop.apps.local"), provider),
        caller("client", &["shop.apps.local"]),
    ])
    .await;
    let red = bed.join(red, &[(Protocol::Http2, 80)]).await;
    let client = bed.join(client, &[]).await;
    bed.runs_on(&node("red"), 2).await;

    assert_eq!(at_once(&client, Protocol::Http2, 4).await, (2, 2), "(served, refused) by a pool of 2");
    let overflow = "cluster.cds_ingress_apps_red_http2_80.upstream_rq_active_overflow";
    assert!(red.stat(overflow).await >= 2, "the node's own proxy refuses them");
    for proxy in [&red, &client] {
        let deprecated = proxy.stat("runtime.deprecated_feature_use").await;
        assert_eq!(deprecated, 0, "a new Envoy is given nothing that goes away");
    }

    bed.update(&node("red"), &listening("http2", &json!({ "http2": { "maxRequests": 4 } })), 2).await;
    assert_eq!(at_once(&client, Protocol::Http2, 4).await, (4, 0), "(served, refused) by a pool of 4");

    // HTTP/1.1 has a request on each connection. Each of Envoy's two workers may have one, whatever the pool says.
    let pool = json!({ "http": { "maxConnections": 1, "maxPendingRequests": 1 } });
    bed.update(&node("red"), &listening("http", &pool), 2).await;
    let (served, refused) = at_once(&client, Protocol::Http, 6).await;
    assert!((2..=3).contains(&served), "{served} served, {refused} refused");
}

#[tokio::test]
async fn an_instance_that_keeps_failing_is_left_out() {
    if !userns::wanted() {
        return;
    }
    let detection = json!({ "maxServerErrors": 5, "maxEjectionPercent": 50,
        "interval": { "unit": "ms", "value": 100 }, "baseEjectionDuration": { "unit": "s", "value": 300 } });
    let mut all = http2_route(&targets(&[("pool", 8001, 1)]));
    all["http2Route"]["retryPolicy"] = json!({ "maxRetries": 0, "perRetryTimeout": { "unit": "s", "value": 5 }, "httpRetryEvents": ["server-error"] });
    let members = json!({ "outlierDetection": detection });
    let Pool { bed, client, mut red, blue: _blue } = Pool::start("outlier", &members, all).await;

    let options = LoadOptions { rate: 250, ..LoadOptions::new(URL) };
    let mut load = client.load(&bed, &options, "both").await;
    load.until("both serve", LIMIT, |tally| tally.phase("both").by("red") > 0).await.unwrap();
    load.phase("failing").await.unwrap();
    red.servers[0].fail_with(500).await.unwrap();
    red.servers[0].fail_every(1).await.unwrap();
    let ejected = "cluster.cds_egress_apps_pool_http2_8001.outlier_detection.ejections_active";
    wait::until("one is left out", LIMIT, async || Ok((client.stat(ejected).await == 1).then_some(())))
        .await
        .unwrap();
    load.phase("without").await.unwrap();
    load.until("the other serves", LIMIT, |tally| tally.phase("without").answered() >= 500).await.unwrap();
    let tally = load.finish().await.unwrap();
    let (failing, without) = (tally.phase("failing"), tally.phase("without"));
    assert!((5..100).contains(&failing.failed()), "some failures, and then no more: {failing:?}");
    assert_eq!((without.failed(), without.by("blue")), (0, without.answered()), "{without:?}");
}
