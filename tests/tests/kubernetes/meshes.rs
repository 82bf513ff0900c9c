//! No mesh without a Mesh resource: nothing is written until there is one, and a mesh that is made elsewhere is only looked at.

use serde_json::{Value, json};

use crate::bed::ClusterBed;
use crate::space::{node, version, with};

#[tokio::test]
async fn nothing_is_written_into_a_mesh_that_no_resource_stands_for() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("undeclared").await;
    let tags = json!([{ "key": "team", "value": "elsewhere" }]);
    space.aws.call("create-mesh", &json!({ "meshName": "undeclared", "tags": tags })).await.unwrap();
    let theirs =
        json!({ "meshName": "undeclared", "virtualNodeName": "theirs", "spec": node("theirs.local") });
    space.aws.call("create-virtual-node", &theirs).await.unwrap();
    let (mesh, made) = (space.describe("mesh", "").await, space.describe("virtual-node", "theirs").await);

    // Adopt takes over what is there, but not in a mesh that nobody here declared.
    let adopts = json!({ "spec": { "adoptionPolicy": "Adopt" } });
    let taker = with(space.object("VirtualNode", "theirs", node("mine.local")), adopts);
    space.apply(&[taker, space.object("VirtualNode", "new", node("new.local"))]).await;
    for object in ["virtualnode/theirs", "virtualnode/new"] {
        let message = space.message(object, "Accepted", "MeshNotFound").await;
        assert!(message.contains("mesh undeclared") && message.contains("management: Observe"), "{message}");
    }
    assert_eq!(space.describe("virtual-node", "theirs").await, made);
    assert_eq!(space.tags(&made).await.len(), 0);
    let refusal = space.try_describe("virtual-node", "new").await.expect_err("nothing is written");
    assert!(refusal.contains("NotFoundException"), "{refusal}");

    // Declared as somebody else's, it takes what is written into it, and is left as it is.
    let observed = space.object("Mesh", "undeclared", json!({ "management": "Observe" }));
    space.apply(std::slice::from_ref(&observed)).await;
    space.ready(&["mesh/undeclared", "virtualnode/new", "virtualnode/theirs"]).await;
    let shown = space.get("mesh/undeclared").await;
    assert_eq!(shown["status"]["arn"], mesh["metadata"]["arn"]);
    assert_eq!(shown["metadata"]["finalizers"], Value::Null);
    assert_eq!(version(&space.describe("virtual-node", "theirs").await), version(&made) + 1);

    space.run(&["delete", "virtualnode", "--all", "--timeout=60s"]).await;
    space.run(&["delete", "mesh/undeclared", "--timeout=60s"]).await;
    assert_eq!(space.describe("mesh", "").await, mesh, "never written to");
    assert_eq!(space.tags(&mesh).await, [("team".to_owned(), "elsewhere".to_owned())].into());
}

#[tokio::test]
async fn an_observed_mesh_that_is_not_there_is_waited_for_and_not_made() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("elsewhere").await;
    let observed = space.object("Mesh", "elsewhere", json!({ "management": "Observe" }));
    space.apply(&[observed, space.object("VirtualNode", "early", node("early.local"))]).await;
    let message = space.message("mesh/elsewhere", "ResolvedRefs", "RefNotFound").await;
    assert!(message.contains("made elsewhere") && message.contains("Manage"), "{message}");
    space.until("virtualnode/early", "ResolvedRefs", "False", "WaitingForReference").await;
    let refusal = space.try_describe("mesh", "").await.expect_err("not made");
    assert!(refusal.contains("NotFoundException"), "{refusal}");
    space.aws.call("create-mesh", &json!({ "meshName": "elsewhere" })).await.unwrap();
    space.ready(&["mesh/elsewhere", "virtualnode/early"]).await;
}

#[tokio::test]
async fn a_namespace_that_the_mesh_refuses_holds_no_name() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("squatted").await;
    let squatter = space.guest("squatters").await;
    let allowed = json!({ "from": "Selector", "selector": { "matchLabels": { "kubernetes.io/metadata.name": "squatted" } } });
    space
        .run(&["label", "namespace", "squatted", "kubernetes.io/metadata.name=squatted", "--overwrite"])
        .await;
    let mesh = space.object("Mesh", "squatted", json!({ "allowedNamespaces": allowed }));
    // It is there first, and older.
    squatter.apply(&[mesh, squatter.object("VirtualNode", "pay", node("trap.local"))]).await;
    squatter.until("virtualnode/pay", "Accepted", "False", "NamespaceNotAllowed").await;
    space.apply(&[space.object("VirtualNode", "pay", node("pay.local"))]).await;
    space.ready(&["virtualnode/pay"]).await;
    let made = space.describe("virtual-node", "pay").await;

    // Let in, it is older and still too late: what is in force keeps its name.
    space.apply(&[space.mesh()]).await;
    space
        .run(&["patch", "mesh/squatted", "--type=merge", "-p", r#"{"spec":{"allowedNamespaces":null}}"#])
        .await;
    let message = squatter.message("virtualnode/pay", "Accepted", "NameConflict").await;
    assert!(message.contains("VirtualNode squatted/pay"), "{message}");
    assert_eq!(space.describe("virtual-node", "pay").await, made);
}
