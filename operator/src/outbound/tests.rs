//! Malicious servers: none of them makes a request exceed its bounds on time and memory. Real sockets on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};

use fleetmesh_core::canary::Destination;
use fleetmesh_crds::{MetricProviderSpec, WebhookProviderSpec};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::cache::Cache;

/// What a question may take here.
const LIMIT: Duration = Duration::from_secs(2);
/// What `LIMIT` may be exceeded by on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

fn outbound(direct_addresses: bool) -> Outbound {
    outbound_beside(direct_addresses, ApiServers::new(vec!["10.96.0.1".to_owned()], Arc::new(|| None)))
}

fn outbound_beside(direct_addresses: bool, api_servers: ApiServers) -> Outbound {
    let secrets = std::env::temp_dir().join(format!("fleetmesh-outbound-{}", std::process::id()));
    Outbound::new(OutboundPolicy { direct_addresses, secrets, api_servers })
}

/// API servers behind one address, of which the next connection reaches the next one; what they say of themselves is what
/// kube-apiserver says at `/api`. How often they were asked.
fn behind_a_service(servers: [&'static str; 2]) -> (ApiServers, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let connect: Connect = Arc::new(move || {
        let server = servers[count.fetch_add(1, Ordering::Relaxed) % servers.len()];
        let answer = move |request: http::Request<kube::client::Body>| async move {
            assert_eq!(request.uri().path(), "/api");
            let said = json!({
                "kind": "APIVersions", "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}],
            });
            let body = kube::client::Body::from(said.to_string().into_bytes());
            Ok::<_, std::convert::Infallible>(http::Response::new(body))
        };
        Some(kube::Client::new(tower::service_fn(answer), "default"))
    });
    (ApiServers::new(vec!["10.96.0.1".to_owned()], connect), asked)
}

/// A server that does `serve` with each connection, once it has seen a request.
async fn server<F>(serve: impl Fn(TcpStream, String) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = vec![0; 16 * 1024];
            let read = stream.read(&mut seen).await.unwrap_or(0);
            seen.truncate(read);
            tokio::spawn(serve(stream, String::from_utf8_lossy(&seen).into_owned()));
        }
    });
    address
}

/// A server that says `first`, and then `again` for ever.
async fn endless(first: &'static str, again: String, sent: Arc<AtomicUsize>) -> String {
    let again: Arc<str> = again.into();
    server(move |mut stream, _| {
        let (again, sent) = (Arc::clone(&again), Arc::clone(&sent));
        async move {
            let mut said = stream.write_all(first.as_bytes()).await;
            while said.is_ok() {
                sent.fetch_add(again.len(), Ordering::Relaxed);
                said = stream.write_all(again.as_bytes()).await;
            }
        }
    })
    .await
}

/// A cache with a MetricProvider and a WebhookProvider `p` at `address`, for every namespace.
fn cache(address: &str) -> Cache {
    let cache = Cache::default();
    let all = json!({ "from": "All" });
    let spec = json!({ "type": "Prometheus", "address": address, "allowedNamespaces": all });
    let spec: MetricProviderSpec = serde_json::from_value(spec).unwrap();
    cache.metric_provider_seen("p", Some(spec));
    let spec = json!({ "address": address, "allowedNamespaces": all });
    let spec: WebhookProviderSpec = serde_json::from_value(spec).unwrap();
    cache.webhook_provider_seen("p", Some(spec));
    cache
}

fn provider() -> Destination {
    Destination::Provider { name: "p".to_owned(), path: None }
}

async fn ask(outbound: &Outbound, address: &str) -> Result<ExchangeAnswer, OutboundFailure> {
    let place = outbound.webhook(&cache(address), "apps", &provider()).await?;
    outbound.ask("apps", place, Question::Post("{}".to_owned()), LIMIT).await
}

