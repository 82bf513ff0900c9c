//! The control plane dies in the middle of a rollout and starts again with its data: the requests do not notice, and the
//! rollout freezes until a window of the analysis has been watched in full.

use fleetmesh_testbed::scenario::canary::INTERVAL;
use fleetmesh_testbed::wait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::bed::{CanaryBed, SOON};
use crate::service::ServiceTarget;
use crate::tale::{Tale, time};
use crate::traffic::CanaryTraffic;

/// It is away for longer than the pause of step 1.
pub async fn is_away(
    bed: &mut CanaryBed,
    tale: &mut Tale,
    traffic: &mut CanaryTraffic,
    split: &[ServiceTarget<'_>],
) {
    let entered = tale.entered(1).await;
    traffic.phase("without control plane").await;
    bed.stack.control_plane.kill();
    let held = tale.held("NoReport").await;
    println!("held: {}", held["rollout"]["hold"]["detail"]);
    traffic.were_shared("without control plane", split).await;
    let pause = time(&entered["rollout"]["nextStepNotBefore"]);
    let over = async || Ok((Timestamp::now() > pause).then_some(()));
    wait::until("the pause is over", SOON, over).await.unwrap();
    let back = Timestamp::now();
    bed.stack.control_plane.restart(&bed.run).await.unwrap();
    freezes(tale, 2, back).await;
}

/// It is away for a moment only, in which the pause of step 2 ends: the verdict of before does not stand for what came after.
pub async fn restarts(
    bed: &mut CanaryBed,
    tale: &mut Tale,
    traffic: &mut CanaryTraffic,
    split: &[ServiceTarget<'_>],
) {
    let entered = tale.entered(2).await;
    let entered = time(&entered["rollout"]["stepEnteredAt"]);
    let whole = SignedDuration::try_from(INTERVAL).unwrap();
    let passed = |status: &Value| {
        let verdict = &status["analysis"][0];
        verdict["verdict"] == "Pass" && time(&verdict["at"]).duration_since(entered) >= whole
    };
    traffic.phase("another control plane").await;
    tale.until("a window of the step has passed", passed).await;
    let back = Timestamp::now();
    bed.stack.control_plane.restart(&bed.run).await.unwrap();
    // These are what the proxies got before, and what the control plane read from its data.
    traffic.were_shared("another control plane", split).await;
    freezes(tale, 3, back).await;
}

/// The next step is not decided on before a full window since `back`.
async fn freezes(tale: &mut Tale, next: i64, back: Timestamp) {
    tale.entered(next).await;
    let took = tale.stepped(next).duration_since(back);
    println!("step {next} came {took:#} after the control plane was started");
    assert!(took >= SignedDuration::try_from(INTERVAL).unwrap(), "{took:#}");
}
