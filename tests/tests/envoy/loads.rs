//! What real Envoys report of their requests, as the operator reads it: every request once, under the virtual node it went
//! to; no traffic, no report and a dead target each distinguished; nothing lost while the control plane is away.

use std::time::Duration;

use fleetmesh_api::loads::Ended;
use fleetmesh_operator::loads::{LoadsClient, LoadsError};
use fleetmesh_testbed::app::tally::Tally;
use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::control_plane::ControlPlane;
use fleetmesh_testbed::launch::Launch;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::userns;
use fleetmesh_testbed::wait;

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{MESH, caller, empty_mesh, http2_route, route, routed, router_on, server, targets};

const URL: &str = "http://shop.apps.local/";
/// Requests that show how it goes.
const REQUESTS: u64 = 600;
/// How often proxies report here.
const INTERVAL: &str = "200ms";
/// A window that holds all of a test.
const ALL: Duration = Duration::from_secs(600);

/// A client that reports, and the targets `red` and `blue` with equal weights.
struct LoadsWorld {
    bed: Bed,
    client: MeshMember,
    _red: MeshMember,
    blue: MeshMember,
    loads: LoadsClient,
}

/// What was counted of one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CountedRequests {
    issued: u64,
    succeeded: u64,
    failed: u64,
    in_progress: u64,
}

impl LoadsWorld {
    async fn start(name: &str) -> Self {
        let run = RunDir::new(name).unwrap();
        let reports = Launch::with(["--load-report-interval", INTERVAL]);
        let plane = ControlPlane::launch(&run, reports).await.unwrap();
        let loads = LoadsClient::anonymous(plane.endpoint());
        let (mut bed, [client, red, blue]) = Bed::around(plane, run, ["client", "red", "blue"]).await;
        bed.names(&[&client, &red, &blue], &["shop.apps.local"]).await;
        let ports = [("http2", 8001)];
        bed.create(&[
            empty_mesh(),
            server("red", &ports),
            server("blue", &ports),
            router_on("shop", &[("http2", 80)]),
            (route("shop", "all"), http2_route(&targets(&[("red", 8001, 1), ("blue", 8001, 1)]))),
            routed("shop.apps.local", "shop"),
            caller("client", &["shop.apps.local"]),
        ])
        .await;
        let apps = [(Protocol::Http2, 8001)];
        let red = bed.join(red, &apps).await;
        let blue = bed.join(blue, &apps).await;
        let client = bed.join(client, &[]).await;
        bed.runs_on(&route("shop", "all"), 1).await;
        let world = Self { bed, client, _red: red, blue, loads };
        // Envoy counts a cluster from the first report after it was made.
        world.until("both targets are reported on", ALL, |red, blue| red.1 > 0 && blue.1 > 0).await;
        world
    }

    /// What was counted of red and blue in the last `window`, each with the number of reports on it.
    async fn read(&self, window: Duration) -> anyhow::Result<[(CountedRequests, u64); 2]> {
        let loads = self.loads.fetch(MESH, window).await?;
        let of = |name: &str| {
            let load = loads.targets.get(name).copied().unwrap_or_default();
            let counted = CountedRequests {
                issued: load.issued,
                succeeded: load.succeeded,
                failed: load.failed,
                in_progress: load.in_progress,
            };
            (counted, load.reports)
        };
        Ok([of("red"), of("blue")])
    }

    /// Waits until what is reported of red and blue satisfies `enough`.
    async fn until(
        &self,
        what: &str,
        window: Duration,
        enough: impl Fn((CountedRequests, u64), (CountedRequests, u64)) -> bool,
    ) -> [CountedRequests; 2] {
        let reported = wait::until(what, LIMIT, async || {
            let [red, blue] = self.read(window).await?;
            anyhow::ensure!(enough(red, blue), "red {red:?}, blue {blue:?}");
            Ok(Some([red.0, blue.0]))
        });
        reported.await.unwrap()
    }

