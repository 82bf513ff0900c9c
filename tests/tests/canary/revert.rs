//! `git revert` in the middle of a rollout: the spec names the stable targets again, and they have everything back in one
//! push.

use crate::service::SHOP;
use crate::supersede::MIDDLE;
use crate::tale::{Tale, version};
use crate::three_targets::{STABLE, plan};
use crate::traffic::CanaryTraffic;

/// From the middle of the rollout that [`crate::supersede`] left.
pub async fn run(tale: &mut Tale, traffic: &mut CanaryTraffic) {
    let reverted = tale.entered(1).await;
    tale.apply(&SHOP.route("shop", STABLE, Some(plan(&[40])))).await;
    let taken_back = |status: &serde_json::Value| {
        status["phase"] == "RolledBack" && status["dataplane"]["settledAt"].is_string()
    };
    let status = tale.until("every proxy has the stable targets", taken_back).await;
    assert_eq!(version(&status), version(&reverted) + 1, "one push");
    tale.went_through(&[MIDDLE, STABLE]);
    let ended = &status["history"][0];
    assert_eq!(ended["id"], reverted["rollout"]["id"]);
    assert_eq!((&ended["outcome"], &ended["reason"]), (&"RolledBack".into(), &"TargetsReverted".into()));
    assert!(status["rollout"].is_null(), "{status:#}");
    traffic.is_shared(STABLE).await;
    tale.is_as_applied().await;
    traffic.is_unharmed();
}
