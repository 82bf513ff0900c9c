//! The operator is killed in the middle of a rollout, and another one that waited becomes the leader: of the rollout it has
//! nothing but the status.

use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::scenario::canary::INTERVAL;
use fleetmesh_testbed::wait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::bed::{CanaryBed, SOON};
use crate::service::{ServiceTarget, in_words};
use crate::tale::{Tale, in_force, time, version};
use crate::traffic::CanaryTraffic;

/// Nobody decides for as long as the lease of the dead one holds, in which the pause of step 3 ends.
pub async fn is_another(
    bed: &mut CanaryBed,
    tale: &mut Tale,
    traffic: &mut CanaryTraffic,
    split: &[ServiceTarget<'_>],
    run: &RunDir,
) {
    let another = bed.another_operator(run).await;
    let entered = tale.entered(3).await;
    traffic.phase("without operator").await;
    let first = holder(bed).await;
    bed.stack.operator.kill();
    bed.stack.operator = another;
    let other = async || Ok(Some(holder(bed).await).filter(|lease| lease.0 != first.0));
    let (_, begun) = wait::until("another one leads", SOON, other).await.unwrap();
    assert!(begun > time(&entered["rollout"]["nextStepNotBefore"]), "the pause was over");
    traffic.were_shared("without operator", split).await;

    let next = tale.entered(4).await;
    let took = tale.stepped(4).duration_since(begun);
    println!("step 4 came {took:#} after the other operator led");
    assert!(took >= SignedDuration::try_from(INTERVAL).unwrap(), "{took:#}");
    // It took over what was in force, and the step's clock; its first push is the next step.
    let statuses = tale.statuses();
    let third = |status: &&Value| {
        status["rollout"]["stepIndex"] == 3 && status["rollout"]["stepEnteredAt"].is_string()
    };
    for status in statuses.iter().filter(third) {
        assert_eq!(in_force(status), in_words(split));
        assert_eq!(status["rollout"]["stepEnteredAt"], entered["rollout"]["stepEnteredAt"]);
        assert_eq!(version(status), version(&entered));
    }
    assert_eq!(version(&next), version(&entered) + 1);
}

/// Who leads, and since when.
async fn holder(bed: &CanaryBed) -> (Value, Timestamp) {
    let lease = ["get", "lease", "fleetmesh-operator", "--namespace", "default"];
    let lease = bed.stack.kubectl.json(&lease).await.unwrap()["spec"].clone();
    (lease["holderIdentity"].clone(), time(&lease["acquireTime"]))
}