    /// Waits until what both targets' own proxies report satisfies `enough`.
    async fn witnessed(&self, what: &str, enough: impl Fn(Option<Ended>) -> bool) {
        wait::until(what, LIMIT, async || {
            let loads = self.loads.fetch(MESH, ALL).await?;
            let own = ["red", "blue"].map(|name| loads.witnesses.get(name).and_then(|node| node.own));
            Ok(own.into_iter().all(&enough).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Sends [`REQUESTS`] or a few more and gives what the client counted.
    async fn requests(&self) -> Tally {
        let options = LoadOptions { rate: 400, ..LoadOptions::new(URL) };
        let mut load = self.client.load(&self.bed, &options, "requests").await;
        let ended = |tally: &Tally| tally.answered() + tally.failed() >= REQUESTS;
        load.until("enough requests have ended", LIMIT, ended).await.unwrap();
        load.finish().await.unwrap()
    }
}

#[tokio::test]
async fn every_request_is_counted_once_under_the_target_it_went_to() {
    if !userns::wanted() {
        return;
    }
    let mut world = LoadsWorld::start("loads").await;
    // No traffic is no outage: reports came, and say that there was nothing.
    let silent = [CountedRequests::default(); 2];
    assert_eq!(world.read(ALL).await.unwrap().map(|(counted, _)| counted), silent);

    world.witnessed("the targets' own proxies report", |own| own.is_some()).await;
    // App Mesh's own retry policy does not retry on 500.
    world.blue.servers[0].fail_with(500).await.unwrap();
    world.blue.servers[0].fail_every(3).await.unwrap();
    let tally = world.requests().await;
    let (red, blue) = (tally.phase("requests").by("red"), tally.phase("requests").by("blue"));
    assert!(red > 100 && blue > 100 && tally.failed() > 50, "{tally:#?}");
    let exact = [
        CountedRequests { issued: red, succeeded: red, ..CountedRequests::default() },
        CountedRequests {
            issued: blue + tally.failed(),
            succeeded: blue,
            failed: tally.failed(),
            ..CountedRequests::default()
        },
    ];
    let all = |red: (CountedRequests, u64), blue: (CountedRequests, u64)| [red.0, blue.0] == exact;
    world.until("every request is reported", ALL, all).await;
    // Each side reports the same requests: the callers, and the targets where they arrive.
    let same = [(red, 0), (blue, tally.failed())].map(|(succeeded, failed)| Ended { succeeded, failed });
    for (name, expected) in ["red", "blue"].into_iter().zip(same) {
        let what = format!("{name} bears out its caller");
        wait::until(&what, LIMIT, async || {
            let loads = world.loads.fetch(MESH, ALL).await?;
            let witnesses = &loads.witnesses[name];
            anyhow::ensure!(witnesses.own == Some(expected), "{witnesses:?} instead of {expected:?}");
            assert_eq!(witnesses.callers, [("client".to_owned(), expected)].into());
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    let under_way = |count: u64| {
        move |red: (CountedRequests, u64), blue: (CountedRequests, u64)| {
            red.0.in_progress + blue.0.in_progress == count
        }
    };
    let slow = ["--header", "x-delay-ms: 2000"];
    let get = world.client.send(Protocol::Http2, URL, &slow);
    tokio::join!(get, world.until("a request is under way", ALL, under_way(1)));
    let [red, blue] = world.until("it has ended", ALL, under_way(0)).await;
    assert_eq!(red.issued + blue.issued, exact[0].issued + exact[1].issued + 1);

    dead_target(&mut world).await;
    dead_reporter(&mut world).await;
}

/// Nobody listens where blue was: its requests are failures, though none was ever sent.
async fn dead_target(world: &mut LoadsWorld) {
    world.blue.envoy.process().kill();
    let to_blue = http2_route(&targets(&[("red", 8001, 0), ("blue", 8001, 1)]));
    world.bed.update(&route("shop", "all"), &to_blue, 1).await;
    let [_, (before, _)] = world.read(ALL).await.unwrap();
    for _ in 0..5 {
        assert_eq!(world.client.get(Protocol::Http2, URL).await.status, 503);
    }
    let [_, after] =
        world.until("blue's failures are reported", ALL, |_, blue| blue.0.failed >= before.failed + 5).await;
    assert_eq!(after.succeeded, before.succeeded);
}

/// The proxy that reports dies: no report is no zero.
async fn dead_reporter(world: &mut LoadsWorld) {
    let [(counted, _), _] = world.read(ALL).await.unwrap();
    world.client.envoy.process().kill();
    let second = Duration::from_secs(1);
    world.until("no report comes any more", second, |red, blue| (red.1, blue.1) == (0, 0)).await;
    let [(kept, reports), _] = world.read(ALL).await.unwrap();
    assert_eq!(kept, counted, "what was counted stays in the window");
    assert!(reports > 0);
}

#[tokio::test]
async fn what_is_counted_while_the_control_plane_is_away_is_reported_when_it_is_back() {
    if !userns::wanted() {
        return;
    }
    let mut world = LoadsWorld::start("loads-away").await;
    world.bed.control_plane.kill();
    let tally = world.requests().await;
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    let error = world.loads.fetch(MESH, ALL).await;
    assert!(matches!(error, Err(LoadsError::Unreachable { .. })), "{error:?}");

    world.bed.control_plane.restart(&world.bed.run).await.unwrap();
    let [red, blue] = world.until("a report comes again", ALL, |red, _| red.1 > 0).await;
    assert_eq!(
        (red.issued, blue.issued),
        (tally.phase("requests").by("red"), tally.phase("requests").by("blue"))
    );
    let loads = world.loads.fetch(MESH, ALL).await.unwrap();
    assert!(loads.observed < Duration::from_secs(60), "the windows began anew: {loads:?}");

    for (mesh, window, says) in [
        ("none", ALL, "the mesh \"none\" does not exist"),
        (
            MESH,
            ALL + Duration::from_millis(1),
            "window \"601\" is out of bounds: whole seconds from 1 to 600",
        ),
    ] {
        let error = world.loads.fetch(mesh, window).await.expect_err(says);
        assert!(matches!(error, LoadsError::Refused { .. }) && error.to_string().contains(says), "{error}");
    }
}
