//! What provides a virtual service may change while it is called: nothing, a virtual node, a virtual router.

use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::userns;
use serde_json::json;

use crate::bed::{Bed, LIMIT};
use crate::spec::{caller, http2_route, mesh, route, routed, router_on, server, service, targets};

const URL: &str = "http://shop.apps.local:8001/";
/// Requests that show who answers.
const REQUESTS: u64 = 300;

#[tokio::test]
async fn a_service_moves_from_nothing_to_a_node_to_a_router() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, blue]) = Bed::start("providers", ["client", "red", "blue"]).await;
    bed.names(&[&client, &red, &blue], &["shop.apps.local", "other.apps.local"]).await;
    let ports = [("http2", 8001)];
    let shop = service("shop.apps.local");
    bed.create(&[
        // Everything passes that is no backend, so that a backend without provider must differ from it.
        (mesh(), json!({ "egressFilter": { "type": "ALLOW_ALL" } })),
        server("red", &ports),
        server("blue", &ports),
        (shop.clone(), json!({})),
        // Its port is that of the services that come.
        (
            service("other.apps.local"),
            json!({ "provider": { "virtualNode": { "virtualNodeName": "blue" } } }),
        ),
        caller("client", &["shop.apps.local", "other.apps.local"]),
    ])
    .await;
    let apps = [(Protocol::Http2, 8001)];
    let _red = bed.join(red, &apps).await;
    let _blue = bed.join(blue, &apps).await;
    let client = bed.join(client, &[]).await;
    assert_eq!(client.get(Protocol::Http2, URL).await.status, 404, "it routes nowhere yet");

    let node = json!({ "provider": { "virtualNode": { "virtualNodeName": "red" } } });
    bed.update(&shop, &node, 1).await;
    let options = LoadOptions { rate: 250, ..LoadOptions::new(URL) };
    let mut load = client.load(&bed, &options, "node").await;
    load.until("red serves", LIMIT, |tally| tally.phase("node").by("red") >= REQUESTS).await.unwrap();

    bed.create(&[
        router_on("shop", &ports),
        (route("shop", "all"), http2_route(&targets(&[("blue", 8001, 1)]))),
    ])
    .await;
    let (_, by_router) = routed("shop.apps.local", "shop");
    bed.update(&shop, &by_router, 1).await;
    load.phase("router").await.unwrap();
    load.until("blue serves", LIMIT, |tally| tally.phase("router").by("blue") >= REQUESTS).await.unwrap();
    let tally = load.finish().await.unwrap();
    assert_eq!(tally.failed(), 0, "{tally:#?}");
    let router = tally.phase("router");
    assert_eq!(router.by("blue"), router.answered(), "{router:?}");
}
