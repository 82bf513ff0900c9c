//! The mesh's egress filter: what is no backend passes, or does not.

use fleetmesh_testbed::app::{self, Protocol, Server};
use fleetmesh_testbed::{userns, wait};
use serde_json::{Value, json};

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{caller, empty_mesh, http2_route, mesh, node, route, routed, router_on, server, targets};

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

/// Who answers a TCP connection to `url` that begins with this.
async fn answers(client: &MeshMember, url: &str, opening: [&str; 2]) -> Option<String> {
    let answer = app::get(&client.instance, Protocol::Tcp, url, &opening).await.ok()?;
    answer.outcome().ok()
}

/// Awaits that each connection, `(where to, what it begins with)`, is answered by whoever is last.
async fn answered(client: &MeshMember, expected: &[(&str, [&str; 2], Option<&str>)]) {
    for (url, opening, who) in expected {
        wait::until(&format!("{url} {opening:?} reaches {who:?}"), LIMIT, async || {
            let answer = answers(client, url, *opening).await;
            anyhow::ensure!(answer.as_deref() == *who, "{answer:?} answers");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }
}

const OTHER: &str = "tcp://other.apps.local:443";
const SERVICE: &str = "tcp://db.apps.local:443";

#[tokio::test]
async fn a_tcp_backend_on_443_leaves_others_tls_alone() {
    if !userns::wanted() {
        return;
    }
    let (mut bed, [client, red, other]) = Bed::start("egress-tls", ["client", "red", "other"]).await;
    bed.names(&[&client, &red, &other], &["db.apps.local"]).await;
    bed.create(&[
        empty_mesh(),
        server("red", &[("tcp", 443)]),
        router_on("db", &[("tcp", 443)]),
        (route("db", "all"), json!({ "tcpRoute": { "action": targets(&[("red", 443, 1)]) } })),
        routed("db.apps.local", "db"),
        caller("client", &["db.apps.local"]),
    ])
    .await;
    let _other = Server::start("other", Protocol::Tcp, 443, &other, &bed.run).await.unwrap();
    let _red = bed.join(red, &[(Protocol::Tcp, 443)]).await;
    let client = bed.join(client, &[]).await;

    // AWS's own endpoints pass in every partition; with DROP_ALL the rest of the port is the backend's.
    let own = |sni| [(SERVICE, ["--sni", sni], Some("red"))];
    let aws = ["sts.us-east-1.amazonaws.com", "ec2.eu-west-1.api.aws", "sts.cn-north-1.amazonaws.com.cn"];
    let aws = aws.map(|sni| (OTHER, ["--sni", sni], Some("other")));
    answered(&client, &aws).await;
    answered(&client, &own("db.apps.local")).await;
    answered(&client, &[(OTHER, ["--sni", "example.com"], Some("red"))]).await;

    bed.update(&mesh(), &filter("ALLOW_ALL"), 2).await;
    let example = (OTHER, ["--sni", "example.com"], Some("other"));
    answered(&client, &[example]).await;
    answered(&client, &aws).await;
    answered(&client, &own("db.apps.local")).await;
    answered(&client, &own("red.apps.local")).await;
    // What is no TLS has nothing but its port, and the status says so.
    answered(&client, &[(OTHER, ["--says", "hello"], Some("red"))]).await;
    let status = bed.status(&node("client")).await.unwrap();
    let note = status["notes"][0].as_str().unwrap();
    assert!(note.contains("\"db.apps.local\" takes every connection without TLS to port 443"), "{note}");
}
