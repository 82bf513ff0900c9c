//! Changes that block each other, while requests flow: one commit brings the proxies from one consistent state to the other.

use std::time::Duration;

use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::process::Signal;
use fleetmesh_testbed::userns;
use serde_json::json;
use tokio::time::sleep;

use crate::bed::{Bed, LIMIT};
use crate::spec::{caller, empty_mesh, http2_route, mesh, route, routed, router_on, server, targets};

/// Requests that show that a state is in force.
const REQUESTS: u64 = 500;
/// How long a proxy stands still around a change.
const STILL: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_protocol_and_ports_change_under_traffic_without_a_failed_request() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red]) = Bed::start("commits", ["client", "red"]).await;
    bed.names(&[&client, &red], &["one.apps.local"]).await;
    let (router, on_http2) = router_on("one", &[("http2", 80)]);
    let (red_id, on_first) = server("red", &[("http2", 8001)]);
    let all = route("one", "all");
    let to = |port| targets(&[("red", port, 1)]);
    bed.create(&[
        empty_mesh(),
        (red_id.clone(), on_first),
        (router.clone(), on_http2.clone()),
        (all.clone(), http2_route(&to(8001))),
        routed("one.apps.local", "one"),
        caller("client", &["one.apps.local"]),
    ])
    .await;
    let mut red = bed.join(red, &[(Protocol::Http2, 8001), (Protocol::Http2, 8002)]).await;
    let mut client = bed.join(client, &[]).await;
    bed.runs_on(&all, 1).await;
    let options = LoadOptions { rate: 250, ..LoadOptions::new("http://one.apps.local/") };
    let mut load = client.load(&bed, &options, "before").await;
    let by = |phase: &'static str| {
        move |tally: &fleetmesh_testbed::app::tally::Tally| tally.phase(phase).by("red") >= REQUESTS
    };
    load.until("red serves", LIMIT, by("before")).await.unwrap();

    let (_, on_http) = router_on("one", &[("http", 80)]);
    let http = |port| json!({ "httpRoute": { "match": { "prefix": "/" }, "action": to(port) } });
    for (phase, on_router, on_route) in
        [("http", on_http.clone(), http(8001)), ("http2 again", on_http2.clone(), http2_route(&to(8001)))]
    {
        assert!(bed.api.update(&router, &on_router).await.is_err(), "alone it is refused");
        assert!(bed.api.update(&all, &on_route).await.is_err(), "alone it is refused");
        load.phase(phase).await.unwrap();
        bed.api.commit(&mesh(), &[(router.clone(), on_router), (all.clone(), on_route)]).await.unwrap();
        bed.runs_on(&all, 1).await;
        load.until("red serves on", LIMIT, by(phase)).await.unwrap();
    }
    // The node's port and the target that names it; the application listens on both. Then one of the proxies is late to learn of it.
    for (phase, port, late) in [
        ("other port", 8002, None),
        ("first port", 8001, None),
        ("the callee is late", 8002, Some(&mut red)),
        ("the caller is late", 8001, Some(&mut client)),
    ] {
        let (_, listens) = server("red", &[("http2", port)]);
        assert!(bed.api.update(&red_id, &listens).await.is_err(), "alone it is refused");
        load.phase(phase).await.unwrap();
        let on_route = http2_route(&to(port));
        let late = late.map(|member| member.envoy.process());
        if let Some(envoy) = &late {
            envoy.signal(Signal::STOP).unwrap();
        }
        bed.api.commit(&mesh(), &[(red_id.clone(), listens), (all.clone(), on_route)]).await.unwrap();
        if let Some(envoy) = &late {
            sleep(STILL).await;
            envoy.signal(Signal::CONT).unwrap();
        }
        bed.runs_on(&all, 1).await;
        load.until("red serves on", LIMIT, by(phase)).await.unwrap();
    }
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
}
