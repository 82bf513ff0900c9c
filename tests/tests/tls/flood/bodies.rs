//! Requests that are never finished, and bodies that are too large.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::{Duration, Instant};

use fleetmesh_testbed::{long, wait};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clients::FloodTls;
use super::{FloodBed, MIB, NEIGHBOUR, STRANGER};
use crate::bed::{LIMIT, create_key};

/// A head without an end.
fn half_a_head() -> Vec<u8> {
    format!("POST /fleetmesh/v1/join HTTP/1.1\r\nhost: 127.0.0.1\r\nx-long: {}", "x".repeat(16 * 1024))
        .into_bytes()
}

/// A head that promises more than comes.
fn half_a_body() -> Vec<u8> {
    let head = "POST /fleetmesh/v1/join HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n";
    format!("{head}content-length: 16000\r\n\r\n{{{}", " ".repeat(8 * 1024)).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_never_finished_are_closed_and_cost_little() {
    let count = long::choose(40, 300);
    let mut bed = FloodBed::start("half-sent", &[]).await;
    let tls = FloodTls::stranger(&bed.certificates, b"http/1.1");
    for (what, port, sent, limit) in [
        ("heads at the API", bed.api, half_a_head(), 10),
        ("heads where instances join", bed.join, half_a_head(), 5),
        ("bodies where instances join", bed.join, half_a_body(), 5),
    ] {
        let (before, began) = (bed.forget_peak(), Instant::now());
        let mut held = JoinSet::new();
        for _ in 0..count {
            let (tls, sent) = (tls.clone(), sent.clone());
            held.spawn(async move {
                let mut stream = tls.connect(STRANGER, port).await.unwrap();
                // It may be the oldest of too many already.
                let _ = stream.write_all(&sent).await;
                // The end, or an answer and the end.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            });
        }
        let all =
            timeout(Duration::from_secs(limit + 20), async { while held.join_next().await.is_some() {} })
                .await;
        let grown = bed.peak().saturating_sub(before);
        println!(
            "{count} half-sent {what}: {} live after {:?}; memory grew by {} MiB",
            held.len(),
            began.elapsed(),
            grown / MIB
        );
        assert!(all.is_ok(), "{what}: {} of {count} live after {:?}", held.len(), began.elapsed());
        assert!(grown < 48 * MIB, "{what}: {} MiB", grown / MIB);
    }
}

/// The statuses that `streams` requests with `body` over one connection are answered with, where they are.
async fn post(tls: &FloodTls, port: u16, body: Bytes, streams: usize) -> Vec<u16> {
    let stream = TokioIo::new(tls.connect(STRANGER, port).await.unwrap());
    let connected = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    let (sender, connection) = connected;
    // It ends with its sender, or is closed by the other side.
    tokio::spawn(connection);
    let mut asked = JoinSet::new();
    for _ in 0..streams {
        let (mut sender, body) = (sender.clone(), body.clone());
        asked.spawn(async move {
            let request = Request::post(format!("https://127.0.0.1:{port}/fleetmesh/v1/join"));
            let request = request.header("content-type", "application/json").body(Full::new(body)).unwrap();
            let answer = sender.send_request(request).await.ok()?;
            let status = answer.status().as_u16();
            let text =
                answer.into_body().collect().await.map(|body| body.to_bytes().len()).unwrap_or_default();
            assert!(text < 2000, "the answer does not repeat what was sent: {text} bytes");
            Some(status)
        });
    }
    asked.join_all().await.into_iter().flatten().collect()
}

/// The head of a write with `length` bytes that says it was signed by the key `id`, and was not.
fn unsigned(id: &str, port: u16, length: usize) -> Vec<u8> {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let (day, signature) = (&now[..8], "0".repeat(64));
    format!(
        "PUT /v20190125/meshes HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-amz-date: {now}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={id}/{day}/us-west-2/appmesh/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={signature}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_whoever_knows_the_id_of_a_key_are_bounded_before_their_signature_is() {
    const LARGEST: usize = 2 * 1024 * 1024;
    let count = long::choose(80, 240);
    let mut bed = FloodBed::start("unsigned", &[]).await;
    let key = create_key(&bed.control_plane.data_dir(), Path::new(&bed.certificates.path("key.json"))).await;
    let tls = FloodTls::stranger(&bed.certificates, b"http/1.1");
    let port = bed.api;
    let ask = async |from| {
        let mut stream = tls.connect(from, port).await.unwrap();
        stream.write_all(&unsigned(&key.access_key_id, port, 3000)).await.unwrap();
        stream.write_all(&[b' '; 3000]).await.unwrap();
        let mut answer = String::new();
        // It is closed without the end that TLS has.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    };
    wait::until("the key counts", LIMIT, async || {
        Ok(ask(NEIGHBOUR).await.contains("does not match").then_some(()))
    })
    .await
    .unwrap();

    let before = bed.forget_peak();
    let mut attack = JoinSet::new();
    for _ in 0..count {
        let (tls, head) = (tls.clone(), unsigned(&key.access_key_id, port, LARGEST));
        attack.spawn(async move {
            let mut stream = tls.begun(STRANGER, port, &head).await;
            // All but the last byte; not all of it is read.
            let _ = timeout(Duration::from_secs(5), stream.write_all(&vec![b' '; LARGEST - 1])).await;
            stream
        });
    }
    let mut held = attack.join_all().await;
    // All the room that there is for large bodies, from four more addresses, without a byte of them.
    for source in 4..8 {
        for _ in 0..4 {
            let mut stream = tls.connect(Ipv4Addr::new(127, 0, 0, source), port).await.unwrap();
            stream.write_all(&unsigned(&key.access_key_id, port, LARGEST)).await.unwrap();
            held.push(stream);
        }
    }
    let began = Instant::now();
    let answer = ask(NEIGHBOUR).await;
    let took = began.elapsed();
    let grown = bed.peak().saturating_sub(before);
    println!(
        "{count} bodies of 2 MiB that are not signed, all but a byte of each, and 16 of four other addresses: memory grew by {} MiB; another address is answered in {took:?}",
        grown / MIB
    );
    assert!(answer.starts_with("HTTP/1.1 403") && took < Duration::from_secs(3), "{took:?}: {answer}");
    assert!(grown < 48 * MIB, "{} MiB", grown / MIB);
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_where_instances_join_are_refused_before_they_are_read() {
    let mut bed = FloodBed::start("join-bodies", &[]).await;
    let tls = FloodTls::stranger(&bed.certificates, b"h2");
    let body = format!("{{\"resource\": \"{}\\n\\u001b\"}}", "x".repeat(2 << 20));
    let body = Bytes::from(body);
    for connections in [1, 3] {
        let (before, began) = (bed.forget_peak(), Instant::now());
        let mut attack = JoinSet::new();
        for _ in 0..connections {
            let (tls, port, body) = (tls.clone(), bed.join, body.clone());
            let passes = long::choose(1, 20);
            attack.spawn(async move {
                let mut statuses = Vec::new();
                for _ in 0..passes {
                    statuses.extend(post(&tls, port, body.clone(), 200).await);
                }
                statuses
            });
        }
        let statuses = attack.join_all().await.concat();
        let grown = bed.peak().saturating_sub(before);
        println!(
            "bodies of 2 MiB, {} answered, over {connections} connections in {:?}: memory grew by {} MiB",
            statuses.len(),
            began.elapsed(),
            grown / MIB
        );
        assert!(!statuses.is_empty() && statuses.iter().all(|status| *status == 400), "{statuses:?}");
        assert!(grown < 32 * MIB, "{} MiB", grown / MIB);
    }
    let log = std::fs::read_to_string(bed.control_plane.process().log()).unwrap();
    let longest = log.lines().map(str::len).max().unwrap_or_default();
    assert!(longest < 2000, "a line has {longest} bytes");
    // However often it is refused, a source has a line, and a minute later a number.
    let lines = log.lines().filter(|line| line.contains("an instance may not join")).count();
    assert!((1..=4).contains(&lines), "{lines} lines report it");
}
