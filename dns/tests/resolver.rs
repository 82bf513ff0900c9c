//! The resolver as a whole, between a client, an upstream and what stands in for Envoy's admin interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleetmesh_dns::{DnsConfig, Error, run};
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the upstream knows of any name.
const KNOWN: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 7);
/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

fn free() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

fn config(listen: SocketAddr, admin: SocketAddr, upstreams: Vec<SocketAddr>) -> DnsConfig {
    DnsConfig {
        listen,
        admin,
        upstreams,
        resolv_conf: "/etc/resolv.conf".into(),
        ignored_uids: [].into(),
        user: None,
    }
}

/// An upstream that has an address for every name, over UDP and TCP.
async fn upstream() -> SocketAddr {
    let (socket, listener) = loop {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()).await {
            break (socket, listener);
        }
    };
    let address = socket.local_addr().unwrap();
    let answer = |query: &[u8]| {
        let query = Message::from_vec(query).unwrap();
        let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
        let name = query.queries[0].name().clone();
        answer.add_answer(Record::from_rdata(name, 60, RData::A(A(KNOWN))));
        answer.add_queries(query.queries);
        answer.to_vec().unwrap()
    };
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            socket.send_to(&answer(&buffer[..length]), from).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let answer = answer(&query);
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    address
}

/// What stands in for Envoy: its version and the domains of its route.
type Served = Arc<Mutex<Option<(u32, Vec<&'static str>)>>>;

async fn admin(served: Served) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let (status, body) = match served.lock().unwrap().clone() {
                None => ("503 Service Unavailable", String::new()),
                Some((version, domains)) => ("200 OK", page(&request, version, &domains)),
            };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            // Whoever asked may be gone.
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    (address, serving)
}

fn page(request: &str, version: u32, domains: &[&str]) -> String {
    if request.starts_with("GET /stats") {
        return format!("listener_manager.lds.version: {version}\n");
    }
    if request.contains("dynamic_listeners") {
        let listener =
            serde_json::json!({"name": "lds_egress_0.0.0.0_15001", "active_state": {"listener": {}}});
        return serde_json::json!({ "configs": [listener] }).to_string();
    }
    let route = serde_json::json!({"name": "rds_egress_http_80", "virtual_hosts": [{"domains": domains}]});
    serde_json::json!({"configs": [{ "route_config": route }]}).to_string()
}

fn query(name: &str) -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message
}

fn addresses(answer: &Message) -> Vec<Ipv4Addr> {
    let addresses = answer.answers.iter().map(|record| match &record.data {
        RData::A(A(address)) => *address,
        other => panic!("{other:?}"),
    });
    addresses.collect()
}

async fn ask(resolver: SocketAddr, name: &str) -> Message {
    let query = query(name);
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(resolver).await.unwrap();
    socket.send(&query.to_vec().unwrap()).await.unwrap();
    let mut buffer = [0; 4096];
    let length = timeout(LIMIT, socket.recv(&mut buffer)).await.expect("an answer in time").unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(answer.metadata.id, query.metadata.id);
    answer
}

async fn ask_by_tcp(resolver: SocketAddr, names: &[&str]) -> Vec<Vec<Ipv4Addr>> {
    let mut stream = TcpStream::connect(resolver).await.unwrap();
    let mut found = Vec::new();
    for name in names {
        let query = query(name).to_vec().unwrap();
        stream.write_u16(u16::try_from(query.len()).unwrap()).await.unwrap();
        stream.write_all(&query).await.unwrap();
        let mut answer = vec![0; usize::from(timeout(LIMIT, stream.read_u16()).await.unwrap().unwrap())];
        stream.read_exact(&mut answer).await.unwrap();
        found.push(addresses(&Message::from_vec(&answer).unwrap()));
    }
    found
}

