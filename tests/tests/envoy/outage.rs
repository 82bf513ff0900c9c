//! The control plane dies and comes back while requests are under way: none fails, and the proxies are sent nothing
//! that they have already.

use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::userns;

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{caller, empty_mesh, http2_route, route, routed, router_on, server, targets};

const URL: &str = "http://shop.apps.local/";
const ROUTES: &str = "http.egress.rds.rds_egress_http2_80";
/// Requests of a phase that show how it goes.
const REQUESTS: u64 = 500;

/// How often the proxy took a configuration of each type.
#[derive(Debug, PartialEq)]
struct Updates {
    clusters: u64,
    listeners: u64,
    routes: u64,
}

impl Updates {
    async fn of(member: &MeshMember) -> Self {
        Self {
            clusters: member.stat("cluster_manager.cds.update_success").await,
            listeners: member.stat("listener_manager.lds.update_success").await,
            routes: member.stat(&format!("{ROUTES}.update_success")).await,
        }
    }
}

#[tokio::test]
async fn no_request_fails_and_nothing_is_pushed_again() {
    outage(false).await;
}

#[tokio::test]
async fn no_request_fails_and_nothing_is_pushed_again_in_the_state_of_the_world() {
    outage(true).await;
}

async fn outage(state_of_the_world: bool) {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, blue]) = Bed::start("outage", ["client", "red", "blue"]).await;
    bed.state_of_the_world = state_of_the_world;
    bed.names(&[&client, &red, &blue], &["shop.apps.local"]).await;
    let ports = [("http2", 8001)];
    let all = route("shop", "all");
    let weights = |red, blue| http2_route(&targets(&[("red", 8001, red), ("blue", 8001, blue)]));
    bed.create(&[
        empty_mesh(),
        server("red", &ports),
        server("blue", &ports),
        router_on("shop", &[("http2", 80)]),
        (all.clone(), weights(1, 0)),
        routed("shop.apps.local", "shop"),
        caller("client", &["shop.apps.local"]),
    ])
    .await;
    let apps = [(Protocol::Http2, 8001)];
    let _red = bed.join(red, &apps).await;
    let _blue = bed.join(blue, &apps).await;
    let client = bed.join(client, &[]).await;
    bed.runs_on(&all, 1).await;
    let before = Updates::of(&client).await;
    assert!(before.clusters > 0 && before.listeners > 0 && before.routes > 0, "{before:?}");

    let options = LoadOptions { rate: 500, ..LoadOptions::new(URL) };
    let mut load = client.load(&bed, &options, "before").await;
    let by = |phase: &'static str, who: &'static str| {
        move |tally: &fleetmesh_testbed::app::tally::Tally| tally.phase(phase).by(who) >= REQUESTS
    };
    load.until("red serves", LIMIT, by("before", "red")).await.unwrap();
    load.phase("down").await.unwrap();
    bed.control_plane.kill();
    load.until("red serves on", LIMIT, by("down", "red")).await.unwrap();
    bed.control_plane.restart(&bed.run).await.unwrap();
    load.phase("back").await.unwrap();
    // Every proxy has come back and acknowledged the newest version of what concerns it.
    bed.runs_on(&all, 1).await;
    bed.runs_on(&crate::spec::node("red"), 2).await;
    load.until("red still serves", LIMIT, by("back", "red")).await.unwrap();

    // What came on the stream before this change has been taken once the change has.
    bed.update(&all, &weights(0, 1), 1).await;
    load.phase("changed").await.unwrap();
    load.until("blue serves", LIMIT, by("changed", "blue")).await.unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    let after = Updates::of(&client).await;
    let wanted = Updates { routes: before.routes + 1, ..before };
    assert_eq!(after, wanted, "the one change, and nothing for the restart");
}
