//! Anonymous tries to join, and challenges that nobody answers.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fleetmesh_testbed::long;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::clients::FloodTls;
use super::{FloodBed, NEIGHBOUR, NODE, STRANGER};

/// Somebody who would like to join.
#[derive(Clone)]
struct JoiningInstance(SendRequest<Full<Bytes>>);

impl JoiningInstance {
    async fn connect(tls: &FloodTls, from: Ipv4Addr, port: u16) -> Result<Self> {
        let stream = TokioIo::new(tls.connect(from, port).await?);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        // It ends with its sender, or is closed by the other side.
        tokio::spawn(connection);
        Ok(Self(sender))
    }

    async fn post(&mut self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = Request::post(format!("https://127.0.0.1/fleetmesh/v1/{path}"));
        let request = request.header("content-type", "application/json");
        self.0.ready().await?;
        let answer = self.0.send_request(request.body(Full::from(body.to_string()))?).await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?))
    }

    /// The status that `GET` of a path is answered with.
    async fn get(&mut self, path: &str) -> Result<u16> {
        let request = Request::get(format!("https://127.0.0.1{path}")).body(Full::default())?;
        self.0.ready().await?;
        Ok(self.0.send_request(request).await?.status().as_u16())
    }

    async fn challenge(&mut self) -> Result<String> {
        let (status, answer) = self.post("join/challenge", &json!({})).await?;
        answer["challenge"].as_str().map(str::to_owned).with_context(|| format!("{status}: {answer}"))
    }

    /// Tries to join with a signature that has the right form, and with this identity document.
    async fn join_with(&mut self, challenge: &str, document: Option<&str>) -> Result<(u16, Value)> {
        let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
        let (day, time) = (now.strftime("%Y%m%d").to_string(), now.strftime("%Y%m%dT%H%M%SZ").to_string());
        let scope = format!("ASIAIOSFODNN7EXAMPLE/{day}/us-west-2/sts/aws4_request");
        let headers = "content-type;host;x-amz-date;x-fleetmesh-challenge";
        let signature = "0".repeat(64);
        // P-256's generator.
        let key = "BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=";
        self.post("join", &json!({
            "resource": NODE, "publicKey": key, "challenge": challenge, "amzDate": time, "identityDocument": document,
            "authorization": format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={headers}, Signature={signature}"),
        }))
        .await
    }

    async fn join(&mut self, challenge: &str) -> Result<(u16, Value)> {
        self.join_with(challenge, None).await
    }
}

