//! Whose an App Mesh object is, who keeps a name, and whom a mesh lets in.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::bed::{Bed, node};

pub async fn what_others_made_is_not_touched_until_adopted(bed: &Bed) -> Result<()> {
    let mut made = json!({"meshName": "foreign", "spec": {"egressFilter": {"type": "ALLOW_ALL"}}});
    made["tags"] = json!([{"key": "team", "value": "theirs"}]);
    bed.aws.call("create-mesh", &made).await?;
    bed.apply("Mesh", "", "foreign", json!({})).await?;
    let message = bed.until_reason("meshes", "", "foreign", "NotOwned").await?;
    ensure!(message.contains("spec.adoptionPolicy"), "the way out is told: {message}");
    let found = describe(bed, "foreign").await?;
    ensure!(
        found["spec"]["egressFilter"]["type"] == "ALLOW_ALL" && found["metadata"]["version"] == 1,
        "{found}"
    );

    bed.apply("Mesh", "", "foreign", json!({"adoptionPolicy": "Adopt"})).await?;
    bed.until_ready("meshes", "", "foreign").await?;
    let found = describe(bed, "foreign").await?;
    ensure!(found["spec"].get("egressFilter").is_none_or(|filter| filter["type"] == "DROP_ALL"), "{found}");
    let arn = found["metadata"]["arn"].as_str().unwrap_or_default().to_owned();
    let tags = bed.aws.call("list-tags-for-resource", &json!({"resourceArn": arn})).await?;
    let tags = tags["tags"].to_string();
    ensure!(tags.contains("fleetmesh.dev/owner-uid") && tags.contains("theirs"), "{tags}");
    bed.until_event("default", "foreign", "Adopted").await?;
    Ok(())
}

pub async fn the_older_of_two_resources_keeps_the_name(bed: &Bed) -> Result<()> {
    bed.namespace("rivals").await?;
    bed.apply("Mesh", "", "rivals", json!({})).await?;
    let named = |hostname: &str| {
        let mut spec = node("rivals", hostname);
        spec["virtualNodeName"] = json!("wanted");
        spec
    };
    bed.apply("VirtualNode", "rivals", "older", named("older.local")).await?;
    bed.until_ready("virtualnodes", "rivals", "older").await?;
    // Creation times have whole seconds; the older must be older by one.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    bed.apply("VirtualNode", "rivals", "younger", named("younger.local")).await?;
    let message = bed.until_reason("virtualnodes", "rivals", "younger", "NameConflict").await?;
    ensure!(message.contains("VirtualNode rivals/older"), "it says who has it: {message}");

    bed.delete("virtualnodes", "rivals", "older").await?;
    bed.until_gone("virtualnodes", "rivals", "older").await?;
    bed.until_ready("virtualnodes", "rivals", "younger").await?;
    let input = json!({"meshName": "rivals", "virtualNodeName": "wanted"});
    let found = bed.aws.call("describe-virtual-node", &input).await?;
    let hostname = &found["virtualNode"]["spec"]["serviceDiscovery"]["dns"]["hostname"];
    ensure!(hostname == "younger.local", "{found}");
    Ok(())
}

pub async fn a_mesh_allows_the_namespaces_that_it_says(bed: &Bed) -> Result<()> {
    bed.namespace("inside").await?;
    bed.namespace("outside").await?;
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"mesh": "closed"}}});
    bed.apply("Mesh", "", "closed", json!({"allowedNamespaces": selector})).await?;
    bed.stack.kubectl.run(&["label", "namespace", "inside", "mesh=closed"]).await?;
    bed.apply("VirtualNode", "inside", "a", node("closed", "a.local")).await?;
    bed.apply("VirtualNode", "outside", "b", node("closed", "b.local")).await?;
    bed.until_ready("virtualnodes", "inside", "a").await?;
    let message = bed.until_reason("virtualnodes", "outside", "b", "NamespaceNotAllowed").await?;
    ensure!(message.contains("Mesh closed") && message.contains("outside"), "{message}");
    // A label is enough; nobody has to touch the resource.
    bed.stack.kubectl.run(&["label", "namespace", "outside", "mesh=closed"]).await?;
    bed.until_ready("virtualnodes", "outside", "b").await
}

async fn describe(bed: &Bed, mesh: &str) -> Result<Value> {
    let mut found = bed.aws.call("describe-mesh", &json!({"meshName": mesh})).await?;
    Ok(found["mesh"].take())
}
