//! The operator is killed in the middle of a rollout, and another process goes on, as when another one becomes the leader: it
//! has nothing but the status.

use fleetmesh_testbed::operator::Operator;
use fleetmesh_testbed::scenario::canary::INTERVAL;
use fleetmesh_testbed::wait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::bed::{Bed, SOON};
use crate::service::{Target, in_words};
use crate::tale::{Tale, in_force, time, version};
use crate::traffic::Traffic;

/// Nobody decides for longer than the pause of step 3.
pub async fn is_another(bed: &mut Bed, tale: &mut Tale, traffic: &mut Traffic, split: &[Target<'_>]) {
    let entered = tale.entered(3).await;
    traffic.phase("without operator").await;
    let dead = bed.stack.operator.process().id();
    bed.stack.operator.kill();
    let pause = time(&entered["rollout"]["nextStepNotBefore"]);
    let over = async || Ok((Timestamp::now() > pause).then_some(()));
    wait::until("the pause is over", SOON, over).await.unwrap();
    let begun = Timestamp::now();
    let kubeconfig = bed.stack.cluster.admin_kubeconfig();
    let endpoint = bed.stack.control_plane.endpoint();
    bed.stack.operator = Operator::start(&kubeconfig, &endpoint, &bed.run).await.unwrap();
    assert_ne!(bed.stack.operator.process().id(), dead);
    traffic.were_shared("without operator", split).await;

    let next = tale.entered(4).await;
    let took = tale.stepped(4).duration_since(begun);
    println!("step 4 came {took:#} after the other operator was started");
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
