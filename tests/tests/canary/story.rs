//! The route of `samples/canary`, by short times: a good version, one that fails a third of its requests, a dead one, and no
//! traffic at all.

use std::time::Duration;

use fleetmesh_testbed::host::Host;
use fleetmesh_testbed::scenario::URL;
use fleetmesh_testbed::scenario::canary::{INTERVAL, short_route};
use fleetmesh_testbed::{tools, wait};
use serde_json::{Value, json};

use crate::bed::{CanaryBed, SOON};
use crate::service::ServiceTarget;
use crate::tale::{Tale, in_force, time};
use crate::traffic::CanaryTraffic;

/// The route of the sample, going to `target`.
pub fn route(target: &str) -> Value {
    let samples = tools::workspace_dir().unwrap().join("samples");
    short_route(&samples, target).unwrap()
}

/// serviceB, which is stable, and serviceBv2 by turns.
pub async fn run(bed: &CanaryBed, hosts: &mut [Host; 2]) -> Tale {
    let mut tale = bed.tale("service-b");
    let mut traffic = CanaryTraffic::start(bed, URL).await;
    good(bed, &mut tale, &mut traffic).await;
    bad(bed, &mut tale, &mut traffic, &mut hosts[0]).await;
    dead(&mut tale, &mut hosts[0]).await;
    silent(bed, &mut tale, traffic).await;
    tale
}

/// 100/0 → 75/25 → 50/50 → 0/100, and no request fails; the spec is never written; the old node is deprecated.
async fn good(bed: &CanaryBed, tale: &mut Tale, traffic: &mut CanaryTraffic) {
    let mut route = route("serviceBv2");
    let steps = &mut route["spec"]["canary"]["steps"];
    // Each split is looked at for as long as it takes; then a person promotes.
    steps[0] = json!({ "setWeight": 25, "pause": {}, "minRequests": 100 });
    steps[1]["pause"] = json!({});
    steps[2]["pause"]["duration"] = json!("2s");
    tale.apply(&route).await;
    let splits: [&[ServiceTarget<'_>]; 4] = [
        &[("serviceB", 100), ("serviceBv2", 0)],
        &[("serviceB", 75), ("serviceBv2", 25)],
        &[("serviceB", 50), ("serviceBv2", 50)],
        &[("serviceB", 0), ("serviceBv2", 100)],
    ];
    for (step, split) in (0..).zip(splits).skip(1) {
        tale.entered(step).await;
        traffic.is_shared(split).await;
        tale.is_as_applied().await;
        if step == 2 {
            assert_eq!(tale.send("Resume").await, "NotApplicable");
        }
        if step < 3 {
            assert_eq!(tale.send("Promote").await, "Applied");
        }
    }
    let status = tale.phase("Promoted").await;
    assert_eq!(status["history"][0]["outcome"], "Promoted");
    tale.took_steps(&[1, 2, 3]);
    tale.went_through(&splits);
    traffic.is_unharmed();
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

/// A version that answers 500 to a third of its requests is rolled back within two windows of the analysis.
async fn bad(bed: &CanaryBed, tale: &mut Tale, traffic: &mut CanaryTraffic, version: &mut Host) {
    version.server.fail_with(500).await.unwrap();
    version.server.fail_every(3).await.unwrap();
    traffic.phase("bad").await;
    tale.apply(&route("serviceB")).await;
    let entered = tale.entered(1).await["rollout"]["stepEnteredAt"].clone();
    let status = tale.phase("Aborted").await;
    assert_eq!(in_force(&status), "serviceBv2=100");
    let ended = &status["history"][0]["endedAt"];
    let took = time(ended).duration_since(time(&entered));
    println!("rolled back {took:#} after the step began: {}", status["history"][0]["message"]);
    // Two windows, and what the reports and the looks are apart.
    assert!(Duration::try_from(took).unwrap() < 2 * INTERVAL + Duration::from_secs(2), "{took:#}");
    traffic.phase("rolled back").await;
    let phase = traffic.ended("bad").await;
    let share = phase.failed() as f64 / (phase.failed() + phase.answered()) as f64;
    assert!(phase.failed() > 0 && share < 0.25 / 3.0 * 1.5, "{phase:#?}");
    // What is served is the stable version, and Ready says so.
    let wait = ["wait", "--for=condition=Ready", "--timeout=60s", "--namespace", "apps", "route/service-b"];
    bed.stack.kubectl.run(&wait).await.unwrap();
    version.server.fail_every(0).await.unwrap();
}

/// A version that nobody answers for shows errors, not silence.
async fn dead(tale: &mut Tale, version: &mut Host) {
    version.server.fail_every(1).await.unwrap();
    assert_eq!(tale.send("Retry").await, "Applied");
    let status = tale.phase("Aborted").await;
    assert_eq!(status["history"][0]["reason"], "AbortThreshold", "{status:#}");
    version.server.fail_every(0).await.unwrap();
}

/// Without traffic nothing is judged: the rollout holds, then waits for a person, and goes on when that one acts.
async fn silent(bed: &CanaryBed, tale: &mut Tale, traffic: CanaryTraffic) {
    traffic.finish().await;
    bed.quiet("serviceB", INTERVAL).await;
    let mut route = route("serviceB");
    route["spec"]["canary"]["analysis"]["holdTimeout"] = json!("3s");
    tale.apply(&route).await;
    assert_eq!(tale.send("Retry").await, "Applied");
    let held = tale.held("NoTraffic").await;
    println!("held: {}", held["rollout"]["hold"]["detail"]);
    let paused = tale.phase("Paused").await;
    assert_eq!(paused["rollout"]["hold"]["reason"], "HoldTimedOut", "{paused:#}");
    assert_eq!(tale.send("Retry").await, "NotApplicable");
    assert_eq!(tale.send("Abort").await, "Applied");
    tale.phase("Aborted").await;
}
