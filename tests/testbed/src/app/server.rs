//! The server of the application: HTTP/1.1, HTTP/2 without TLS and unary gRPC on one port.
//!
//! Commands on standard input change how it behaves; each is confirmed by a line on standard output.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Protocol, raw, tcp, upgrade};

/// Every answer says in this header who gave it.
pub const RESPONDER: &str = "x-responder";
/// A request with this header is answered after so many milliseconds.
pub const DELAY: &str = "x-delay-ms";

/// More headers than any test sends, and more bytes of them.
const MOST_HEADERS: usize = 1000;
const MOST_HEADER_BYTES: u32 = 16 << 20;

/// gRPC's status "unavailable".
const UNAVAILABLE: &str = "14";
/// The method of gRPC's health checking protocol.
const GRPC_HEALTH: &str = "/grpc.health.v1.Health/Check";

type ServedBody = BoxBody<Bytes, Infallible>;

/// How the server behaves now.
#[derive(Debug)]
struct Behaviour {
    name: HeaderValue,
    healthy: AtomicBool,
    /// Every so many requests one fails; 0 for none.
    fail_every: AtomicU64,
    /// So many requests to come fail.
    fail_next: AtomicU64,
    /// The HTTP status of a failure.
    fail_status: AtomicU16,
    /// Requests so far, health checks not counted.
    requests: AtomicU64,
}

/// Serves on `listen` until the task is dropped; prints the address it took.
///
/// # Errors
/// The address cannot be bound, or the name cannot be a header's value.
pub async fn serve(listen: SocketAddr, protocol: Protocol, name: &str) -> Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot bind {listen}"))?;
    println!("{}", listener.local_addr()?);
    match protocol {
        Protocol::Tcp => return tcp::serve(listener, name.into()).await,
        Protocol::Raw => return raw::serve(listener, name.into()).await,
        Protocol::Http | Protocol::Http2 | Protocol::Grpc => {}
    }
    let behaviour = Arc::new(Behaviour {
        name: HeaderValue::from_str(name).with_context(|| format!("{name:?} cannot be a header's value"))?,
        healthy: AtomicBool::new(true),
        fail_every: AtomicU64::new(0),
        fail_next: AtomicU64::new(0),
        fail_status: AtomicU16::new(StatusCode::SERVICE_UNAVAILABLE.as_u16()),
        requests: AtomicU64::new(0),
    });
    tokio::spawn(obey(Arc::clone(&behaviour)));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(connection(stream, Arc::clone(&behaviour)));
    }
}

async fn connection(stream: TcpStream, behaviour: Arc<Behaviour>) {
    // Answers are smaller than a packet; waiting to fill one only adds delay.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(request, Arc::clone(&behaviour)));
    let mut connection = auto::Builder::new(TokioExecutor::new());
    connection.http1().max_headers(MOST_HEADERS);
    connection.http2().enable_connect_protocol().max_header_list_size(MOST_HEADER_BYTES);
    if let Err(error) = connection.serve_connection_with_upgrades(TokioIo::new(stream), service).await {
        eprintln!("a connection ended: {error}");
    }
}

/// Takes commands from standard input until it closes.
async fn obey(behaviour: Arc<Behaviour>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if behaviour.change(&line) {
            println!("{line}");
        } else {
            eprintln!("unknown command {line:?}");
        }
    }
}

impl Behaviour {
    /// Does what `command` says; false when it is none.
    fn change(&self, command: &str) -> bool {
        let number = |text: &str| text.parse::<u64>().ok();
        match command.split_once(' ') {
            None if command == "healthy" => self.healthy.store(true, Ordering::SeqCst),
            None if command == "unhealthy" => self.healthy.store(false, Ordering::SeqCst),
            Some((kind, count)) => match (kind, number(count)) {
                ("fail-every", Some(nth)) => self.fail_every.store(nth, Ordering::SeqCst),
                ("fail-next", Some(count)) => self.fail_next.store(count, Ordering::SeqCst),
                ("fail-status", Some(status)) => {
                    let Ok(status) = u16::try_from(status) else { return false };
                    self.fail_status.store(status, Ordering::SeqCst);
                }
                _ => return false,
            },
            None => return false,
        }
        true
    }

    fn failure(&self) -> StatusCode {
        let status = StatusCode::from_u16(self.fail_status.load(Ordering::SeqCst));
        status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
    }

    /// Counts a request; returns whether it has to fail.
    fn fails(&self) -> bool {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let every = self.fail_every.load(Ordering::SeqCst);
        let next =
            self.fail_next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        next.is_ok() || (every > 0 && number.is_multiple_of(every))
    }
}

async fn answer(
    request: Request<Incoming>,
    behaviour: Arc<Behaviour>,
) -> Result<Response<ServedBody>, Infallible> {
    if let Some(token) = upgrade::token(&request) {
        let response = upgrade::accept(request, token).map(|()| Full::default().boxed());
        return Ok(signed(response, &behaviour.name));
    }
    let grpc = request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let delay = request.headers().get(DELAY).and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(milliseconds) = delay {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let healthy = behaviour.healthy.load(Ordering::SeqCst);
    let response = match request.uri().path() {
        GRPC_HEALTH if grpc => grpc_answer(&[0x08, if healthy { 1 } else { 2 }], "0"),
        "/ping" | "/health" => {
            plain(if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, "")
        }
        "/stats" => {
            let requests = behaviour.requests.load(Ordering::SeqCst);
            plain(StatusCode::OK, &format!("{{\"requests\":{requests}}}\n"))
        }
        _ => match (behaviour.fails(), grpc) {
            (true, true) => grpc_answer(&[], UNAVAILABLE),
            (true, false) => plain(behaviour.failure(), "made to fail\n"),
            (false, true) => grpc_answer(&[], "0"),
            (false, false) => plain(StatusCode::OK, &describe(&request)),
        },
    };
    Ok(signed(response, &behaviour.name))
}

/// What arrived, as JSON: the path and the headers after all proxies.
fn describe(request: &Request<Incoming>) -> String {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: serde_json::Map<String, serde_json::Value> =
        request.headers().iter().map(|(name, value)| (name.to_string(), text(value).into())).collect();
    let path = request.uri().path_and_query().map(ToString::to_string);
    serde_json::json!({"method": request.method().as_str(), "path": path, "headers": headers}).to_string()
}

fn signed(mut response: Response<ServedBody>, name: &HeaderValue) -> Response<ServedBody> {
    response.headers_mut().insert(RESPONDER, name.clone());
    response
}

fn plain(status: StatusCode, text: &str) -> Response<ServedBody> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed());
    *response.status_mut() = status;
    response
}

/// One length-prefixed message, then the status as trailers; on failure no message, and so, as gRPC servers do, the
/// status among the headers (gRPC's "Trailers-Only"): proxies can retry nothing else.
fn grpc_answer(message: &[u8], status: &'static str) -> Response<ServedBody> {
    const STATUS: header::HeaderName = header::HeaderName::from_static("grpc-status");
    let status_value = HeaderValue::from_static(status);
    let body = if status == "0" {
        let trailers = HeaderMap::from_iter([(STATUS, status_value.clone())]);
        Full::new(frame(message)).with_trailers(async move { Some(Ok(trailers)) }).boxed()
    } else {
        Full::default().boxed()
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if status != "0" {
        response.headers_mut().insert(STATUS, status_value);
    }
    response
}

/// gRPC's frame: not compressed, length, message.
pub(super) fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}
