//! Serves HTTP on a listener: each connection within the time that its requests have, and each request by the rules that
//! no route may be without.
//!
//! A request has so long for its head, so long for all of its body, whoever sent it so long to take the next part of the answer,
//! and a connection without a request so long until it is closed ([`Limits`]); what is buffered of either is bounded too. hyper's own timeouts are not used: they would end a
//! connection that rests between two requests as early as one that sent half of a request.

mod body;
mod pulse;
pub mod rules;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use http::{Request, Response, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected as _;
use tower::ServiceExt as _;

use crate::listen::{BoundListener, Connection, Peer};
use crate::response::RefusalResponse;
use body::{HeldRoom, Timed};
use pulse::{Beating, Pulse};
pub use rules::Hosts;

/// Requests that may be under way over one connection (HTTP/2).
pub const STREAMS: u32 = 32;
/// The largest head of a request, in bytes.
const HEAD: u32 = 32 * 1024;
/// What one stream may have received and not read, in bytes.
const STREAM_WINDOW: u32 = 64 * 1024;
/// What one connection may have received and not read, in bytes.
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// What one stream may have to send, in bytes, before its answer has to wait.
const SEND_BUFFER: usize = 256 * 1024;
/// How often an idle connection is asked whether it still lives (HTTP/2), and how long it has to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// How long the parts of an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first byte of a request, or from the beginning of a connection, to the end of the request's head.
    pub head: Duration,
    /// From the end of the head to the end of the body.
    pub body: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For which a client may take nothing of an answer that is ready.
    pub answer: Duration,
}

impl Limits {
    /// For App Mesh's API. Clients keep connections for 90 s at the most, so that they never use one that is just closed.
    pub const API: Self = Self {
        head: Duration::from_secs(10),
        body: Duration::from_secs(30),
        idle: Duration::from_secs(120),
        answer: Duration::from_secs(30),
    };
    /// For instances that join: two small requests, one after the other.
    pub const JOIN: Self = Self {
        head: Duration::from_secs(5),
        body: Duration::from_secs(5),
        idle: Duration::from_secs(10),
        answer: Duration::from_secs(10),
    };
}

/// Serves `router` on `listener` until `shutdown`; then ends what is under way and returns.
pub async fn serve(
    mut listener: BoundListener,
    router: Router,
    limits: Limits,
    hosts: Hosts,
    shutdown: CancellationToken,
) {
    let mut connections = JoinSet::new();
    let hosts = Arc::new(hosts);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            connection = listener.connection() => {
                let (router, hosts, stop) = (router.clone(), Arc::clone(&hosts), shutdown.clone());
                connections.spawn(exchange(connection, router, limits, hosts, stop));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection until either side ends it.
async fn exchange(
    connection: Connection,
    router: Router,
    limits: Limits,
    hosts: Arc<Hosts>,
    shutdown: CancellationToken,
) {
    let peer = connection.connect_info();
    let pulse = Arc::new(Pulse::new(limits));
    let io = TokioIo::new(Beating::new(connection, Arc::clone(&pulse)));
    let service = service_fn({
        let (pulse, peer) = (Arc::clone(&pulse), peer.clone());
        move |request| answer(request, router.clone(), peer.clone(), Arc::clone(&pulse), Arc::clone(&hosts))
    });
    let builder = builder();
    let mut served = std::pin::pin!(builder.serve_connection(io, service));
    let unwanted = async {
        match &peer.guest {
            Some(guest) => guest.end().cancelled().await,
            None => std::future::pending().await,
        }
    };
    let mut cut = std::pin::pin!(async {
        tokio::select! {
            () = pulse.overdue() => {}
            () = unwanted => {}
        }
    });
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = cut.as_mut() => return,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served.as_mut() => ended,
                () = cut => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(usize::try_from(HEAD).unwrap_or(usize::MAX));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    builder
}

async fn answer(
    request: Request<Incoming>,
    router: Router,
    peer: Peer,
    pulse: Arc<Pulse>,
    hosts: Arc<Hosts>,
) -> Result<Response<Body>, Infallible> {
    let under_way = pulse.begin(request.version() == Version::HTTP_2);
    let limit = pulse.limits().body;
    let (mut head, body) = request.into_parts();
    let response = match rules::check(&head, &hosts) {
        Err(refusal) => RefusalResponse(refusal).into_response(),
        Ok(()) => {
            head.extensions.insert(peer);
            let request = Request::from_parts(head, Body::new(Timed::new(body, limit)));
            let Ok(response) = router.oneshot(request).await;
            response
        }
    };
    Ok(response.map(|body| Body::new(HeldRoom::new(body, under_way))))
}
