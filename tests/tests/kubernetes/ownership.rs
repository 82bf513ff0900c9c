//! An App Mesh object belongs to one resource: nobody else's is touched, and of two that claim one name one has it.

use fleetmesh_testbed::wait;
use serde_json::{Value, json};

use crate::bed::{ClusterBed, LIMIT};
use crate::space::{KubernetesSpace, node, version, with};

/// A virtual node made by the CLI in the space's mesh, with a tag; gives what describe shows.
async fn made_by_the_cli(space: &KubernetesSpace, name: &str) -> Value {
    let input = json!({
        "meshName": space.name, "virtualNodeName": name, "spec": node("cli.apps.local"),
        "tags": [{ "key": "team", "value": "cli" }],
    });
    space.aws.call("create-virtual-node", &input).await.unwrap();
    space.describe("virtual-node", name).await
}

#[tokio::test]
async fn what_the_cli_made_first_is_not_touched_until_adopted() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("adoption").await;
    space.apply(&[space.mesh()]).await;
    space.ready(&["mesh/adoption"]).await;
    let made = made_by_the_cli(&space, "theirs").await;

    let resource = space.object("VirtualNode", "theirs", node("kubectl.apps.local"));
    space.apply(std::slice::from_ref(&resource)).await;
    let message = space.message("virtualnode/theirs", "Accepted", "NotOwned").await;
    for words in
        ["virtual node theirs of mesh adoption", "spec.adoptionPolicy to Adopt", "spec.virtualNodeName"]
    {
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(space.events("theirs", "NotOwned").await, [message]);
    assert_eq!(
        space.get("virtualnode/theirs").await["status"]["uid"],
        Value::Null,
        "it is not reported as ours"
    );

    // To delete the resource is not to delete what was never its.
    space.run(&["delete", "virtualnode/theirs", "--timeout=60s"]).await;
    assert_eq!(space.describe("virtual-node", "theirs").await, made);
    assert_eq!(space.tags(&made).await, [("team".to_owned(), "cli".to_owned())].into());

    space.apply(std::slice::from_ref(&resource)).await;
    space.until("virtualnode/theirs", "Accepted", "False", "NotOwned").await;
    let adopts = json!({ "spec": { "adoptionPolicy": "Adopt" } });
    space.apply(&[with(resource, adopts)]).await;
    space.ready(&["virtualnode/theirs"]).await;
    let adopted = space.describe("virtual-node", "theirs").await;
    assert_eq!(adopted["metadata"]["uid"], made["metadata"]["uid"], "it is the same object");
    assert_eq!(version(&adopted), version(&made) + 1, "one write");
    assert_eq!(adopted["spec"]["serviceDiscovery"]["dns"]["hostname"], "kubectl.apps.local");
    let tags = space.tags(&adopted).await;
    assert_eq!(tags["team"], "cli", "a tag of others stays");
    assert_eq!(tags["fleetmesh.dev/owner-name"], "theirs");
    assert_eq!(tags["fleetmesh.dev/owner-namespace"], "adoption");
    assert_eq!(space.events("theirs", "Adopted").await.len(), 1);

    // Now it is the resource's, and goes with it.
    space.run(&["delete", "virtualnode/theirs", "--timeout=60s"]).await;
    let refusal = space.try_describe("virtual-node", "theirs").await.expect_err("deleted");
    assert!(refusal.contains("NotFoundException"), "{refusal}");
}

#[tokio::test]
async fn of_two_that_claim_a_name_the_older_has_it() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("claims").await;
    let claim = |resource: &str, hostname: &str| {
        space.object("VirtualNode", resource, with(node(hostname), json!({ "virtualNodeName": "shared" })))
    };
    // The names sort the other way around: age decides, not the alphabet.
    space.apply(&[space.mesh(), claim("z-older", "older.apps.local")]).await;
    space.ready(&["virtualnode/z-older"]).await;
    let older = space.get("virtualnode/z-older").await;
    let created = older["metadata"]["creationTimestamp"].clone();
    // Kubernetes knows the age in whole seconds.
    wait::until("the API server's clock has moved on", LIMIT, async || {
        let probe = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "clock", "namespace": "claims" } });
        space.apply(&[probe]).await;
        let clock = ["get", "configmap/clock", "--namespace", &space.name];
        let later = space.kubectl.json(&clock).await?["metadata"]["creationTimestamp"] != created;
        space.run(&["delete", "configmap/clock"]).await;
        Ok(later.then_some(()))
    })
    .await
    .unwrap();

    space.apply(&[claim("a-younger", "younger.apps.local")]).await;
    let message = space.message("virtualnode/a-younger", "Accepted", "NameConflict").await;
    assert!(message.contains("claims/z-older") && message.contains("spec.virtualNodeName"), "{message}");
    let table = space.run(&["get", "virtualnodes"]).await;
    let row = table.lines().find(|line| line.starts_with("a-younger")).unwrap();
    assert!(row.contains("False") && row.contains("NameConflict"), "{table}");
    let described = space.describe("virtual-node", "shared").await;
    assert_eq!(described["spec"]["serviceDiscovery"]["dns"]["hostname"], "older.apps.local");
    assert_eq!(version(&described), 1, "the younger wrote nothing");

    space.run(&["delete", "virtualnode/z-older", "--timeout=60s"]).await;
    space.ready(&["virtualnode/a-younger"]).await;
    let described = space.describe("virtual-node", "shared").await;
    assert_eq!(described["spec"]["serviceDiscovery"]["dns"]["hostname"], "younger.apps.local");
    assert_eq!(space.tags(&described).await["fleetmesh.dev/owner-name"], "a-younger");

    // A younger claim that goes takes nothing with it.
    space.apply(&[claim("b-youngest", "youngest.apps.local")]).await;
    space.until("virtualnode/b-youngest", "Accepted", "False", "NameConflict").await;
    space.run(&["delete", "virtualnode/b-youngest", "--timeout=60s"]).await;
    assert_eq!(space.describe("virtual-node", "shared").await, described);
}
