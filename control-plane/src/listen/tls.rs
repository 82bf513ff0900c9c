//! A listener that speaks TLS: handshakes run beside each other, so that a slow or silent client holds up nobody, and a
//! connection ends with the certificate that it was made with.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{accept_tcp, tcp_address};
use crate::tls::{Caller, Purpose, Tls};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes that may be under way; further clients wait in the listen queue.
const HANDSHAKES: usize = 1024;
/// How long a connection outlives its certificate, or a refusal: its streams are told why they end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A bound listener whose connections are over TLS.
#[derive(Debug)]
pub struct TlsListener {
    listener: TcpListener,
    purpose: Purpose,
    tls: Tls,
    handshakes: JoinSet<Option<Box<TlsConnection>>>,
}

impl TlsListener {
    pub(super) fn new(listener: TcpListener, purpose: Purpose, tls: Tls) -> Self {
        Self { listener, purpose, tls, handshakes: JoinSet::new() }
    }

    pub(super) fn address(&self) -> String {
        tcp_address(&self.listener)
    }

    /// The next connection whose handshake is complete. Cancelling loses none.
    pub(super) async fn accept(&mut self) -> io::Result<Box<TlsConnection>> {
        loop {
            tokio::select! {
                accepted = accept_tcp(&self.listener), if self.handshakes.len() < HANDSHAKES => {
                    let (purpose, tls) = (self.purpose, self.tls.clone());
                    self.handshakes.spawn(handshake(accepted?, purpose, tls));
                }
                Some(ended) = self.handshakes.join_next() => if let Ok(Some(connection)) = ended {
                    return Ok(connection);
                },
            }
        }
    }
}

async fn handshake(stream: TcpStream, purpose: Purpose, tls: Tls) -> Option<Box<TlsConnection>> {
    let peer = stream.peer_addr().ok();
    let material = tls.material.borrow().clone();
    let accepting = TlsAcceptor::from(material.config(purpose)?).accept(stream);
    let failure = match timeout(HANDSHAKE, accepting).await {
        Ok(Ok(stream)) => {
            let chain = stream.get_ref().1.peer_certificates();
            let caller = material.caller(chain, &tls.identity, SystemTime::now());
            return Some(Box::new(TlsConnection::new(stream, caller, purpose)));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it took longer than {HANDSHAKE:?}"),
    };
    // Whoever scans ports does this all the time.
    tracing::debug!(?peer, failure, "a TLS handshake failed");
    None
}

/// An accepted connection over TLS. One of a proxy ends with its certificate, and after a refusal: the proxy makes another,
/// with the certificate that it has then, which may be a better one.
pub struct TlsConnection {
    stream: TlsStream<TcpStream>,
    caller: Caller,
    refused: CancellationToken,
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl TlsConnection {
    fn new(stream: TlsStream<TcpStream>, caller: Caller, purpose: Purpose) -> Self {
        let refused = CancellationToken::new();
        let end = (purpose == Purpose::Proxies).then(|| ending(&caller, refused.clone()));
        Self { stream, caller, refused, end }
    }

    /// What a refusal cancels.
    pub fn refused(&self) -> &CancellationToken {
        &self.refused
    }

    /// Who is at the other end.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) fn socket(&self) -> &TcpStream {
        self.stream.get_ref().0
    }
}

/// Ends when the connection shall.
fn ending(caller: &Caller, refused: CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let left = match caller {
        Caller::Certified(certificate) => {
            certificate.not_after.duration_since(SystemTime::now()).unwrap_or_default()
        }
        Caller::Local | Caller::Unproven(_) => HANDSHAKE,
    };
    Box::pin(async move {
        // Over, or refused: both end it.
        let _ = timeout(left, refused.cancelled()).await;
        sleep(LAST_WORDS).await;
    })
}

impl std::fmt::Debug for TlsConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsConnection").field("caller", &self.caller).finish_non_exhaustive()
    }
}

impl AsyncRead for TlsConnection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(end) = &mut this.end
            && end.as_mut().poll(cx).is_ready()
        {
            // Nothing read is the end of the connection.
            this.end = Some(Box::pin(std::future::ready(())));
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
