//! Canaries on real parts: kube-apiserver, control plane, Envoys under constant load, the operator of the stack. One stack
//! for the whole story of a route, because each start takes longer than a rollout here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod bed;

use std::time::Duration;

use fleetmesh_testbed::app::Load;
use fleetmesh_testbed::app::tally::Tally;
use fleetmesh_testbed::scenario::{SIGNIFICANCE, VERSIONS};
use fleetmesh_testbed::{chi_square, userns, wait};
use jiff::Timestamp;
use serde_json::{Value, json};

use bed::{Bed, SOON, all_to};
use fleetmesh_testbed::scenario::canary::INTERVAL;

#[tokio::test]
async fn the_story_of_a_route_under_canary() {
    if !userns::wanted() {
        return;
    }
    let mut bed = Bed::start("canary").await;
    let mut load = bed.load("before").await;
    good(&bed, &mut load).await;
    bad(&mut bed, &mut load).await;
    dead(&mut bed, &mut load).await;
    silent(&bed, load).await;
}

/// 100/0 → 75/25 → 50/50 → 0/100, and no request fails; the spec is never written; the old node is deprecated.
async fn good(bed: &Bed, load: &mut Load) {
    // The second step waits for a person.
    let file = bed.apply(|route| route["spec"]["canary"]["steps"][1]["pause"] = json!({})).await;
    for (step, weight) in [(1, 25), (2, 50), (3, 100)] {
        let entered = |status: &Value| {
            let rollout = &status["rollout"];
            rollout["stepIndex"] == step && rollout["stepEnteredAt"].is_string()
        };
        bed.until(&format!("step {step} is in force"), entered).await;
        let phase = format!("at {weight}");
        load.phase(&phase).await.unwrap();
        let enough = |tally: &Tally| tally.phase(&phase).answered() >= 800;
        let tally = load.until("800 requests are answered", SOON, enough).await.unwrap();
        load.phase(&format!("after {weight}")).await.unwrap();
        let counts = VERSIONS.map(|version| tally.phase(&phase).by(version));
        let p = chi_square::p_value(&counts, &[100 - weight, weight]).unwrap();
        assert!(p > SIGNIFICANCE, "at {weight} percent {counts:?}, p = {p}");
        println!("at {weight} percent: {counts:?}, p = {p:.4}");
        let diff = bed.world.stack.kubectl.capture(&["diff", "-f", file.to_str().unwrap()]).await.unwrap();
        assert!(diff.status.success(), "kubectl diff at {weight} percent: {diff:?}");
        if step == 2 {
            assert_eq!(bed.tell("go-on", "Promote").await.unwrap(), "Applied");
            assert_eq!(bed.tell("go-on-where", "Resume").await.unwrap(), "NotApplicable");
        }
    }
    let status = bed.until("the rollout is promoted", |status| status["phase"] == "Promoted").await;
    assert!(all_to(&status, "serviceBv2"), "{status:#}");
    assert_eq!(load.tally().unwrap().failed(), 0, "{:#?}", load.tally());
    assert_eq!(status["history"][0]["outcome"], "Promoted");
    wait::until("the old node is deprecated", SOON, async || {
        let node = bed.get("virtualnode", "service-b").await?;
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let deprecated =
            |condition: &&Value| condition["type"] == "Deprecated" && condition["status"] == "True";
        Ok(conditions.iter().find(deprecated).map(drop))
    })
    .await
    .unwrap();
}

fn back(route: &mut Value) {
    route["spec"]["http2Route"]["action"]["weightedTargets"] =
        json!([{ "virtualNode": "serviceB", "weight": 100 }]);
}

/// A version that answers 500 to a third of its requests is rolled back within two windows of the analysis.
async fn bad(bed: &mut Bed, load: &mut Load) {
    bed.world.hosts[1].server.fail_with(500).await.unwrap();
    bed.world.hosts[1].server.fail_every(3).await.unwrap();
    load.phase("bad").await.unwrap();
    bed.apply(back).await;
    let entered =
        bed.until("the bad version gets requests", |status| status["rollout"]["stepEnteredAt"].is_string());
    let entered = entered.await["rollout"]["stepEnteredAt"].clone();
    let status = bed.until("the bad version is rolled back", |status| status["phase"] == "Aborted").await;
    assert!(all_to(&status, "serviceBv2"), "{status:#}");
    let ended = &status["history"][0]["endedAt"];
    let took = time(ended).duration_since(time(&entered));
    println!("rolled back {took:#} after the step began: {}", status["history"][0]["message"]);
    // Two windows, and what the reports and the looks are apart.
    assert!(Duration::try_from(took).unwrap() < 2 * INTERVAL + Duration::from_secs(2), "{took:#}");
    let phase = load.tally().unwrap().phase("bad");
    let share = phase.failed() as f64 / (phase.failed() + phase.answered()) as f64;
    assert!(phase.failed() > 0 && share < 0.25 / 3.0 * 1.5, "{phase:#?}");
    // What is served is the stable version, and Ready says so.
    let wait = ["wait", "--for=condition=Ready", "--timeout=60s", "--namespace", "apps", "route/service-b"];
    bed.world.stack.kubectl.run(&wait).await.unwrap();
    bed.world.hosts[1].server.fail_every(0).await.unwrap();
}

/// A version that nobody answers for shows errors, not silence.
async fn dead(bed: &mut Bed, load: &mut Load) {
    load.phase("dead").await.unwrap();
    bed.world.hosts[1].server.fail_every(1).await.unwrap();
    let history = bed.route().await.unwrap()["status"]["history"].as_array().unwrap().len();
    assert_eq!(bed.tell("again", "Retry").await.unwrap(), "Applied");
    let aborted = |status: &Value| {
        status["phase"] == "Aborted" && status["history"].as_array().is_some_and(|all| all.len() > history)
    };
    let status = bed.until("the dead version is rolled back", aborted).await;
    assert_eq!(status["history"][0]["reason"], "AbortThreshold", "{status:#}");
    bed.world.hosts[1].server.fail_every(0).await.unwrap();
}

/// Without traffic nothing is judged: the rollout holds, then waits for a person, and goes on when told.
async fn silent(bed: &Bed, load: Load) {
    load.finish().await.unwrap();
    bed.quiet().await;
    bed.apply(|route| {
        back(route);
        route["spec"]["canary"]["analysis"]["holdTimeout"] = json!("5s");
    })
    .await;
    assert_eq!(bed.tell("third", "Retry").await.unwrap(), "Applied");
    let held = bed.until("the rollout holds", |status| status["phase"] == "Held").await;
    println!("held: {}", held["rollout"]["hold"]["detail"]);
    let paused = bed.until("the rollout pauses", |status| status["phase"] == "Paused").await;
    assert_eq!(paused["rollout"]["hold"]["reason"], "HoldTimedOut", "{paused:#}");
    assert_eq!(bed.tell("stale", "Retry").await.unwrap(), "NotApplicable");
    assert_eq!(bed.tell("enough", "Abort").await.unwrap(), "Applied");
    bed.until("the rollout is given up", |status| status["phase"] == "Aborted").await;
}

fn time(value: &Value) -> Timestamp {
    value.as_str().expect("a time").parse().expect("RFC 3339")
}
