//! A tenant's spec that Envoy refuses: the other services of its port get their changes all the same, also when Envoy starts
//! anew, the spec itself stays in force as it last was, and nobody but its route is blamed.

use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::Protocol;
use fleetmesh_testbed::{userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{
    caller, empty_mesh, http2_route, node, route, routed, router_on, server, service, targets,
};

/// A regular expression that Envoy refuses unless its bootstrap allows for larger ones.
const TOO_LARGE: &str = "/[a-z]{120}";

fn too_large(target: &str) -> Value {
    let action = targets(&[(target, 8001, 1)]);
    json!({ "http2Route": { "match": { "path": { "regex": TOO_LARGE } }, "action": action } })
}

/// Awaits that a proxy refuses `id` for what it says.
async fn refused(bed: &Bed, id: &ResourceId) {
    wait::until(&format!("a proxy refuses {id}"), LIMIT, async || {
        let status = bed.status(id).await.unwrap_or_default();
        let words = status["rejected"][0]["message"].as_str().unwrap_or_default();
        anyhow::ensure!(words.contains(TOO_LARGE) && status["acknowledged"] == 0, "{status}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// Awaits that requests to `service` are answered by `who`.
async fn answers(client: &MeshMember, service: &str, who: &str) {
    let url = format!("http://{service}/");
    wait::until(&format!("{who} answers for {service}"), LIMIT, async || {
        let outcome = client.get(Protocol::Http2, &url).await.outcome();
        anyhow::ensure!(outcome == Ok(who.to_owned()), "{outcome:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_route_that_envoy_refuses_takes_down_no_neighbour() {
    isolation(false).await;
}

#[tokio::test]
async fn a_route_that_envoy_refuses_takes_down_no_neighbour_in_the_state_of_the_world() {
    isolation(true).await;
}

async fn isolation(state_of_the_world: bool) {
    if !userns::wanted() {
        return;
    }
    const SHOP: &str = "shop.apps.local";
    const CART: &str = "cart.apps.local";
    let (mut bed, [client, red, blue]) = Bed::start("isolation", ["client", "red", "blue"]).await;
    bed.state_of_the_world = state_of_the_world;
    bed.names(&[&client, &red, &blue], &[SHOP, CART]).await;
    let ports = [("http2", 8001)];
    let to = |target: &str| http2_route(&targets(&[(target, 8001, 1)]));
    let (shop, cart) = (route("shop", "all"), route("cart", "all"));
    bed.create(&[
        empty_mesh(),
        server("red", &ports),
        server("blue", &ports),
        router_on("shop", &[("http2", 80)]),
        router_on("cart", &[("http2", 80)]),
        (shop.clone(), to("red")),
        (cart.clone(), to("blue")),
        routed(SHOP, "shop"),
        routed(CART, "cart"),
        caller("client", &[SHOP, CART]),
    ])
    .await;
    let apps = [(Protocol::Http2, 8001)];
    let _red = bed.join(red, &apps).await;
    let _blue = bed.join(blue, &apps).await;
    let mut client = bed.join_with_small_regexes(client, &[]).await;
    answers(&client, SHOP, "red").await;
    answers(&client, CART, "blue").await;
    bed.runs_on(&shop, 1).await;

    bed.api.update(&shop, &too_large("blue")).await.unwrap();
    refused(&bed, &shop).await;
    // The neighbour on the same port changes on.
    bed.update(&cart, &to("red"), 1).await;
    answers(&client, CART, "red").await;
    answers(&client, SHOP, "red").await;
    for id in [cart.clone(), service(CART), service(SHOP), node("client"), node("red")] {
        let status = bed.status(&id).await.unwrap();
        assert_eq!(
            (&status["rejected"], &status["acknowledged"]),
            (&json!([]), &status["proxies"]),
            "{status}"
        );
    }

    // An Envoy that starts anew has nothing to keep: it gets the neighbour's newest route and the other's last, which a control
    // plane that starts anew has stored.
    bed.control_plane.kill();
    bed.control_plane.restart(&bed.run).await.unwrap();
    client.envoy.restart(&client.instance, &bed.run).unwrap();
    client.envoy.ready(&client.instance, LIMIT).await.unwrap();
    for (service, who) in [(CART, "red"), (SHOP, "red")] {
        let outcome = client.get(Protocol::Http2, &format!("http://{service}/")).await.outcome();
        assert_eq!(outcome, Ok(who.to_owned()), "{service}");
    }
    refused(&bed, &shop).await;
    bed.runs_on(&cart, 1).await;

    // The next change of it is tried.
    bed.update(&shop, &to("blue"), 1).await;
    answers(&client, SHOP, "blue").await;
    assert_eq!(bed.status(&shop).await.unwrap()["rejected"], json!([]));
}