/// Starts a resolver that takes connections; it ends when what is returned is dropped.
async fn start(config: DnsConfig) -> DropGuard {
    let shutdown = CancellationToken::new();
    let listen = config.listen;
    tokio::spawn(run(config, shutdown.clone()));
    timeout(LIMIT, async {
        while TcpStream::connect(listen).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a resolver");
    shutdown.drop_guard()
}

fn is_virtual(addresses: &[Ipv4Addr]) -> bool {
    matches!(addresses, [address] if address.octets()[0] == 198 && [18, 19].contains(&address.octets()[1]))
}

/// Asks until the answer is what is expected.
async fn until(resolver: SocketAddr, name: &str, expected: impl Fn(&[Ipv4Addr]) -> bool) {
    timeout(LIMIT, async { while !expected(&addresses(&ask(resolver, name).await)) {} }).await.expect(name);
}

#[tokio::test]
async fn names_of_the_mesh_follow_envoy_and_stay_while_it_is_away() {
    let served: Served = Arc::new(Mutex::new(Some((1, vec!["b.apps.local", "b.apps.local:80", "*"]))));
    let (admin, serving) = admin(Arc::clone(&served)).await;
    let listen = free();
    let _resolver = start(config(listen, admin, vec![upstream().await])).await;
    let first = addresses(&ask(listen, "b.apps.local.").await);
    assert!(is_virtual(&first), "{first:?}");
    assert_eq!(addresses(&ask(listen, "c.apps.local.").await), [KNOWN], "somebody else's");
    let by_tcp = ask_by_tcp(listen, &["B.apps.local.", "c.apps.local."]).await;
    assert_eq!(by_tcp, [first.clone(), vec![KNOWN]]);
    // Another backend.
    *served.lock().unwrap() = Some((2, vec!["b.apps.local", "c.apps.local"]));
    until(listen, "c.apps.local.", is_virtual).await;
    assert_eq!(addresses(&ask(listen, "b.apps.local.").await), first);
    // Envoy answers no more, and then not at all.
    *served.lock().unwrap() = None;
    tokio::time::timeout(Duration::from_secs(3), until(listen, "c.apps.local.", |now| now == [KNOWN]))
        .await
        .expect_err("the name stays");
    serving.abort();
    assert!(is_virtual(&addresses(&ask(listen, "c.apps.local.").await)));
}

#[tokio::test]
async fn a_name_is_answered_at_once_while_no_upstream_answers() {
    let served: Served = Arc::new(Mutex::new(Some((1, vec!["b.apps.local"]))));
    let (admin, _serving) = admin(served).await;
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let listen = free();
    let _resolver = start(config(listen, admin, vec![silent.local_addr().unwrap()])).await;
    // More than can wait, none of which is ever answered by the upstream.
    let flood = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for number in 0..400 {
        let query = query(&format!("n{number}.example.")).to_vec().unwrap();
        flood.send_to(&query, listen).await.unwrap();
        // It reads them meanwhile: what its socket drops is not what is tested.
        tokio::task::yield_now().await;
    }
    let answer = timeout(Duration::from_secs(1), ask(listen, "b.apps.local.")).await.expect("at once");
    assert!(is_virtual(&addresses(&answer)));
    let failed = ask(listen, "example.com.").await;
    assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn strangers_and_loops_are_refused() {
    let refused = |listen: SocketAddr, upstream: SocketAddr| {
        run(config(listen, free(), vec![upstream]), CancellationToken::new())
    };
    let upstream = upstream().await;
    for text in ["0.0.0.0:0", "[::]:0", "10.0.0.1:53"] {
        let error = refused(text.parse().unwrap(), upstream).await.expect_err(text);
        assert!(matches!(error, Error::NotLoopback(_)), "{error}");
    }
    let own = free();
    let error = refused(own, own).await.expect_err("itself");
    assert!(matches!(error, Error::Loop(address) if address == own), "{error}");
}

/// As a system's resolver does that was configured with this one, and this one with it.
#[tokio::test]
async fn resolvers_that_ask_each_other_do_not_go_on() {
    let (one, other, nobody) = (free(), free(), free());
    let guard = CancellationToken::new();
    let first = tokio::spawn(run(config(one, nobody, vec![other]), guard.clone()));
    let second = tokio::spawn(run(config(other, nobody, vec![one]), guard.clone()));
    // The other one has nobody to ask then.
    let ended = timeout(LIMIT, async {
        tokio::select! { ended = first => ended, ended = second => ended }
    });
    let ended = ended.await.expect("an end").unwrap();
    assert!(matches!(ended, Err(Error::Loop(_))), "{ended:?}");
    guard.cancel();
}
