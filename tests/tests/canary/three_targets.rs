//! Two targets share the requests, and three are to: at each step the weights are right in sum and one by one.

use serde_json::{Value, json};

use crate::service::{SHOP, ServiceTarget};
use crate::tale::Tale;
use crate::traffic::CanaryTraffic;

/// What is stable afterwards.
pub const STABLE: &[ServiceTarget<'static>] = &[("shop-v1", 20), ("shop-v2", 30), ("shop-v3", 50)];

/// A plan whose steps of these percentages wait for a person, before all of it.
pub fn plan(percentages: &[u32]) -> Value {
    let waiting = percentages.iter().map(|percent| json!({ "setWeight": percent, "pause": {} }));
    let all = json!({ "setWeight": 100, "pause": { "duration": "1s" } });
    json!({ "steps": waiting.chain([all]).collect::<Vec<_>>(), "analysis": { "interval": "1s" } })
}

/// 60/40/0 → 20/30/50: what goes to the third is taken from the two in proportion to what they lose.
pub async fn run(tale: &mut Tale, traffic: &mut CanaryTraffic) {
    tale.apply(&SHOP.route("shop", STABLE, Some(plan(&[30, 70])))).await;
    let splits: [&[ServiceTarget<'_>]; 4] = [
        &[("shop-v1", 60), ("shop-v2", 40), ("shop-v3", 0)],
        &[("shop-v1", 48), ("shop-v2", 37), ("shop-v3", 15)],
        &[("shop-v1", 32), ("shop-v2", 33), ("shop-v3", 35)],
        STABLE,
    ];
    for (step, split) in (0..).zip(splits).skip(1) {
        assert_eq!(split.iter().map(|(_, weight)| weight).sum::<u32>(), 100);
        tale.entered(step).await;
        traffic.is_shared(split).await;
        tale.is_as_applied().await;
        if step < 3 {
            assert_eq!(tale.send("Promote").await, "Applied");
        }
    }
    // Nothing lost all of its requests, so nothing drains.
    tale.phase("Promoted").await;
    tale.took_steps(&[1, 2, 3]);
    tale.went_through(&splits);
    traffic.is_unharmed();
}
