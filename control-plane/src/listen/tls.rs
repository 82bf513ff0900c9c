//! A listener that speaks TLS: handshakes run concurrently, so that a slow or silent client holds up nobody, and a connection ends
//! with the certificate that it was made with, or when its CA is no longer trusted.
//!
//! `accepted → the client speaks → its turn (queue) → handshake → proved (members), or one of so many without proof (guests)`
//!
//! A client that says nothing takes no handshake from others. The bounds by source are in [`queue`] and [`crowd`].
//!
//! [`queue`]: super::queue
//! [`crowd`]: super::crowd

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use futures::FutureExt as _;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet, spawn_blocking};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::bounds::Bounds;
use super::crowd::Crowd;
use super::guests::{Guest, Guests};
use super::members::{Member, MemberSeats};
use super::queue::{HandshakeQueue, QueueStep};
use super::source::Source;
use super::{accept_tcp, tcp_address};
use crate::tls::{Caller, Material, Purpose, Tls};

/// How long a handshake may take, from its turn on; and how long a client may be silent before.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// How long a connection outlives its certificate, or a refusal: its streams get the reason why they end.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How many chains are judged at the same time.
static JUDGING: Semaphore = Semaphore::const_new(2);
/// Of how many sources the bounds may be taken in full at the same time.
const SOURCES: usize = 4;

/// A bound listener whose connections are over TLS.
#[derive(Debug)]
pub struct TlsListener {
    listener: TcpListener,
    purpose: Purpose,
    tls: Tls,
    /// Who may have a place before its handshake.
    lobby: Crowd,
    queue: HandshakeQueue,
    /// Those who have spoken and wait for their turn.
    waiting: HashMap<u64, TcpStream>,
    tasks: JoinSet<HandshakeOutcome>,
    /// What each task is about.
    about: HashMap<Id, (Source, u64)>,
    aborts: HashMap<u64, AbortHandle>,
    places: Places,
    last: u64,
}

/// Who is here after the handshake.
#[derive(Clone, Debug)]
struct Places {
    /// Those without proof.
    guests: Guests,
    /// Those with it.
    members: MemberSeats,
}

/// A place among them.
#[derive(Clone, Debug)]
enum HandshakePlace {
    Guest(Arc<Guest>),
    Member(Arc<Member>),
}

impl Places {
    fn take(&self, caller: &Caller, source: Source) -> HandshakePlace {
        match caller {
            Caller::Certified(certificate) => {
                HandshakePlace::Member(Arc::new(self.members.enter(certificate.holder)))
            }
            Caller::Local | Caller::Unproven(_) => HandshakePlace::Guest(Arc::new(self.guests.enter(source))),
        }
    }
}

/// How a task ended.
enum HandshakeOutcome {
    /// The client has something to say.
    Spoke(TcpStream),
    /// It said nothing, or is gone.
    Silent,
    /// The handshake is complete.
    Shaken(Box<TlsConnection>),
    /// It failed.
    Failed,
}

impl TlsListener {
    pub(super) fn new(listener: TcpListener, purpose: Purpose, tls: Tls, bounds: Bounds) -> Self {
        let Bounds { handshakes, waiting, connections, idle } = bounds;
        let of = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        Self {
            listener,
            purpose,
            tls,
            lobby: Crowd::new(of(waiting), of(waiting).saturating_mul(SOURCES)),
            queue: HandshakeQueue::new(of(handshakes)),
            waiting: HashMap::new(),
            tasks: JoinSet::new(),
            about: HashMap::new(),
            aborts: HashMap::new(),
            places: Places {
                guests: Guests::new(of(connections), of(connections).saturating_mul(SOURCES)),
                members: MemberSeats::new(of(idle)),
            },
            last: 0,
        }
    }

    pub(super) fn address(&self) -> String {
        tcp_address(&self.listener)
    }

