//! Tags: those of the spec and those of ownership are kept, those of others are left alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bed::ClusterBed;
use crate::space::{KubernetesSpace, node, version, with};

/// The tags that are not Fleetmesh's.
async fn others(space: &KubernetesSpace, described: &Value) -> BTreeMap<String, String> {
    let mut tags = space.tags(described).await;
    tags.retain(|key, _| !key.starts_with("fleetmesh.dev/"));
    tags
}

fn pairs<const N: usize>(tags: [(&str, &str); N]) -> BTreeMap<String, String> {
    tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

#[tokio::test]
async fn tags_follow_the_spec_and_leave_others_alone() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("tags").await;
    let tagged =
        |tags: Value| space.object("VirtualNode", "tagged", with(node("a.local"), json!({ "tags": tags })));
    space.apply(&[space.mesh(), tagged(json!({ "team": "one", "cost": "7" }))]).await;
    space.ready(&["virtualnode/tagged"]).await;
    let described = space.describe("virtual-node", "tagged").await;
    assert_eq!(others(&space, &described).await, pairs([("cost", "7"), ("team", "one")]));
    let owned = space.tags(&described).await;
    let resource = space.get("virtualnode/tagged").await;
    assert_eq!(owned["fleetmesh.dev/owner-kind"], "VirtualNode");
    assert_eq!(resource["metadata"]["uid"], owned["fleetmesh.dev/owner-uid"].as_str());
    let cluster = bed.stack.kubectl.json(&["get", "namespace", "kube-system"]).await.unwrap();
    assert_eq!(cluster["metadata"]["uid"], owned["fleetmesh.dev/owner-cluster"].as_str());

    let arn = described["metadata"]["arn"].as_str().unwrap();
    let tag = json!({ "resourceArn": arn, "tags": [{ "key": "theirs", "value": "stays" }] });
    space.aws.call("tag-resource", &tag).await.unwrap();
    space.apply(&[tagged(json!({ "team": "two", "stage": "test" }))]).await;
    space
        .run(&[
            "wait",
            "virtualnode/tagged",
            "--for=jsonpath={.status.observedGeneration}=2",
            "--timeout=60s",
        ])
        .await;
    space.ready(&["virtualnode/tagged"]).await;
    let after = space.describe("virtual-node", "tagged").await;
    let wanted = pairs([("stage", "test"), ("team", "two"), ("theirs", "stays")]);
    assert_eq!(others(&space, &after).await, wanted);
    assert_eq!(version(&after), version(&described), "tags are no change of the object");
}
