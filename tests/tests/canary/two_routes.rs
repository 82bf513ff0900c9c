//! Two routes of one router in rollout at once: one is promoted, the other one is rolled back, and neither takes notice.

use serde_json::json;

use crate::bed::CanaryBed;
use crate::service::DESK;
use crate::tale::{time, version};
use crate::traffic::CanaryTraffic;

/// `/in` goes to a good version, `/out` to one that answers 500 to a third of its requests.
pub async fn run(bed: &CanaryBed) {
    let mut servers = bed.serve(&DESK).await;
    servers[3].fail_with(500).await.unwrap();
    servers[3].fail_every(3).await.unwrap();
    let mut good = bed.tale("desk-in");
    let mut bad = bed.tale("desk-out");
    let mut traffic = CanaryTraffic::start(bed, "http://desk.apps.local/in").await;
    let mut harmed = CanaryTraffic::start(bed, "http://desk.apps.local/out").await;
    let canary = json!({
        "steps": [{ "setWeight": 50, "pause": {} }, { "setWeight": 100, "pause": { "duration": "1s" } }],
        "analysis": { "interval": "1s" },
    });
    let good_route = DESK.route("desk-in", &[("desk-in-v2", 100)], Some(canary.clone()));
    let bad_route = DESK.route("desk-out", &[("desk-out-v2", 100)], Some(canary));
    tokio::join!(good.apply(&good_route), bad.apply(&bad_route));

    let (entered, aborted) = tokio::join!(good.entered(1), bad.phase("Aborted"));
    assert_eq!(aborted["history"][0]["reason"], "AnalysisFailed", "{aborted:#}");
    // The other one stays where it is until a person promotes, with what was pushed for it.
    traffic.is_shared(&[("desk-in-v1", 50), ("desk-in-v2", 50)]).await;
    let now = bed.get("route", "desk-in").await.unwrap()["status"].clone();
    assert_eq!((version(&now), &now["phase"]), (version(&entered), &"Paused".into()));
    assert_eq!(good.send("Promote").await, "Applied");
    let promoted = good.phase("Promoted").await;

    let [started, ended] = ["startedAt", "endedAt"].map(|at| time(&promoted["history"][0][at]));
    let [bad_started, bad_ended] = ["startedAt", "endedAt"].map(|at| time(&aborted["history"][0][at]));
    assert!(started < bad_ended && bad_started < ended, "at once: {promoted:#} {aborted:#}");
    good.took_steps(&[1, 2]);
    good.went_through(&[
        &[("desk-in-v1", 100)],
        &[("desk-in-v1", 50), ("desk-in-v2", 50)],
        &[("desk-in-v2", 100)],
    ]);
    bad.took_steps(&[1]);
    let stable = &[("desk-out-v1", 100)];
    bad.went_through(&[stable, &[("desk-out-v1", 50), ("desk-out-v2", 50)], stable]);
    traffic.is_shared(&[("desk-in-v1", 0), ("desk-in-v2", 100)]).await;
    harmed.is_shared(&[("desk-out-v1", 100), ("desk-out-v2", 0)]).await;
    traffic.is_unharmed();
    assert!(harmed.tally().failed() > 0);
}
