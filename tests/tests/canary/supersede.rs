//! The spec names other targets in the middle of a rollout: theirs takes its place, from the stable targets on.

use crate::service::{SHOP, ServiceTarget};
use crate::tale::{Tale, version};
use crate::three_targets::{STABLE, plan};
use crate::traffic::CanaryTraffic;

/// What is in force in the end, in the middle of the second rollout.
pub const MIDDLE: &[ServiceTarget<'static>] = &[("shop-v1", 12), ("shop-v2", 58), ("shop-v3", 30)];

/// On the way to shop-v1 the spec wants shop-v2. What shop-v1 got is taken back in one push, and shop-v2 gets its first
/// requests with its own first step: nobody has more than the stable weights or a step gives at any time.
pub async fn run(tale: &mut Tale, traffic: &mut CanaryTraffic) {
    let first: &[ServiceTarget<'_>] = &[("shop-v1", 52), ("shop-v2", 18), ("shop-v3", 30)];
    tale.apply(&SHOP.route("shop", &[("shop-v1", 100)], Some(plan(&[40])))).await;
    let superseded = tale.entered(1).await;
    traffic.is_shared(first).await;

    tale.apply(&SHOP.route("shop", &[("shop-v2", 100)], Some(plan(&[40])))).await;
    let entered = tale.entered(1).await;
    assert_ne!(entered["rollout"]["id"], superseded["rollout"]["id"]);
    let ended = &entered["history"][0];
    assert_eq!(ended["id"], superseded["rollout"]["id"]);
    assert_eq!((&ended["outcome"], &ended["reason"]), (&"Superseded".into(), &"TargetsChanged".into()));
    traffic.is_shared(MIDDLE).await;
    tale.is_as_applied().await;
    tale.took_steps(&[1, 1]);
    tale.went_through(&[first, STABLE, MIDDLE]);
    assert_eq!(version(&entered), version(&superseded) + 2, "one push for each");
    traffic.is_unharmed();
}
