//! What somebody changes at the endpoint comes back, and an Event says what differed.

use anyhow::{Result, ensure};
use fleetmesh_testbed::wait;
use serde_json::json;

use crate::bed::{Bed, SOON, node, route, router};

pub async fn a_change_behind_our_back_comes_back_with_an_event(bed: &Bed) -> Result<()> {
    bed.namespace("drift").await?;
    bed.apply("Mesh", "", "drift", json!({})).await?;
    bed.apply("VirtualNode", "drift", "a", node("drift", "a.local")).await?;
    bed.apply("VirtualNode", "drift", "b", node("drift", "b.local")).await?;
    bed.apply("VirtualRouter", "drift", "r", router("drift")).await?;
    bed.apply("Route", "drift", "x", route("drift", &[("a", 75), ("b", 25)])).await?;
    bed.until_ready("routes", "drift", "x").await?;

    let id = json!({"meshName": "drift", "virtualRouterName": "r", "routeName": "x"});
    let mut update = id.clone();
    update["spec"] = json!({"http2Route": {"match": {"prefix": "/"}, "action": {"weightedTargets": [{"virtualNode": "a", "weight": 1}]}}});
    bed.aws.call("update-route", &update).await?;
    wait::until("the weights are back", SOON, async || {
        let found = bed.aws.call("describe-route", &id).await?;
        let targets = &found["route"]["spec"]["http2Route"]["action"]["weightedTargets"];
        ensure!(targets[1]["weight"] == 25, "{targets}");
        Ok(Some(()))
    })
    .await?;
    let note = bed.until_event("drift", "x", "DriftMended").await?;
    ensure!(
        note.contains("spec.http2Route.action.weightedTargets[0].weight was 1 and should be 75"),
        "{note}"
    );

    bed.aws.call("delete-route", &id).await?;
    wait::until("the route is back", SOON, async || bed.aws.call("describe-route", &id).await.map(Some))
        .await?;
    bed.until_ready("routes", "drift", "x").await
}