/// This listener is the one that a load balancer leads to; the API and the health pages are on another.
#[tokio::test(flavor = "multi_thread")]
async fn where_instances_join_nothing_else_is_served() {
    let bed = FloodBed::start("joins-alone", &[]).await;
    let stranger = FloodTls::stranger(&bed.certificates, b"h2");
    let mut instance = JoiningInstance::connect(&stranger, STRANGER, bed.join).await.unwrap();
    for path in
        ["/metrics", "/livez", "/readyz", "/v20190125/meshes", "/fleetmesh/v1/meshes/apps/distribution"]
    {
        assert_eq!(instance.get(path).await.unwrap(), 404, "{path}");
    }
    instance.challenge().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_with_a_bad_document_asks_sts_nothing() {
    // What a key signed that is no region's of AWS: a document of an instance in us-west-2.
    const FORGED: &str = include_str!("forged.b64");
    let bed = FloodBed::start("bad-documents", &["--identity-certificates", "aws"]).await;
    let mut instance =
        JoiningInstance::connect(&FloodTls::stranger(&bed.certificates, b"h2"), STRANGER, bed.join)
            .await
            .unwrap();
    for (document, words) in [
        (None, "an instance identity document has to be sent"),
        (Some("AAAA"), "it is no signed message"),
        (Some(FORGED), "no certificate that is trusted signed it"),
    ] {
        let challenge = instance.challenge().await.unwrap();
        let (status, answer) = instance.join_with(&challenge, document).await.unwrap();
        assert!(status == 403 && answer["message"].as_str().unwrap().contains(words), "{status}: {answer}");
    }
    // The rate of the source is before both: a document costs a stranger's address a try.
    let (mut refused, began) = (0, Instant::now());
    for _ in 0..30 {
        let challenge = instance.challenge().await.unwrap();
        let (status, _) = instance.join_with(&challenge, Some(FORGED)).await.unwrap();
        refused += u64::from(status == 429);
    }
    assert!(refused + 20 + 5 * (began.elapsed().as_secs() + 1) >= 33, "{refused} of 33 refused");
    assert!(refused > 0 || began.elapsed() > Duration::from_secs(2), "{refused} of 33 refused");
    assert_eq!(bed.asked.all.load(Ordering::Relaxed), 0, "STS was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_joins_ask_sts_no_more_often_than_their_address_may() {
    let bed = FloodBed::start("anonymous-joins", &[]).await;
    let tls = FloodTls::stranger(&bed.certificates, b"h2");
    let (began, tries) = (Instant::now(), 300);
    let mut attack = JoinSet::new();
    for _ in 0..10 {
        let mut instance = JoiningInstance::connect(&tls, STRANGER, bed.join).await.unwrap();
        attack.spawn(async move {
            let mut statuses = Vec::new();
            for _ in 0..tries / 10 {
                let challenge = instance.challenge().await.unwrap();
                statuses.push(instance.join(&challenge).await.unwrap().0);
            }
            statuses
        });
    }
    let statuses = attack.join_all().await.concat();
    let took = began.elapsed();
    let asked = bed.asked.all.load(Ordering::Relaxed);
    let refused = statuses.iter().filter(|status| **status == 429).count();
    println!("{tries} anonymous joins in {took:?}: {asked} calls to STS, {refused} refused before");
    // A burst of 20, and five a second.
    assert!(u64::try_from(asked).unwrap() <= 20 + 5 * (took.as_secs() + 1), "{asked} calls in {took:?}");
    assert_eq!((statuses.len(), asked + refused), (tries, tries), "{statuses:?}");

    let mut other = JoiningInstance::connect(&tls, NEIGHBOUR, bed.join).await.unwrap();
    let challenge = other.challenge().await.unwrap();
    let (status, answer) = other.join(&challenge).await.unwrap();
    assert!(status == 403 && answer["message"].as_str().unwrap().contains("STS"), "{status}: {answer}");
    assert_eq!(bed.asked.all.load(Ordering::Relaxed), asked + 1, "another address is not held up");

    // From many addresses at once.
    let mut attack = JoinSet::new();
    for last in 1..=40 {
        let mut instance =
            JoiningInstance::connect(&tls, Ipv4Addr::new(127, 0, 1, last), bed.join).await.unwrap();
        attack.spawn(async move {
            let challenge = instance.challenge().await.unwrap();
            instance.join(&challenge).await.unwrap().0
        });
    }
    let statuses = attack.join_all().await;
    let most = bed.asked.most.load(Ordering::Relaxed);
    println!("40 joins from as many addresses: {most} calls to STS at once at the most");
    assert!(most > 1 && most <= 16 && statuses.iter().all(|status| *status == 403), "{most}, {statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_challenges_of_one_client_lock_nobody_out() {
    let count = long::choose(2_000, 10_000);
    let mut bed = FloodBed::start("challenges", &[]).await;
    let tls = FloodTls::stranger(&bed.certificates, b"h2");
    let mut other = JoiningInstance::connect(&tls, NEIGHBOUR, bed.join).await.unwrap();
    let mine = other.challenge().await.unwrap();
    let (before, began) = (bed.forget_peak(), Instant::now());
    let mut attack = JoinSet::new();
    let instance = JoiningInstance::connect(&tls, STRANGER, bed.join).await.unwrap();
    for _ in 0..20 {
        let mut instance = instance.clone();
        attack.spawn(async move {
            for _ in 0..count / 20 {
                instance.challenge().await.unwrap();
            }
        });
    }
    attack.join_all().await;
    let grown = bed.peak().saturating_sub(before) / 1024;
    println!("{count} challenges of one client in {:?}: memory grew by {grown} KiB", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(60), "the first challenge still lives");
    // Its connection may have been idle for too long meanwhile.
    other = JoiningInstance::connect(&tls, NEIGHBOUR, bed.join).await.unwrap();
    for challenge in [mine, other.challenge().await.unwrap()] {
        let (status, answer) = other.join(&challenge).await.unwrap();
        assert!(status == 403 && answer["message"].as_str().unwrap().contains("STS"), "{status}: {answer}");
        let (status, answer) = other.join(&challenge).await.unwrap();
        assert!(status == 403 && answer["message"].as_str().unwrap().contains("spent"), "{status}: {answer}");
    }
}