/// What the process has in memory, in KiB.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_costs_neither_memory_nor_time() {
    let sent = Arc::new(AtomicUsize::new(0));
    let chunk = format!("{:x}\r\n{}\r\n", 65536, "x".repeat(65536));
    let plain = "x".repeat(65536);
    let servers = [
        ("chunks without end", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk.clone()),
        ("until the end of the connection", "HTTP/1.1 200 OK\r\n\r\n", plain.clone()),
        ("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", plain.clone()),
        ("a length in the header", "HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n", plain.clone()),
        ("a header without end", "HTTP/1.1 200 OK\r\nx: ", plain),
        ("headers without end", "HTTP/1.1 200 OK\r\n", "a: b\r\n".repeat(1000)),
        ("interim answers without end", "", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)),
        (
            "trailers without end",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            "a: b\r\n".repeat(1000),
        ),
        (
            "an extension of a chunk without end",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;",
            "x".repeat(65536),
        ),
    ];
    let outbound = Arc::new(outbound(false));
    let before = resident();
    for (what, first, again) in servers {
        let address = endless(first, again, Arc::clone(&sent)).await;
        let began = Instant::now();
        let questions = (0..8).map(|_| {
            let (outbound, address) = (Arc::clone(&outbound), address.clone());
            tokio::spawn(async move { ask(&outbound, &address).await })
        });
        for question in questions.collect::<Vec<_>>() {
            let failure = question.await.unwrap().expect_err(what);
            println!("{what}: {failure}");
            // What is too long ends by its length, not by the time limit: until then the operator would read it.
            let by_time = ["interim answers without end"].contains(&what);
            let of_no_length =
                ["trailers without end", "an extension of a chunk without end"].contains(&what);
            let ended = match failure {
                OutboundFailure::TooLong(_) => !by_time && !of_no_length,
                OutboundFailure::Protocol => of_no_length,
                _ => by_time,
            };
            assert!(ended, "{what}: {failure}");
        }
        // Four at once: the second four wait for the first.
        assert!(began.elapsed() < 2 * LIMIT + SLACK, "{what} took {:?}", began.elapsed());
    }
    let grown = resident().saturating_sub(before);
    println!("H5: {} MiB were sent, memory grew by {grown} KiB", sent.load(Ordering::Relaxed) >> 20);
    assert!(grown < 32 * 1024, "memory grew by {grown} KiB");
}

#[tokio::test]
async fn an_answer_that_drips_is_late() {
    for first in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"] {
        let address = server(move |mut stream, _| async move {
            let mut said = stream.write_all(first.as_bytes()).await;
            while said.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
                said = stream.write_all(if first.ends_with("\r\n\r\n") { b"x" } else { b"H" }).await;
            }
        })
        .await;
        let began = Instant::now();
        let answer = ask(&outbound(false), &address).await;
        assert!(
            matches!(answer, Err(OutboundFailure::Late(_) | OutboundFailure::Protocol)),
            "{first:?}: {answer:?}"
        );
        assert!(began.elapsed() < LIMIT + SLACK, "{first:?} took {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn a_length_in_the_header_is_judged_before_the_body_comes() {
    let address = server(move |mut stream, _| async move {
        _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\n").await;
        // Not a byte of it comes, and the connection stays.
        _ = stream.read_u8().await;
    })
    .await;
    assert_eq!(ask(&outbound(false), &address).await, Err(OutboundFailure::TooLong("64 KiB")));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let followed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&followed);
    let secret = server(move |mut stream, _| {
        count.fetch_add(1, Ordering::Relaxed);
        async move { _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await }
    })
    .await;
    let address = server(move |mut stream, _| {
        let answer = format!("HTTP/1.1 302 Found\r\nlocation: {secret}/\r\ncontent-length: 0\r\n\r\n");
        async move { _ = stream.write_all(answer.as_bytes()).await }
    })
    .await;
    let answer = ask(&outbound(false), &address).await.unwrap();
    assert_eq!(answer.status, 302);
    assert_eq!(followed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_answer_within_the_bounds_is_read_whole() {
    let address = server(|mut stream, request| async move {
        assert!(request.starts_with("GET /api/v1/query?query=up HTTP/1.1\r\n"), "{request}");
        assert!(!request.to_lowercase().contains("authorization"), "{request}");
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 65536\r\n\r\n{}", "x".repeat(65536));
        _ = stream.write_all(answer.as_bytes()).await;
    })
    .await;
    let outbound = outbound(false);
    let place = outbound.metrics(&cache(&address), "apps", &provider()).await.unwrap();
    let question = Question::Get("/api/v1/query?query=up".to_owned());
    let answer = outbound.ask("apps", place, question, LIMIT).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 65536));
}

