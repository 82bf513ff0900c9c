//! Deletion: who holds it up is named, it goes on when they let go, and what must stay stays.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bed::{ClusterBed, LIMIT, TIMEOUT};
use crate::space::{node, route, router, service, version, with};

/// A deletion goes on because it was triggered, before the drift interval of 45 s, less a fifth at most, is over.
const TRIGGERED: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_blocked_deletion_names_its_blockers_and_is_triggered_when_they_go() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("blocked").await;
    space
        .apply(&[
            space.mesh(),
            space.object("VirtualNode", "red", node("red.local")),
            space.object("VirtualNode", "blue", node("blue.local")),
            space.object("VirtualRouter", "shop", router()),
            space.object("Route", "shop", with(route(&[("red", 1)]), json!({ "virtualRouterName": "shop" }))),
            space.object("VirtualService", "shop.local", service("shop")),
        ])
        .await;
    let nodes = ["mesh/blocked", "virtualnode/red", "virtualnode/blue"];
    space
        .ready(&[&nodes[..], &["virtualrouter/shop", "route/shop", "virtualservice/shop.local"]].concat())
        .await;

    let doomed = ["virtualnode/red", "virtualrouter/shop", "mesh/blocked"];
    space.run(&[&["delete", "--wait=false"], &doomed[..]].concat()).await;
    for (object, blocker) in
        doomed.into_iter().zip(["Route blocked/shop", "VirtualService blocked/shop.local", "blocked/blue"])
    {
        let message = space.message(object, "Ready", "DeletionBlocked").await;
        assert!(message.contains(blocker), "{object}: {message}");
    }
    for (kind, name) in [("virtual-node", "red"), ("virtual-router", "shop"), ("mesh", "blocked")] {
        assert_eq!(version(&space.describe(kind, name).await), 1, "{kind} {name} is still there");
    }

    // Who is in the mesh, or comes into it, is informed.
    space.apply(&[space.object("VirtualNode", "late", node("late.local"))]).await;
    for member in ["virtualnode/blue", "virtualnode/late"] {
        fleetmesh_testbed::wait::until("it sees that its mesh is leaving", LIMIT, async || {
            let accepted = space.condition(member, "Accepted").await?;
            let said = accepted["message"]
                .as_str()
                .is_some_and(|said| said.contains("mesh blocked is being deleted"));
            anyhow::ensure!(said && accepted["status"] == "True", "{accepted}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    // A route that points elsewhere lets go of its old target; it need not be deleted.
    let start = Instant::now();
    space
        .apply(&[space.object(
            "Route",
            "shop",
            with(route(&[("blue", 1)]), json!({ "virtualRouterName": "shop" })),
        )])
        .await;
    space.run(&["wait", "--for=delete", "virtualnode/red", TIMEOUT]).await;
    assert!(start.elapsed() < TRIGGERED, "{:?}", start.elapsed());
    assert!(space.exists("virtualrouter/shop").await, "which others still hold");

    let start = Instant::now();
    space
        .run(&[
            "delete",
            TIMEOUT,
            "route/shop",
            "virtualservice/shop.local",
            "virtualnode/blue",
            "virtualnode/late",
        ])
        .await;
    space.run(&["wait", "--for=delete", TIMEOUT, "virtualrouter/shop", "mesh/blocked"]).await;
    assert!(start.elapsed() < TRIGGERED, "{:?}", start.elapsed());
    let refusal = space.try_describe("mesh", "blocked").await.expect_err("deleted");
    assert!(refusal.contains("NotFoundException"), "{refusal}");
}

#[tokio::test]
async fn a_deletion_held_up_by_what_the_cli_made_goes_on_when_that_goes() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("foreign").await;
    space.apply(&[space.mesh(), space.object("VirtualRouter", "shop", router())]).await;
    space.ready(&["virtualrouter/shop"]).await;
    let theirs = json!({ "meshName": "foreign", "virtualNodeName": "theirs", "spec": node("theirs.local") });
    space.aws.call("create-virtual-node", &theirs).await.unwrap();
    let theirs = json!({ "meshName": "foreign", "virtualRouterName": "shop", "routeName": "shop",
        "spec": route(&[("theirs", 1)]) });
    space.aws.call("create-route", &theirs).await.unwrap();

    space.run(&["delete", "--wait=false", "virtualrouter/shop"]).await;
    let message = space.message("virtualrouter/shop", "Ready", "DeletionBlocked").await;
    assert!(message.contains("the endpoint says"), "{message}");
    assert_eq!(version(&space.describe("route", "shop").await), 1);
    let delete =
        ["delete-route", "--mesh-name", "foreign", "--virtual-router-name", "shop", "--route-name", "shop"];
    space.aws.run(&delete).await.unwrap();
    let start = Instant::now();
    space.run(&["wait", "--for=delete", "virtualrouter/shop", TIMEOUT]).await;
    assert!(start.elapsed() < TRIGGERED, "{:?}", start.elapsed());
    let refusal = space.try_describe("virtual-router", "shop").await.expect_err("deleted");
    assert!(refusal.contains("NotFoundException"), "{refusal}");
    assert_eq!(version(&space.describe("virtual-node", "theirs").await), 1, "what is not ours stays");
}

#[tokio::test]
async fn retained_and_orphaned_objects_stay() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("retained").await;
    let policy = json!({ "deletionPolicy": "Retain", "tags": { "team": "one" } });
    let mut orphan = space.object("VirtualNode", "orphaned", node("b.local"));
    orphan["metadata"]["annotations"] = json!({ "fleetmesh.dev/orphan": "true" });
    let retained = space.object("VirtualNode", "retained", with(node("a.local"), policy));
    space.apply(&[space.mesh(), retained, orphan]).await;
    space.ready(&["virtualnode", "--all"]).await;
    let before = space.describe("virtual-node", "retained").await;
    assert!(space.tags(&before).await.contains_key("fleetmesh.dev/owner-uid"));

    space.run(&["delete", TIMEOUT, "virtualnode/retained", "virtualnode/orphaned"]).await;
    let after = space.describe("virtual-node", "retained").await;
    assert_eq!(after, before, "it stays as it is");
    let tags = space.tags(&after).await;
    let left = [("fleetmesh.dev/owner-namespace", "retained"), ("team", "one")];
    let left = left.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(tags, left.into(), "without the tags of ownership but for that of the namespace");
    assert_eq!(version(&space.describe("virtual-node", "orphaned").await), 1);

    // Nobody owns it: a resource of the same name must ask to have it.
    space.apply(&[space.object("VirtualNode", "retained", node("a.local"))]).await;
    space.until("virtualnode/retained", "Accepted", "False", "NotOwned").await;
    space.run(&["delete", TIMEOUT, "virtualnode/retained"]).await;

    // An endpoint that is still used lets the Mesh wait; the annotation lets it go.
    space.run(&["delete", "--wait=false", "mesh/retained"]).await;
    space.message("mesh/retained", "Ready", "DeletionBlocked").await;
    space.run(&["annotate", "mesh/retained", "fleetmesh.dev/orphan=true"]).await;
    space.run(&["wait", "--for=delete", "mesh/retained", TIMEOUT]).await;
    assert_eq!(version(&space.describe("mesh", "retained").await), 1);
}
