//! The listener: TLS, and so much time and room for each connection and each request.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use crate::patient::Patient;

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
/// What is encrypted and not sent yet, at most, and for each request over HTTP/2 what is not encrypted yet, in bytes.
const UNSENT: usize = 32 << 10;

/// What connections may take. One is a stranger's until a request over it has shown the token.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Strangers' connections of one source address, of which the oldest gives way.
    pub of_source: usize,
    /// Strangers' connections of all sources.
    pub of_all: usize,
    /// Connections of those who have the token, which has them all in memory; beyond it one counts as a stranger's. A controller has a
    /// connection for each of its watches where it does not speak HTTP/2.
    pub known: usize,
    /// For the handshake of TLS.
    pub handshake: Duration,
    /// From the beginning of a connection, or the end of an answer, to the end of the next request's head (HTTP/1.1). Longer than
    /// clients keep connections that rest.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// Until the other side takes some of what is sent.
    pub taken: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            of_source: 256,
            of_all: 1024,
            known: 4096,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(120),
            body: Duration::from_secs(30),
            taken: Duration::from_secs(60),
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

/// Serves `gate` on `listener` until `shutdown`. A connection beyond the limits of strangers ends an older one.
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
                    let seat = seats.take(source, limits);
                    let given_up = seat.given_up.clone();
                    let connection = (stream, Arc::new(seat));
                    let served =
                        exchange(connection, acceptor.clone(), gate.clone(), limits, shutdown.clone());
                    connections.spawn(async move {
                        tokio::select! {
                            () = served => {}
                            () = given_up.cancelled() => {}
                        }
                    });
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

/// Serves one connection, which has its seat as long, until either side ends it.
async fn exchange(
    (stream, seat): (TcpStream, Arc<Seat>),
    acceptor: TlsAcceptor,
    gate: Gate,
    limits: ConnectionLimits,
    shutdown: CancellationToken,
) {
    // Answers are small and each is waited for: never hold one back to fill a packet.
    let _ = stream.set_nodelay(true);
    let stream = Patient::new(stream, limits.taken);
    let accepted = acceptor.accept_with(stream, |tls| tls.set_buffer_limit(Some(UNSENT)));
    let Ok(Ok(stream)) = within(limits.handshake, &shutdown, accepted).await else { return };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (gate, seat) = (gate.clone(), Arc::clone(&seat));
        async move {
            if gate.is_known(request.headers()) {
                seat.move_to_known(limits);
            }
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
        .max_send_buf_size(UNSENT)
        .max_header_list_size(u32::try_from(HEAD).unwrap_or(u32::MAX))
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE);
    builder
}

/// Which connections there are.
#[derive(Debug, Default)]
struct Taken {
    /// Those of strangers by their source and in the order that they came in, each with what ends it.
    strangers: HashMap<IpAddr, BTreeMap<u64, CancellationToken>>,
    known: usize,
    /// How many there have been.
    count: u64,
}

impl Taken {
    /// Whether a stranger's connection was there, which goes.
    fn leave(&mut self, source: IpAddr, number: u64) -> bool {
        let Some(of_source) = self.strangers.get_mut(&source) else { return false };
        let was_there = of_source.remove(&number).is_some();
        if of_source.is_empty() {
            self.strangers.remove(&source);
        }
        was_there
    }

    /// Ends the oldest connection of a stranger at `source` when there are so many of it, or at the source that has most when there
    /// are so many of all: whoever keeps as many as he may keeps nobody else out, at however many addresses of this host.
    fn make_room(&mut self, source: IpAddr, limits: ConnectionLimits) {
        let of_source = self.strangers.get(&source).map_or(0, BTreeMap::len);
        let fullest = self.strangers.iter().map(|(source, there)| (there.len(), *source)).max();
        let all: usize = self.strangers.values().map(BTreeMap::len).sum();
        let from = match fullest {
            _ if of_source >= limits.of_source => source,
            Some((_, fullest)) if all >= limits.of_all => fullest,
            _ => return,
        };
        let Some(there) = self.strangers.get_mut(&from) else { return };
        if let Some((_, oldest)) = there.pop_first() {
            oldest.cancel();
        }
        if there.is_empty() {
            self.strangers.remove(&from);
        }
    }
}

/// Who has how many connections.
#[derive(Clone, Debug, Default)]
struct Seats(Arc<Mutex<Taken>>);

/// A connection's seat, free again when it is dropped.
struct Seat {
    seats: Seats,
    source: IpAddr,
    number: u64,
    /// Changed while `seats` are locked alone.
    is_known: AtomicBool,
    /// The connection has to end: others need its seat.
    given_up: CancellationToken,
}

impl Seats {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat among strangers.
    fn take(&self, source: SocketAddr, limits: ConnectionLimits) -> Seat {
        let (source, given_up) = (source.ip(), CancellationToken::new());
        let mut taken = self.lock();
        taken.make_room(source, limits);
        taken.count += 1;
        let number = taken.count;
        taken.strangers.entry(source).or_default().insert(number, given_up.clone());
        drop(taken);
        Seat { seats: self.clone(), source, number, is_known: AtomicBool::new(false), given_up }
    }
}

impl Seat {
    /// Takes a seat among the known instead, if one is free.
    fn move_to_known(&self, limits: ConnectionLimits) {
        if self.is_known.load(Ordering::Relaxed) {
            return;
        }
        let mut taken = self.seats.lock();
        // One that was given up, or is known by another of its requests, is no stranger's.
        if taken.known < limits.known && taken.leave(self.source, self.number) {
            taken.known += 1;
            self.is_known.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if *self.is_known.get_mut() {
            taken.known -= 1;
        } else {
            taken.leave(self.source, self.number);
        }
    }
}

#[cfg(test)]
mod tests;
