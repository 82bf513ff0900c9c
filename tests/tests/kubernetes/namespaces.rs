//! A mesh says which namespaces may put resources into it.

use serde_json::json;

use crate::bed::ClusterBed;
use crate::space::{node, with};

#[tokio::test]
async fn a_mesh_refuses_namespaces_until_it_allows_them() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("allowed").await;
    let mesh = |labels: &str| {
        let allowed = json!({ "from": "Selector", "selector": { "matchLabels": { "team": labels } } });
        space.object("Mesh", "allowed", json!({ "allowedNamespaces": allowed }))
    };
    space.apply(&[mesh("blue"), space.object("VirtualNode", "guest", node("a.local"))]).await;
    let message = space.message("virtualnode/guest", "Accepted", "NamespaceNotAllowed").await;
    for words in ["Mesh allowed", "namespace allowed", "spec.allowedNamespaces"] {
        assert!(message.contains(words), "{message}");
    }
    let refusal = space.try_describe("virtual-node", "guest").await.expect_err("refused");
    assert!(refusal.contains("NotFoundException"), "{refusal}");

    // Both ways out that the message names: the namespace's labels, and the mesh's selector.
    space.run(&["label", "namespace", "allowed", "team=blue"]).await;
    space.ready(&["virtualnode/guest"]).await;
    let made = space.describe("virtual-node", "guest").await;
    space.apply(&[mesh("green")]).await;
    space.until("virtualnode/guest", "Accepted", "False", "NamespaceNotAllowed").await;
    assert_eq!(
        space.describe("virtual-node", "guest").await,
        made,
        "what was refused later is left as it is"
    );
    space
        .apply(&[with(
            mesh("green"),
            json!({ "spec": { "allowedNamespaces": { "from": "All", "selector": null } } }),
        )])
        .await;
    space.ready(&["virtualnode/guest"]).await;
}