#[tokio::test]
async fn a_route_reaches_no_address_that_it_chose_itself() {
    let reached = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reached);
    let loopback = server(move |mut stream, _| {
        count.fetch_add(1, Ordering::Relaxed);
        async move { _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await }
    })
    .await;
    let port = loopback.rsplit_once(':').unwrap().1;
    let cache = Cache::default();
    let closed = outbound(false).webhook(&cache, "apps", &Destination::Address(loopback.clone())).await;
    let closed = closed.map(|_| ()).unwrap_err();
    assert_eq!(closed, OutboundFailure::DirectAddress { kind: "WebhookProvider" });
    let open = outbound(true);
    let written = [
        loopback.clone(),
        format!("http://localhost:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://0.0.0.0:{port}/"),
        format!("http://[::]:{port}/"),
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/".to_owned(),
        "http://[fd00:ec2::254]/latest/meta-data/".to_owned(),
        "http://[::ffff:a9fe:a9fe]/".to_owned(),
        "https://10.96.0.1/api/v1/secrets".to_owned(),
    ];
    for address in written {
        let asked = async {
            let place = open.webhook(&cache, "apps", &Destination::Address(address.clone())).await?;
            open.ask("apps", place, Question::Post("{}".to_owned()), LIMIT).await
        };
        let failure = asked.await.unwrap_err();
        assert!(matches!(failure, OutboundFailure::Forbidden(_)), "{address}: {failure}");
    }
    assert_eq!(reached.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_route_reaches_no_api_server_behind_the_one_address_that_is_configured() {
    let (servers, asked) = behind_a_service(["10.1.2.3:6443", "[fd00::7]:6443"]);
    let (open, cache) = (outbound_beside(true, servers), Cache::default());
    let addresses = [
        "https://10.1.2.3:6443/",
        "http://10.1.2.3:10250/",
        "https://[::ffff:10.1.2.3]/",
        "https://[fd00::7]/",
    ];
    for _ in 0..2 {
        for address in addresses.map(str::to_owned).into_iter().chain(["https://10.96.0.1/".to_owned()]) {
            let place = open.webhook(&cache, "apps", &Destination::Address(address.clone())).await.unwrap();
            let failure = open.ask("apps", place, Question::Post("{}".to_owned()), LIMIT).await.unwrap_err();
            assert_eq!(failure, OutboundFailure::Forbidden("the Kubernetes API server"), "{address}");
        }
        assert_eq!(asked.swap(0, Ordering::Relaxed), 4, "they are asked once a minute");
        tokio::time::advance(Duration::from_secs(61)).await;
    }
}

/// An address of this host beside loopback, if it has one; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket
        .local_addr()
        .ok()
        .map(|address| address.ip())
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[tokio::test]
async fn a_route_reaches_no_address_of_the_operators_own_host() {
    let Some(own) = own_address() else { return };
    let listener = TcpListener::bind((own, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (open, cache) = (outbound(true), Cache::default());
    for address in [format!("http://{own}:{port}/"), format!("http://[::ffff:{own}]:{port}/")] {
        let place = open.webhook(&cache, "apps", &Destination::Address(address.clone())).await.unwrap();
        let failure = open.ask("apps", place, Question::Post("{}".to_owned()), LIMIT).await.unwrap_err();
        assert_eq!(failure, OutboundFailure::Forbidden("the operator's own host"), "{address}");
    }
}

#[tokio::test]
async fn credentials_are_the_file_that_a_provider_names_and_no_other() {
    let outbound = outbound(false);
    let folder = outbound.policy.secrets.join("prom");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("token"), "t0k3n\n").unwrap();
    std::fs::write(outbound.policy.secrets.join("beside"), "s3cr3t").unwrap();
    std::fs::write(folder.join("empty"), "\n").unwrap();
    std::fs::write(folder.join("long"), "x".repeat(8 * 1024 + 1)).unwrap();
    let cache = Cache::default();
    let with = |secret: &str, key: &str, scheme: &str| {
        let spec = json!({
            "type": "Prometheus",
            "address": "https://p.example.com",
            "allowedNamespaces": {},
            "credentials": { "secret": secret, "key": key, "scheme": scheme },
        });
        cache.metric_provider_seen("p", Some(serde_json::from_value(spec).unwrap()));
    };
    for (scheme, header) in [("Bearer", "Bearer t0k3n"), ("Basic", "Basic dDBrM24=")] {
        with("prom", "token", scheme);
        let place = outbound.metrics(&cache, "apps", &provider()).await.unwrap();
        let authorization = place.authorization.clone().unwrap();
        assert_eq!(authorization.to_str().unwrap(), header);
        assert!(authorization.is_sensitive() && !format!("{place:?}").contains("t0k3n"));
    }
    for (secret, key) in [
        ("prom", "other"),
        ("prom", "empty"),
        ("prom", "long"),
        ("..", "beside"),
        (".", "beside"),
        ("prom", "../beside"),
        ("prom/..", "beside"),
    ] {
        with(secret, key, "Bearer");
        let refused = outbound.metrics(&cache, "apps", &provider()).await.map(|_| ());
        assert!(matches!(refused, Err(OutboundFailure::Credentials { .. })), "{secret}/{key}: {refused:?}");
    }
    std::fs::remove_dir_all(&outbound.policy.secrets).unwrap();
}

#[tokio::test]
async fn a_provider_is_for_the_namespaces_that_it_allows() {
    let outbound = outbound(false);
    let cache = Cache::default();
    cache.namespace("apps", Some([("team".to_owned(), "a".to_owned())].into()));
    cache.namespace("shop", Some([("team".to_owned(), "b".to_owned())].into()));
    let team = &json!({ "from": "Selector", "selector": { "matchLabels": { "team": "a" } } });
    let spec = json!({ "address": "http://10.0.0.1", "allowedNamespaces": team });
    cache.webhook_provider_seen("p", Some(serde_json::from_value(spec).unwrap()));
    let asks = async |namespace: &str, path: Option<&str>| {
        let at = Destination::Provider { name: "p".to_owned(), path: path.map(ToOwned::to_owned) };
        outbound.webhook(&cache, namespace, &at).await.map(|_| ())
    };
    let refused = OutboundFailure::NotAllowed { kind: "WebhookProvider", name: "p".to_owned() };
    assert_eq!(asks("apps", None).await, Ok(()));
    assert_eq!(asks("shop", None).await, Err(refused.clone()));
    assert_eq!(asks("nobody-knows", None).await, Err(refused));
    assert_eq!(asks("apps", Some("/x")).await, Err(OutboundFailure::PathNotAllowed("p".to_owned())));
    // A path leads below the provider's, and nowhere else.
    let spec = json!({ "address": "http://10.0.0.1/hooks", "allowPath": true, "allowedNamespaces": team });
    cache.webhook_provider_seen("p", Some(serde_json::from_value(spec).unwrap()));
    assert_eq!(asks("apps", Some("/canary/gate")).await, Ok(()));
    for path in ["/../admin", "/a/../../admin", "/%2e%2e/admin", "/gate?all=1", "@10.0.0.2/", "//10.0.0.2/"] {
        let failure = asks("apps", Some(path)).await.expect_err(path);
        assert_eq!(failure, OutboundFailure::Malformed("the path leads out of its provider's"), "{path}");
    }
    cache.webhook_provider_seen("p", None);
    let none = OutboundFailure::NoProvider { kind: "WebhookProvider", name: "p".to_owned() };
    assert_eq!(asks("apps", None).await, Err(none));
}