    /// The next connection whose handshake is complete. Cancelling loses none.
    pub(super) async fn accept(&mut self) -> io::Result<Box<TlsConnection>> {
        loop {
            self.advance(Instant::now());
            let due = self.queue.due();
            let late = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                accepted = accept_tcp(&self.listener) => self.arrive(accepted?),
                Some(ended) = self.tasks.join_next_with_id() => if let Some(connection) = self.ended(ended) {
                    return Ok(connection);
                },
                () = late => {}
            }
        }
    }

    /// Takes in one that has just connected.
    fn arrive(&mut self, stream: TcpStream) {
        // Gone already.
        let Ok(peer) = stream.peer_addr() else { return };
        let source = Source::from(peer.ip());
        self.last += 1;
        let id = self.last;
        if let Some((source, oldest)) = self.lobby.enter(source, id) {
            tracing::debug!(
                ?source,
                "the oldest of too many connections that wait for a handshake is closed"
            );
            self.forget(source, oldest);
        }
        self.run(source, id, spoke(stream));
    }

    fn run(
        &mut self,
        source: Source,
        id: u64,
        task: impl Future<Output = HandshakeOutcome> + Send + 'static,
    ) {
        let handle = self.tasks.spawn(task);
        self.about.insert(handle.id(), (source, id));
        self.aborts.insert(id, handle);
    }

    /// Closes one that waits, whose handshake is under way, or that has not spoken.
    fn forget(&mut self, source: Source, id: u64) {
        self.waiting.remove(&id);
        self.queue.leave(source, id);
        if let Some(task) = self.aborts.remove(&id) {
            task.abort();
        }
    }

    /// Begins the handshakes whose turn it is, and drops those that have to make room.
    fn advance(&mut self, now: Instant) {
        while let Some(step) = self.queue.overdue(now).or_else(|| self.queue.step(now)) {
            match step {
                QueueStep::Drop(source, id) => {
                    tracing::debug!(?source, "a TLS handshake is dropped: others wait for it");
                    self.forget(source, id);
                }
                QueueStep::Begin(source, id) => {
                    self.lobby.leave(source, id);
                    match self.waiting.remove(&id).filter(is_open) {
                        Some(stream) => {
                            let task = handshake(
                                stream,
                                source,
                                self.purpose,
                                self.tls.clone(),
                                self.places.clone(),
                            );
                            self.run(source, id, task);
                        }
                        None => self.queue.leave(source, id),
                    }
                }
            }
        }
    }

    /// Takes in what became of a task; answers a connection that is complete.
    fn ended(&mut self, ended: Result<(Id, HandshakeOutcome), JoinError>) -> Option<Box<TlsConnection>> {
        let (task, outcome) = match ended {
            Ok((task, outcome)) => (task, outcome),
            Err(aborted) => (aborted.id(), HandshakeOutcome::Failed),
        };
        let (source, id) = self.about.remove(&task)?;
        let known = self.aborts.remove(&id).is_some();
        match outcome {
            HandshakeOutcome::Spoke(stream) if known => {
                self.waiting.insert(id, stream);
                self.queue.wait(source, id);
            }
            HandshakeOutcome::Spoke(_) | HandshakeOutcome::Silent => self.lobby.leave(source, id),
            HandshakeOutcome::Shaken(connection) => {
                self.queue.leave(source, id);
                return Some(connection);
            }
            HandshakeOutcome::Failed => {
                self.lobby.leave(source, id);
                self.queue.leave(source, id);
            }
        }
        None
    }
}

/// Waits until the client has something to say.
async fn spoke(stream: TcpStream) -> HandshakeOutcome {
    match timeout(HANDSHAKE, stream.peek(&mut [0])).await {
        Ok(Ok(1..)) => HandshakeOutcome::Spoke(stream),
        _ => HandshakeOutcome::Silent,
    }
}

/// Whether the client has not closed the connection while it waited.
fn is_open(stream: &TcpStream) -> bool {
    let ready = stream.ready(Interest::READABLE).now_or_never();
    !ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed()))
}

async fn handshake(
    stream: TcpStream,
    source: Source,
    purpose: Purpose,
    tls: Tls,
    places: Places,
) -> HandshakeOutcome {
    let material = tls.material.borrow().clone();
    let Some(config) = material.config(purpose) else { return HandshakeOutcome::Failed };
    let failure = match timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => {
            let chain = stream.get_ref().1.peer_certificates().map(<[_]>::to_vec);
            let Some(caller) = judged(material, chain, &tls).await else { return HandshakeOutcome::Failed };
            let place = places.take(&caller, source);
            return HandshakeOutcome::Shaken(Box::new(TlsConnection::new(
                stream, caller, purpose, tls, place,
            )));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it took longer than {HANDSHAKE:?}"),
    };
    // Whoever scans ports does this all the time.
    tracing::debug!(?source, failure, "a TLS handshake failed");
    HandshakeOutcome::Failed
}

