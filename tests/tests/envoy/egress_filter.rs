//! The mesh's egress filter: what is no backend passes, or does not.

use fleetmesh_testbed::app::{self, Protocol, Server};
use fleetmesh_testbed::{userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{caller, empty_mesh, http2_route, mesh, route, routed, router_on, server, targets};

/// Not in the mesh, on a port that no backend has, for HTTP and for TCP; and on the port of a backend.
const OUTSIDE: [(Protocol, &str); 3] = [
    (Protocol::Http, "http://other.apps.local:9999/"),
    (Protocol::Tcp, "tcp://other.apps.local:9998"),
    (Protocol::Http2, "http://other.apps.local/"),
];

fn filter(kind: &str) -> Value {
    json!({ "egressFilter": { "type": kind } })
}

/// Who answers from outside the mesh; `None` when nobody can be reached.
async fn outside(client: &MeshMember, protocol: Protocol, url: &str) -> Option<String> {
    let answer = app::get(&client.instance, protocol, url, &[]).await.ok()?;
    answer.outcome().ok()
}

/// Awaits that all (or none) of [`OUTSIDE`] answer.
async fn outside_answers(client: &MeshMember, wanted: bool) {
    for (protocol, url) in OUTSIDE {
        wait::until(&format!("{url} is reachable: {wanted}"), LIMIT, async || {
            let answer = outside(client, protocol, url).await;
            let as_wanted = answer.as_deref() == wanted.then_some("other");
            anyhow::ensure!(as_wanted, "{answer:?} answers");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }
    let inside = client.get(Protocol::Http2, "http://shop.apps.local/").await;
    assert_eq!(inside.outcome(), Ok("red".to_owned()), "a backend is reachable all the same");
}

#[tokio::test]
async fn the_egress_filter_decides_about_everything_else() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, other]) = Bed::start("egress", ["client", "red", "other"]).await;
    bed.names(&[&client, &red, &other], &["shop.apps.local"]).await;
    bed.create(&[
        empty_mesh(),
        server("red", &[("http2", 8001)]),
        router_on("shop", &[("http2", 80)]),
        (route("shop", "all"), http2_route(&targets(&[("red", 8001, 1)]))),
        routed("shop.apps.local", "shop"),
        caller("client", &["shop.apps.local"]),
    ])
    .await;
    // An instance that is no member of the mesh.
    let mut servers = Vec::new();
    for (protocol, port) in [(Protocol::Http, 9999), (Protocol::Tcp, 9998), (Protocol::Http2, 80)] {
        servers.push(Server::start("other", protocol, port, &other, &bed.run).await.unwrap());
    }
    let _red = bed.join(red, &[(Protocol::Http2, 8001)]).await;
    let client = bed.join(client, &[]).await;

    // App Mesh's default is to drop; both proxies have the mesh.
    outside_answers(&client, false).await;
    bed.update(&mesh(), &filter("ALLOW_ALL"), 2).await;
    outside_answers(&client, true).await;
    bed.update(&mesh(), &filter("DROP_ALL"), 2).await;
    outside_answers(&client, false).await;
}
