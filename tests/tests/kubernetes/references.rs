//! References and spellings: a wrong name keeps the last good state, and another word for the same is no change.

use serde_json::{Value, json};

use crate::bed::{ClusterBed, TIMEOUT};
use crate::space::{node, route, router, version, with};

#[tokio::test]
async fn a_wrong_reference_keeps_the_last_good_state() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("references").await;
    let routed = |targets: &[(&str, u32)]| -> Value {
        space.object("Route", "shop", with(route(targets), json!({ "virtualRouterName": "shop" })))
    };
    space
        .apply(&[
            space.mesh(),
            space.object("VirtualNode", "red", node("red.local")),
            space.object("VirtualRouter", "shop", router()),
            routed(&[("red", 1)]),
        ])
        .await;
    space.ready(&["route/shop"]).await;
    let good = space.describe("route", "shop").await;
    space.apply(&[routed(&[("red", 1), ("nobody", 1)])]).await;
    let message = space.message("route/shop", "ResolvedRefs", "RefNotFound").await;
    assert!(message.contains("virtual node nobody of mesh references"), "{message}");
    assert_eq!(space.describe("route", "shop").await, good);

    // Anybody may make what is missing, also without Kubernetes.
    let made = json!({ "meshName": "references", "virtualNodeName": "nobody", "spec": node("nobody.local") });
    space.aws.call("create-virtual-node", &made).await.unwrap();
    space.ready(&["route/shop"]).await;
    assert_eq!(version(&space.describe("route", "shop").await), version(&good) + 1);
}

#[tokio::test]
async fn a_backend_that_does_not_exist_is_reported_and_holds_nothing_up() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("backends").await;
    let backends = json!({ "backends": [{ "virtualService": { "virtualServiceName": "shopp.local" } }] });
    let service = || space.object("VirtualService", "shopp.local", json!({}));
    space.apply(&[space.mesh(), space.object("VirtualNode", "red", with(node("red.local"), backends))]).await;
    for _ in 0..2 {
        let message = space.message("virtualnode/red", "ResolvedRefs", "WaitingForReference").await;
        let words = "virtual service shopp.local of mesh backends (spec.backends[0].virtualService.virtualServiceName)";
        assert!(message.contains(words), "{message}");
        space.ready(&["virtualnode/red"]).await;
        assert_eq!(version(&space.describe("virtual-node", "red").await), 1, "the endpoint has it");
        space.apply(&[service()]).await;
        space.until("virtualnode/red", "ResolvedRefs", "True", "ResolvedRefs").await;
        space.run(&["delete", "virtualservice", "shopp.local", TIMEOUT]).await;
    }
    space.message("virtualnode/red", "ResolvedRefs", "WaitingForReference").await;
}

#[tokio::test]
async fn what_was_rejected_is_tried_again_at_once_when_what_was_in_its_way_is_mended() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("rejected").await;
    let listening = |protocol: &str| {
        let mapping = json!({ "port": 8080, "protocol": protocol });
        space.object("VirtualRouter", "shop", json!({ "listeners": [{ "portMapping": mapping }] }))
    };
    let action = json!({ "weightedTargets": [{ "virtualNode": "red", "weight": 1 }] });
    let route = json!({ "virtualRouterName": "shop", "http2Route": { "match": { "prefix": "/" }, "action": action } });
    space
        .apply(&[
            space.mesh(),
            space.object("VirtualNode", "red", node("red.local")),
            listening("tcp"),
            space.object("Route", "shop", route),
        ])
        .await;
    let message = space.message("route/shop", "Accepted", "Rejected").await;
    assert!(message.contains("http2"), "{message}");
    space.apply(&[listening("http2")]).await;
    // Long before the drift interval of 45 s, less a fifth at most, is over.
    space.run(&["wait", "--for=condition=Ready", "--timeout=15s", "route/shop"]).await;
}

#[tokio::test]
async fn another_spelling_of_the_same_writes_nothing() {
    let bed = ClusterBed::shared().await;
    let space = bed.space("spelling").await;
    space.apply(&[space.mesh(), space.object("VirtualNode", "red", node("red.local"))]).await;
    space.ready(&["virtualnode/red"]).await;
    let before = space.describe("virtual-node", "red").await;
    space.apply(&[space.object("VirtualNode", "red", node("RED.local."))]).await;
    let observed = "--for=jsonpath={.status.observedGeneration}=2";
    space.run(&["wait", "virtualnode/red", observed, TIMEOUT]).await;
    space.ready(&["virtualnode/red"]).await;
    assert_eq!(space.describe("virtual-node", "red").await, before);
}
