//! WebSocket and other upgrades, over listeners of both versions of HTTP and by a gateway.

use fleetmesh_testbed::app::{self, Protocol};
use fleetmesh_testbed::netns::NetnsInstance;
use fleetmesh_testbed::userns;
use serde_json::{Value, json};

use crate::bed::Bed;
use crate::spec::{
    caller, empty_mesh, gateway, gateway_route, http2_route, listeners, route, routed, router_on, server,
    targets,
};

/// The status and who answers, when `from` asks for an upgrade; an echo came back where it was accepted.
async fn upgraded(from: &NetnsInstance, protocol: Protocol, url: &str, token: &str) -> (u16, String) {
    let answer = app::get(from, protocol, url, &["--upgrade", token])
        .await
        .unwrap_or_else(|error| panic!("{token} over {protocol:?} to {url}: {error:#}"));
    (answer.status, answer.responder)
}

fn http_route(action: &Value) -> Value {
    json!({ "httpRoute": { "match": { "prefix": "/" }, "action": action } })
}

#[tokio::test]
async fn connections_are_upgraded_over_every_listener() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, edge, red, outside]) =
        Bed::start("upgrades", ["client", "edge", "red", "outside"]).await;
    bed.names(&[&client, &edge, &red], &["shop.apps.local"]).await;
    let target = json!({ "port": 80, "virtualService": { "virtualServiceName": "shop.apps.local" } });
    bed.create(&[
        empty_mesh(),
        server("red", &[("http2", 8002), ("http", 8001)]),
        router_on("shop", &[("http2", 80), ("http", 81)]),
        (route("shop", "http2"), http2_route(&targets(&[("red", 8002, 1)]))),
        (route("shop", "http"), http_route(&targets(&[("red", 8001, 1)]))),
        routed("shop.apps.local", "shop"),
        caller("client", &["shop.apps.local"]),
        (gateway("edge"), json!({ "listeners": listeners(&[("http2", 8088)]) })),
        (
            gateway_route("edge", "all"),
            json!({ "http2Route": { "match": { "prefix": "/" }, "action": { "target": target } } }),
        ),
    ])
    .await;
    let _red = bed.join(red, &[(Protocol::Http2, 8002), (Protocol::Http, 8001)]).await;
    let client = bed.join(client, &[]).await;
    let edge = bed.join_gateway(edge).await;
    bed.runs_on(&route("shop", "http2"), 2).await;

    // The application has a listener of its own version behind each port, whatever the client speaks.
    for port in [80, 81] {
        let url = format!("http://shop.apps.local:{port}/chat");
        for (protocol, agreed) in [(Protocol::Http, 101), (Protocol::Http2, 200)] {
            for token in ["websocket", "spdy/3.1"] {
                let answer = upgraded(&client.instance, protocol, &url, token).await;
                assert_eq!(answer, (agreed, "red".to_owned()), "{token} over {protocol:?} to {port}");
            }
        }
        let (status, responder) = upgraded(&client.instance, Protocol::Http, &url, "gopher").await;
        assert_eq!((status, responder.as_str()), (403, ""), "what nobody knows is refused by the proxy");
        // Some clients offer TLS with every request; servers without it answer as if they had not.
        let offer = ["--header", "connection: upgrade", "--header", "upgrade: TLS/1.2"];
        let answer = client.send(Protocol::Http, &url, &offer).await;
        assert_eq!((answer.status, answer.responder.as_str()), (200, "red"), "{answer:?}");
    }
    let url = "http://edge.apps.local:8088/chat";
    for (protocol, agreed) in [(Protocol::Http, 101), (Protocol::Http2, 200)] {
        let answer = upgraded(&outside, protocol, url, "websocket").await;
        assert_eq!(answer, (agreed, "red".to_owned()), "by the gateway over {protocol:?}");
    }
    assert_eq!(edge.stat("listener_manager.lds.update_rejected").await, 0);
}
