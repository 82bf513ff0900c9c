//! Headers: how many and how much of them, their case, a host with a dot at its end; and what happens when the application closes a
//! connection that was kept.

use fleetmesh_model::ResourceId;
use fleetmesh_testbed::app::client::AppAnswer;
use fleetmesh_testbed::app::{LoadOptions, Protocol};
use fleetmesh_testbed::{userns, wait};
use fleetmesh_tests::app_mesh::message;
use serde_json::json;

use crate::bed::{Bed, LIMIT, MeshMember};
use crate::spec::{caller, empty_mesh, node, server, service};

const HOST: &str = "shop.apps.local";
const URL: &str = "http://shop.apps.local:80/";

/// `client` calls `red`, which listens on 80 in HTTP/1.1 word for word.
async fn start(name: &str) -> (Bed, MeshMember, MeshMember) {
    let (mut bed, [client, red]) = Bed::start(name, ["client", "red"]).await;
    bed.names(&[&client, &red], &[HOST]).await;
    let provider = json!({ "provider": { "virtualNode": { "virtualNodeName": "red" } } });
    bed.create(&[
        empty_mesh(),
        server("red", &[("http", 80)]),
        (service(HOST), provider),
        caller("client", &[HOST]),
    ])
    .await;
    let red = bed.join(red, &[(Protocol::Raw, 80)]).await;
    let client = bed.join(client, &[]).await;
    bed.runs_on(&node("red"), 2).await;
    (bed, client, red)
}

/// Sends a request with these headers, word for word.
async fn sends(client: &MeshMember, host: &str, headers: &str) -> AppAnswer {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    client.send(Protocol::Raw, URL, &["--says", &request]).await
}

fn kib(count: usize) -> String {
    format!("X-Long: {}\r\n", "x".repeat(count * 1024))
}

fn many(count: usize) -> String {
    (0..count).map(|index| format!("X-{index}: v\r\n")).collect()
}

async fn tag(bed: &Bed, id: &ResourceId, tags: &[(&str, &str)]) -> Result<(), String> {
    let arn = bed.status(id).await.unwrap()["arn"].as_str().unwrap().to_owned();
    let answer = bed.api.try_tag(&arn, tags).await.unwrap();
    match answer.status().as_u16() {
        200 => Ok(()),
        status => Err(format!("{status} {}", message(&answer).unwrap())),
    }
}

#[tokio::test]
async fn tags_say_how_many_headers_a_node_takes_and_whether_they_keep_their_case() {
    if !userns::wanted() {
        return;
    }
    let (bed, client, _red) = start("headers").await;
    let status = async |headers: String| sends(&client, HOST, &headers).await.status;
    assert_eq!(status(kib(50)).await, 200);
    assert_eq!(status(kib(70)).await, 431, "Envoy's own bound is 60 KiB");
    assert_eq!(status(many(80)).await, 200);
    assert_eq!(status(many(120)).await, 431, "and 100 headers");
    let answer = sends(&client, HOST, "X-Mixed-Case: v\r\n").await;
    assert!(answer.body.contains("\r\nx-mixed-case: v\r\n"), "{answer:?}");
    assert!(answer.headers.contains_key("x-case"), "{answer:?}");

    let refused = tag(&bed, &node("red"), &[("fleetmesh.dev/max-request-headers-kib", "8193")]).await;
    let words = "400 tags: fleetmesh.dev/max-request-headers-kib must be a whole number from 1 to 8192 (found \"8193\")";
    assert_eq!(refused, Err(words.to_owned()));
    let tags = [
        ("fleetmesh.dev/max-request-headers-kib", "80"),
        ("fleetmesh.dev/max-headers", "200"),
        ("fleetmesh.dev/preserve-header-case", "true"),
    ];
    tag(&bed, &node("red"), &tags).await.unwrap();
    // The caller's proxy and the node's own get it one after the other.
    wait::until("the case is kept", LIMIT, async || {
        let answer = sends(&client, HOST, "X-Mixed-Case: v\r\n").await;
        let kept = answer.body.contains("\r\nX-Mixed-Case: v\r\n") && answer.headers.contains_key("X-Case");
        anyhow::ensure!(kept, "{answer:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    assert_eq!(status(kib(70)).await, 200);
    assert_eq!(status(kib(90)).await, 431, "80 KiB is the bound now");
    assert_eq!(status(many(180)).await, 200);
    assert_eq!(status(many(220)).await, 431, "and 200 headers");
}

#[tokio::test]
async fn a_host_may_end_in_a_dot() {
    if !userns::wanted() {
        return;
    }
    let (_bed, client, _red) = start("trailing-dot").await;
    for host in ["shop.apps.local.", "shop.apps.local.:80", "SHOP.apps.local."] {
        let answer = sends(&client, host, "").await;
        assert_eq!((answer.status, answer.responder.as_str()), (200, "red"), "{host}: {answer:?}");
        assert!(!answer.body.to_ascii_lowercase().contains("local."), "{host}: {answer:?}");
    }
}

#[tokio::test]
async fn a_connection_that_the_application_closes_costs_no_safe_request() {
    if !userns::wanted() {
        return;
    }
    let (bed, client, red) = start("kept-alive").await;
    let options = LoadOptions {
        protocol: Protocol::Http,
        rate: 200,
        connections: 1,
        // What is sent again finds no other connection that is about to be closed.
        concurrency: 1,
        headers: vec!["x-close-on-next: yes".to_owned()],
        ..LoadOptions::new(URL)
    };
    let mut load = client.load(&bed, &options, "closing").await;
    load.until("enough requests", LIMIT, |tally| tally.answered() + tally.failed() >= 500).await.unwrap();
    let tally = load.finish().await.unwrap();
    let retries = red.stat("cluster.cds_ingress_apps_red_http_80.upstream_rq_retry").await;
    println!("{} answered, {} failed, {retries} retried", tally.answered(), tally.failed());
    assert_eq!(tally.failed(), 0, "{tally:?}");
    assert!(retries >= 400, "too few connections were closed under a request");
}

/// The application closes without an answer to whatever comes first on a connection: it read the request.
#[tokio::test]
async fn what_the_application_may_have_read_is_repeated_once_if_it_is_safe() {
    if !userns::wanted() {
        return;
    }
    let (_bed, client, red) = start("unanswered").await;
    for (method, asked) in [("GET", 2), ("HEAD", 2), ("OPTIONS", 2), ("POST", 1), ("DELETE", 1)] {
        let before = red.stat("cluster.cds_ingress_apps_red_http_80.upstream_rq_total").await;
        let request = format!(
            "{method} /hang-up HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let answer = client.send(Protocol::Raw, URL, &["--says", &request]).await;
        assert_eq!(answer.status, 503, "{method}: {answer:?}");
        let after = red.stat("cluster.cds_ingress_apps_red_http_80.upstream_rq_total").await;
        // The caller's proxy tries again what is answered 503, as App Mesh's does by default.
        assert_eq!(after - before, 3 * asked, "{method}");
    }
}
