//! Deletions: blocked ones say by whom and go on by themselves; those that let go leave the object behind.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::bed::{Bed, node, route, router};

pub async fn a_deletion_names_what_blocks_it_and_goes_on_by_itself(bed: &Bed) -> Result<()> {
    bed.namespace("blocked").await?;
    bed.apply("Mesh", "", "blocked", json!({})).await?;
    bed.apply("VirtualNode", "blocked", "a", node("blocked", "a.local")).await?;
    bed.apply("VirtualNode", "blocked", "b", node("blocked", "b.local")).await?;
    bed.apply("VirtualRouter", "blocked", "r", router("blocked")).await?;
    bed.apply("Route", "blocked", "x", route("blocked", &[("a", 1)])).await?;
    bed.until_ready("routes", "blocked", "x").await?;

    bed.delete("virtualnodes", "blocked", "a").await?;
    let message = bed.until_reason("virtualnodes", "blocked", "a", "DeletionBlocked").await?;
    ensure!(message.contains("Route blocked/x"), "{message}");
    // The route lets go by pointing elsewhere.
    bed.apply("Route", "blocked", "x", route("blocked", &[("b", 1)])).await?;
    bed.until_gone("virtualnodes", "blocked", "a").await?;

    // The same with a blocker that no resource stands for.
    let backend = json!({"provider": {"virtualNode": {"virtualNodeName": "b"}}});
    let service = json!({"meshName": "blocked", "virtualServiceName": "by-hand.local"});
    let mut create = service.clone();
    create["spec"] = backend;
    bed.aws.call("create-virtual-service", &create).await?;
    bed.delete("routes", "blocked", "x").await?;
    bed.until_gone("routes", "blocked", "x").await?;
    bed.delete("virtualnodes", "blocked", "b").await?;
    let message = bed.until_reason("virtualnodes", "blocked", "b", "DeletionBlocked").await?;
    ensure!(message.contains("by-hand.local"), "the endpoint's own words: {message}");
    bed.aws.call("delete-virtual-service", &service).await?;
    bed.until_gone("virtualnodes", "blocked", "b").await
}

pub async fn a_resource_that_lets_go_leaves_its_object(bed: &Bed) -> Result<()> {
    bed.apply("Mesh", "", "kept", json!({"deletionPolicy": "Retain"})).await?;
    bed.apply("Mesh", "", "orphan", json!({})).await?;
    bed.until_ready("meshes", "", "kept").await?;
    bed.until_ready("meshes", "", "orphan").await?;
    bed.stack.kubectl.run(&["annotate", "meshes", "orphan", "fleetmesh.dev/orphan=true"]).await?;
    for mesh in ["kept", "orphan"] {
        bed.delete("meshes", "", mesh).await?;
        bed.until_gone("meshes", "", mesh).await?;
        let found = bed.aws.call("describe-mesh", &json!({"meshName": mesh})).await?;
        ensure!(found["mesh"]["metadata"]["version"] == 1, "{found}");
    }
    let found = bed.aws.call("describe-mesh", &json!({"meshName": "kept"})).await?;
    let arn = found["mesh"]["metadata"]["arn"].clone();
    let tags = bed.aws.call("list-tags-for-resource", &json!({"resourceArn": arn})).await?;
    ensure!(tags["tags"] == json!([]), "a retained object is nobody's: {tags}");
    Ok(())
}
