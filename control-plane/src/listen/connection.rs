//! A connection of any kind of listener, as one type.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use tokio_util::sync::CancellationToken;

use super::guests::Guest;
use super::members::Member;
use super::tls::TlsConnection;
use crate::tls::Caller;

/// An accepted connection.
#[derive(Debug)]
pub enum Connection {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over TLS.
    Tls(Box<TlsConnection>),
}

/// Where a connection comes from, and from whom.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address; none over a Unix socket.
    pub address: Option<IpAddr>,
    /// Whom it proved to be.
    pub caller: Caller,
    /// To be cancelled when it may not stream: its connection ends then, if it is one over TLS.
    pub refused: CancellationToken,
    /// Its connection's place among those without proof, if it has one.
    pub guest: Option<Arc<Guest>>,
    /// Its connection's place among those of its certificate's holder, if it has one.
    pub member: Option<Arc<Member>>,
}

impl Peer {
    /// Somebody on this host, who is not asked who it is.
    fn local(address: Option<IpAddr>) -> Self {
        Self { address, caller: Caller::Local, refused: CancellationToken::new(), guest: None, member: None }
    }

    /// Whether its connection is counted among those without proof.
    pub fn is_guest(&self) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.counts())
    }

    /// Somebody over TLS who has not proved who he is.
    #[cfg(test)]
    pub(crate) fn stranger() -> Self {
        let address = IpAddr::from([192, 0, 2, 1]);
        let guest = super::guests::Guests::new(1, 1).enter(super::Source::from(address));
        let caller = Caller::Unproven("it is a stranger".into());
        Self { caller, guest: Some(Arc::new(guest)), ..Self::local(Some(address)) }
    }

    /// The caller has proved who it is by what it sent: its connection is not counted among those without proof any more.
    pub fn proved(&self) {
        if let Some(guest) = &self.guest {
            guest.proved();
        }
    }
}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Self::ConnectInfo {
        let ip = |stream: &TcpStream| stream.peer_addr().ok().map(|address| address.ip());
        match self {
            Self::Tcp(stream) => Peer::local(ip(stream)),
            Self::Unix(_) => Peer::local(None),
            Self::Tls(stream) => Peer {
                address: ip(stream.socket()),
                caller: stream.caller().clone(),
                refused: stream.refused().clone(),
                guest: stream.guest(),
                member: stream.member(),
            },
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buffer),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, buffers),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
