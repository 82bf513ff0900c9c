//! The listener: TLS, and so much time and room for each connection and each request.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::body::Timed;
use crate::gate::Gate;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long to wait when the system has no connection to give, for example for want of file descriptors.
const EXHAUSTED: Duration = Duration::from_secs(1);
/// How long connections may take to end after the shutdown.
const FAREWELL: Duration = Duration::from_secs(3);
/// The largest head of a request, in bytes.
const HEAD: usize = 64 << 10;
/// Requests that may be under way over one connection (HTTP/2); a client has a watch for each kind.
const STREAMS: u32 = 250;
/// How often an idle connection is asked whether it still lives (HTTP/2), and how long it has to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections of one source address.
    pub of_source: usize,
    /// Connections of all sources.
    pub of_all: usize,
    /// For the handshake of TLS.
    pub handshake: Duration,
    /// From the beginning of a connection, or the end of an answer, to the end of the next request's head (HTTP/1.1). Longer than
    /// clients keep connections that rest.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            of_source: 256,
            of_all: 1024,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(120),
            body: Duration::from_secs(30),
        }
    }
}

/// Binds `address`; port 0 takes a free one.
///
/// # Errors
/// The system's.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart takes the port back while connections of the last run still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `gate` on `listener` until `shutdown`. A connection beyond the limits is closed at once.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    gate: Gate,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    let (seats, acceptor, mut connections) = (Seats::default(), TlsAcceptor::from(tls), JoinSet::new());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => {
                    if let Some(seat) = seats.take(source, limits) {
                        let served = exchange(stream, acceptor.clone(), gate.clone(), limits, shutdown.clone());
                        connections.spawn(async move {
                            let _seat = seat;
                            served.await;
                        });
                    }
                }
                Err(_) => tokio::time::sleep(EXHAUSTED).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    // Who has not taken its answer by then is cut off with the set.
    let _ = tokio::time::timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

/// Serves one connection until either side ends it.
async fn exchange(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    gate: Gate,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    // Answers are small and each is waited for: never hold one back to fill a packet.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = within(limits.handshake, &shutdown, acceptor.accept(stream)).await else { return };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let gate = gate.clone();
        async move {
            let request = request.map(|body| Body::new(Timed::new(body, limits.body)));
            Ok::<_, Infallible>(gate.answer(request).await)
        }
    });
    let builder = builder(limits);
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Clients that go away, or send what is no request, concern nobody here.
    tokio::select! {
        _ = served.as_mut() => {}
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
}

/// What `work` comes to, unless it takes too long or the program ends.
async fn within<T>(
    limit: Duration,
    shutdown: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<T, ()> {
    tokio::select! {
        done = tokio::time::timeout(limit, work) => done.map_err(drop),
        () = shutdown.cancelled() => Err(()),
    }
}

fn builder(limits: ConnectionLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    builder
}

/// Who has how many connections.
#[derive(Clone, Debug, Default)]
struct Seats(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's seat, free again when it is dropped.
struct Seat(Seats, IpAddr);

impl Seats {
    fn take(&self, source: SocketAddr, limits: ConnectionLimits) -> Option<Seat> {
        let source = source.ip();
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().sum::<usize>() >= limits.of_all {
            return None;
        }
        let of_source = taken.entry(source).or_default();
        if *of_source >= limits.of_source {
            return None;
        }
        *of_source += 1;
        Some(Seat(self.clone(), source))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_source) = taken.get_mut(&self.1) {
            *of_source -= 1;
            if *of_source == 0 {
                taken.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_has_so_many_connections_and_others_have_theirs() {
        let seats = Seats::default();
        let source = |last| SocketAddr::from(([10, 0, 0, last], 1));
        let limits = ConnectionLimits { of_source: 2, of_all: 3, ..ConnectionLimits::default() };
        let mine = [seats.take(source(1), limits), seats.take(source(1), limits)];
        assert!(mine.iter().all(Option::is_some) && seats.take(source(1), limits).is_none());
        let other = seats.take(source(2), limits);
        assert!(other.is_some() && seats.take(source(3), limits).is_none(), "no room for more of all");
        drop(mine);
        assert!(seats.take(source(1), limits).is_some());
    }
}
