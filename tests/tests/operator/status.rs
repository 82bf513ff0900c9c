//! What statuses say, and that saying nothing new writes nothing.

use anyhow::{Result, ensure};
use fleetmesh_testbed::wait;
use serde_json::json;

use crate::bed::{Bed, SOON, node, route, router};

pub async fn a_wrong_reference_keeps_the_last_good_state(bed: &Bed) -> Result<()> {
    bed.namespace("refs").await?;
    bed.apply("Mesh", "", "refs", json!({})).await?;
    bed.apply("VirtualNode", "refs", "a", node("refs", "a.local")).await?;
    bed.apply("VirtualRouter", "refs", "r", router("refs")).await?;
    bed.apply("Route", "refs", "x", route("refs", &[("a", 1)])).await?;
    bed.until_ready("routes", "refs", "x").await?;
    bed.apply("Route", "refs", "x", route("refs", &[("a", 1), ("nobody", 1)])).await?;
    let message = bed.until_reason("routes", "refs", "x", "RefNotFound").await?;
    ensure!(message.contains("nobody"), "{message}");
    let input = json!({"meshName": "refs", "virtualRouterName": "r", "routeName": "x"});
    let found = bed.aws.call("describe-route", &input).await?;
    ensure!(found["route"]["metadata"]["version"] == 1, "the last good state stays: {found}");
    // The referent may be made by anybody, also without Kubernetes.
    let mut made = json!({"meshName": "refs", "virtualNodeName": "nobody"});
    made["spec"] = json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http2"}}], "serviceDiscovery": {"dns": {"hostname": "n.local"}}});
    bed.aws.call("create-virtual-node", &made).await?;
    bed.until_ready("routes", "refs", "x").await
}

pub async fn the_same_meaning_is_not_written_again(bed: &mut Bed) -> Result<()> {
    bed.namespace("calm").await?;
    bed.apply("Mesh", "", "calm", json!({})).await?;
    bed.apply("VirtualNode", "calm", "a", node("calm", "a.local")).await?;
    bed.until_ready("virtualnodes", "calm", "a").await?;
    let reads = "operation=\"DescribeVirtualNode\"";
    let (calls, writes) =
        (bed.metric("fleetmesh_operator_app_mesh_calls_total", reads).await?, bed.writes().await?);
    for round in 0..100 {
        let touch = format!("touched={round}");
        bed.stack
            .kubectl
            .run(&["annotate", "--overwrite", "-n", "calm", "virtualnodes", "a", &touch])
            .await?;
    }
    wait::until("the resyncs were made", SOON, async || {
        let now = bed.metric("fleetmesh_operator_app_mesh_calls_total", reads).await?;
        ensure!(now >= calls + 100.0, "{} resyncs", now - calls);
        Ok(Some(()))
    })
    .await?;
    ensure!(bed.writes().await? == writes, "resyncs wrote");
    // Another spelling of the same: one status for the new generation, no write to the endpoint.
    bed.apply("VirtualNode", "calm", "a", node("calm", "A.local.")).await?;
    bed.until_ready("virtualnodes", "calm", "a").await?;
    ensure!(
        bed.metric("fleetmesh_operator_app_mesh_calls_total", "UpdateVirtualNode").await? == 0.0,
        "it was written"
    );
    // A restart looks at everything and changes nothing.
    bed.stack.operator.restart(&bed.run).await?;
    wait::until("everything was looked at", SOON, async || {
        let rounds = bed.metric("fleetmesh_operator_rounds_total", "in_step").await?;
        Ok((rounds >= 10.0).then_some(()))
    })
    .await?;
    ensure!(bed.writes().await? == 0.0, "a restart wrote");
    Ok(())
}

pub async fn an_endpoint_that_does_not_answer_is_a_condition(bed: &mut Bed) -> Result<()> {
    bed.stack.control_plane.kill();
    bed.apply("VirtualNode", "calm", "a", node("calm", "other.local")).await?;
    let message = bed.until_reason("virtualnodes", "calm", "a", "EndpointUnreachable").await?;
    ensure!(message.contains("--app-mesh-endpoint"), "{message}");
    bed.stack.control_plane.restart(&bed.run).await?;
    bed.until_ready("virtualnodes", "calm", "a").await
}
