//! TCP routes: weights, priority, and ports.

use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::{chi_square, userns};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT};
use crate::spec::{caller, empty_mesh, route, routed, router_on, server, targets};

const WEIGHTS: [u32; 2] = [75, 25];
/// Connections that the split is judged by: a half-and-half split would be off by 15 standard deviations.
const CONNECTIONS: u64 = 1000;

fn tcp(matcher: &Value, priority: Option<u32>, to: &[(&str, u16, u32)]) -> Value {
    let mut spec = json!({ "tcpRoute": { "action": targets(to) } });
    if !matcher.is_null() {
        spec["tcpRoute"]["match"] = matcher.clone();
    }
    if let Some(priority) = priority {
        spec["priority"] = json!(priority);
    }
    spec
}

#[tokio::test]
async fn connections_are_split_by_weight_and_sent_by_port() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, blue]) = Bed::start("tcp", ["client", "red", "blue"]).await;
    bed.names(&[&client, &red, &blue], &["db.apps.local"]).await;
    let ports = [("tcp", 9001)];
    let split = [("red", 9001, WEIGHTS[0]), ("blue", 9001, WEIGHTS[1])];
    bed.create(&[
        empty_mesh(),
        server("red", &ports),
        server("blue", &ports),
        router_on("db", &[("tcp", 9000), ("tcp", 9100), ("tcp", 9200)]),
        (route("db", "split"), tcp(&json!({ "port": 9000 }), None, &split)),
        // Alone it would be blue's; the one for every port comes later, by priority.
        (route("db", "blue"), tcp(&json!({ "port": 9100 }), Some(1), &[("blue", 9001, 1)])),
        (route("db", "any"), tcp(&Value::Null, Some(2), &[("red", 9001, 1)])),
        routed("db.apps.local", "db"),
        caller("client", &["db.apps.local"]),
    ])
    .await;
    let apps = [(Protocol::Tcp, 9001)];
    let _red = bed.join(red, &apps).await;
    let _blue = bed.join(blue, &apps).await;
    let client = bed.join(client, &[]).await;

    for (port, wanted) in [(9100, "blue"), (9200, "red")] {
        for _ in 0..5 {
            let answer = client.get(Protocol::Tcp, &format!("tcp://db.apps.local:{port}")).await;
            assert_eq!(answer.responder, wanted, "port {port}");
        }
    }

    // The route of a port without priority comes after those with one.
    let first = client.get(Protocol::Tcp, "tcp://db.apps.local:9000").await;
    assert_eq!(first.responder, "red");
    bed.update(&route("db", "split"), &tcp(&json!({ "port": 9000 }), Some(0), &split), 1).await;
    let options =
        LoadOptions { protocol: Protocol::Tcp, rate: 250, ..LoadOptions::new("tcp://db.apps.local:9000") };
    let mut load = client.load(&bed, &options, "split").await;
    load.until("enough connections", LIMIT, |tally| tally.answered() >= CONNECTIONS).await.unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:?}");
    let phase = tally.phase("split");
    let counts = [phase.by("red"), phase.by("blue")];
    assert_eq!(counts.iter().sum::<u64>(), tally.answered(), "nobody else answers: {tally:?}");
    let p_value = chi_square::p_value(&counts, &WEIGHTS).unwrap();
    assert!(p_value > 0.001, "{counts:?} is no split of {WEIGHTS:?}: p = {p_value}");
}
