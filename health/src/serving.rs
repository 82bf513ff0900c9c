//! Serves the pages to whoever reaches the listener, which asks nobody who they are: each source has so many connections, and
//! each connection so much time, however slowly it writes or reads.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The largest head of a request, in bytes.
const HEAD: usize = 16 * 1024;
/// How long connections may take to end after the shutdown.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long to wait when the system has no connection to give, for example for want of file descriptors.
const EXHAUSTED: Duration = Duration::from_secs(1);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Connections of one source address; a kubelet and a Prometheus have one or two.
    pub of_source: usize,
    /// Connections of all sources.
    pub of_all: usize,
    /// From the beginning of a connection, or of a request after the first, to the end of the request's head.
    pub head: Duration,
    /// From the beginning to the end of a connection. Who scrapes more often than that connects anew.
    pub connection: Duration,
}

/// The limits of the health listeners.
pub const LIMITS: ConnectionLimits = ConnectionLimits {
    of_source: 32,
    of_all: 512,
    head: Duration::from_secs(10),
    connection: Duration::from_secs(60),
};

/// Serves `router` on `listener` until `shutdown`. A connection beyond the limits is closed at once.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    let (seats, mut connections) = (Seats::default(), JoinSet::new());
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, source)) => {
                    if let Some(seat) = seats.take(source, limits) {
                        let served = exchange(stream, router.clone(), limits, shutdown.clone());
                        connections.spawn(async move {
                            let _seat = seat;
                            // Whatever it was doing: its time is over.
                            let _ = tokio::time::timeout(limits.connection, served).await;
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
async fn exchange(stream: TcpStream, router: Router, limits: ConnectionLimits, shutdown: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(HEAD);
    let served = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = std::pin::pin!(served);
    // Clients that go away, or send what is no request, concern nobody here.
    tokio::select! {
        _ = served.as_mut() => {}
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            let _ = served.await;
        }
    }
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
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// More than the buffers of a connection take.
    const BODY: usize = 64 << 20;

    const TIGHT: ConnectionLimits = ConnectionLimits {
        of_source: 1,
        of_all: 512,
        head: Duration::from_millis(50),
        connection: Duration::from_millis(200),
    };

    async fn served(
        limits: ConnectionLimits,
    ) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("bound");
        let (address, shutdown) = (listener.local_addr().expect("an address"), CancellationToken::new());
        let router = Router::new().route("/", get(|| async { "x".repeat(BODY) }));
        let served = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
        (address, shutdown, served)
    }

    /// What is left of the connection; a reset ends it, too.
    async fn rest(mut connection: TcpStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = connection.read_to_end(&mut bytes).await;
        bytes
    }

    #[tokio::test]
    async fn a_connection_that_sends_no_head_or_takes_no_answer_is_ended() {
        let (address, shutdown, served) = served(TIGHT).await;
        let mut silent = TcpStream::connect(address).await.expect("connected");
        silent.write_all(b"GET / HTTP/1.1\r\nHost: ").await.expect("sent");
        rest(silent).await;
        let mut lazy = TcpStream::connect(address).await.expect("connected");
        lazy.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
        let mut first = [0; 12];
        lazy.read_exact(&mut first).await.expect("an answer begins");
        // Another connection is served only when that one, which takes nothing more, has been cut off.
        loop {
            let mut next = TcpStream::connect(address).await.expect("connected");
            let asked = next.write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
            if asked.is_ok() && rest(next).await.starts_with(b"HTTP/1.1 200") {
                break;
            }
        }
        assert!(rest(lazy).await.len() < BODY);
        shutdown.cancel();
        served.await.expect("no panic");
    }

    #[tokio::test]
    async fn one_source_has_so_many_connections_and_others_have_theirs() {
        let seats = Seats::default();
        let source = |last| SocketAddr::from(([10, 0, 0, last], 1));
        let limits = ConnectionLimits { of_source: 2, of_all: 3, ..TIGHT };
        let mine = [seats.take(source(1), limits), seats.take(source(1), limits)];
        assert!(mine.iter().all(Option::is_some) && seats.take(source(1), limits).is_none());
        let other = seats.take(source(2), limits);
        assert!(other.is_some() && seats.take(source(3), limits).is_none(), "no room for more of all");
        drop(mine);
        assert!(seats.take(source(1), limits).is_some());
    }
}
