//! An unhealthy host under a health check: callers avoid it, and come back.

use fleetmesh_testbed::app::LoadOptions;
use fleetmesh_testbed::envoy;
use fleetmesh_testbed::userns;
use fleetmesh_testbed::wait;
use serde_json::json;

use crate::bed::{LIMIT, MeshMember};
use crate::pool::{Pool, URL};
use crate::spec::{http2_route, targets};

/// Requests that show who takes part: with two hosts in turn, neither is missed by chance.
const REQUESTS: u64 = 500;

/// Awaits how many hosts of the pool the client's proxy takes for healthy.
async fn healthy_hosts(client: &MeshMember, wanted: usize) {
    let what = format!("the proxy takes {wanted} hosts for healthy");
    wait::until(&what, LIMIT, async || {
        let clusters = envoy::admin(&client.instance, "/clusters").await?.body;
        let hosts = clusters.lines().filter(|line| line.starts_with("cds_egress_apps_pool_"));
        let healthy = hosts.filter(|line| line.ends_with("::health_flags::healthy")).count();
        anyhow::ensure!(healthy == wanted, "{healthy} are healthy");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn traffic_avoids_a_host_while_it_is_unhealthy() {
    if !userns::wanted() {
        return;
    }
    // The shortest check that App Mesh allows.
    let check = json!({ "protocol": "http2", "path": "/health", "intervalMillis": 5000, "timeoutMillis": 2000,
        "healthyThreshold": 2, "unhealthyThreshold": 2 });
    let members = json!({ "healthCheck": check });
    let all = http2_route(&targets(&[("pool", 8001, 1)]));
    let Pool { bed, client, mut red, blue: _blue } = Pool::start("health", &members, all).await;

    healthy_hosts(&client, 2).await;
    let options = LoadOptions { rate: 250, ..LoadOptions::new(URL) };
    let mut load = client.load(&bed, &options, "both").await;
    let enough = |phase: &'static str| {
        move |tally: &fleetmesh_testbed::app::tally::Tally| tally.phase(phase).answered() >= REQUESTS
    };
    load.until("both serve", LIMIT, enough("both")).await.unwrap();

    load.phase("change").await.unwrap();
    red.servers[0].set_healthy(false).await.unwrap();
    healthy_hosts(&client, 1).await;
    load.phase("one").await.unwrap();
    load.until("one serves", LIMIT, enough("one")).await.unwrap();

    load.phase("change back").await.unwrap();
    red.servers[0].set_healthy(true).await.unwrap();
    healthy_hosts(&client, 2).await;
    load.phase("both again").await.unwrap();
    load.until("both serve again", LIMIT, enough("both again")).await.unwrap();

    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    for phase in ["both", "both again"] {
        let phase = tally.phase(phase);
        assert!(phase.by("red") > 0 && phase.by("blue") > 0, "both take part: {phase:?}");
    }
    let one = tally.phase("one");
    assert_eq!(one.by("blue"), one.answered(), "the unhealthy host gets nothing: {one:?}");
}