/// Whom `chain` proves. The dearest chain that is looked at takes milliseconds, which are not those of the threads that serve
/// everybody else. Nothing when the runtime ends.
async fn judged(
    material: Arc<Material>,
    chain: Option<Vec<CertificateDer<'static>>>,
    tls: &Tls,
) -> Option<Caller> {
    let identity = Arc::clone(&tls.identity);
    let judge = move || material.caller(chain.as_deref(), &identity, SystemTime::now());
    let judging = JUDGING.acquire().await.ok()?;
    let judged = spawn_blocking(move || {
        let caller = judge();
        drop(judging);
        caller
    });
    judged.await.ok()
}

/// An accepted connection over TLS. One of a proxy ends with its certificate, and after a refusal: the proxy makes another,
/// with the certificate that it has then, which may be a better one.
pub struct TlsConnection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    refused: CancellationToken,
    place: HandshakePlace,
    end: Option<End>,
}

impl TlsConnection {
    fn new(
        stream: TlsStream<TcpStream>,
        caller: Caller,
        purpose: Purpose,
        tls: Tls,
        place: HandshakePlace,
    ) -> Self {
        let refused = CancellationToken::new();
        let unwanted = match &place {
            HandshakePlace::Guest(guest) => guest.end().clone(),
            HandshakePlace::Member(member) => member.end().clone(),
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
        let own = (purpose == Purpose::Proxies).then(|| ending(&caller, tls, chain, refused.clone()));
        let end = Some(first_of(own, unwanted));
        Self { stream, caller, refused, place, end }
    }

    /// What a refusal cancels.
    pub fn refused(&self) -> &CancellationToken {
        &self.refused
    }

    /// Who is at the other end.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Its place among those without proof, if it has one.
    pub(super) fn guest(&self) -> Option<Arc<Guest>> {
        match &self.place {
            HandshakePlace::Guest(guest) => Some(Arc::clone(guest)),
            HandshakePlace::Member(_) => None,
        }
    }

    /// Its place among those of its certificate's holder, if it has one.
    pub(super) fn member(&self) -> Option<Arc<Member>> {
        match &self.place {
            HandshakePlace::Guest(_) => None,
            HandshakePlace::Member(member) => Some(Arc::clone(member)),
        }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        self.stream.get_ref().0
    }
}

/// Completes when a connection has to end.
type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends at once when it is one too many, else when it has to.
fn first_of(own: Option<End>, unwanted: CancellationToken) -> End {
    Box::pin(async move {
        match own {
            Some(own) => _ = unwanted.run_until_cancelled(own).await,
            None => unwanted.cancelled().await,
        }
    })
}

/// Ends when the connection shall: its certificate is over, or trusted no more, or it was refused.
fn ending(caller: &Caller, tls: Tls, chain: Vec<CertificateDer<'static>>, refused: CancellationToken) -> End {
    let Caller::Certified(certificate) = caller else {
        return Box::pin(async move {
            let _ = timeout(HANDSHAKE, refused.cancelled()).await;
            sleep(LAST_WORDS).await;
        });
    };
    let certificate = Arc::clone(certificate);
    Box::pin(async move {
        let left = certificate.not_after.duration_since(SystemTime::now()).unwrap_or_default();
        tokio::select! {
            () = sleep(left) => {}
            () = refused.cancelled() => {}
            // Its streams end by this.
            () = tls.distrusts(&chain) => certificate.distrusted.cancel(),
        }
        sleep(LAST_WORDS).await;
    })
}

impl std::fmt::Debug for TlsConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsConnection").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl TlsConnection {
    /// Whether it has to end now; if not, whoever asks is woken when it has to.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let over = self.end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready());
        if over {
            self.end = Some(Box::pin(std::future::ready(())));
        }
        over
    }
}

impl AsyncRead for TlsConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.is_over(cx) {
            // Nothing read is the end of the connection.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
