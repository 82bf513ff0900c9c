//! The sockets: queries come, answers go. Each query is on its own; none waits for another but on one connection.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::forward::{self, Forwarder, Transport};
use crate::loops::LoopProbe;
use crate::message::{self, Decision};
use crate::names::VirtualNames;
use crate::{Error, asker};

/// The largest query that is read, in bytes: a question with its options has some hundred.
const LARGEST: usize = 4096;
/// How many connections there are at once; more are closed.
const CONNECTIONS: usize = 64;
/// How long a connection may be idle, or take for one query.
const IDLE: Duration = Duration::from_secs(10);
/// How many connections may wait to be taken.
const BACKLOG: u32 = 64;
/// The pause after the system gives no connection, for want of descriptors for example.
const PAUSE: Duration = Duration::from_secs(1);

/// The sockets of one address, TCP's not open yet.
pub struct Sockets {
    udp: UdpSocket,
    tcp: TcpSocket,
}

impl Sockets {
    /// Takes the address.
    ///
    /// # Errors
    /// [`Error::Bind`].
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let failed = |source| Error::Bind { address, source };
        let udp = UdpSocket::bind(address).await.map_err(failed)?;
        let tcp =
            if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(failed)?;
        tcp.set_reuseaddr(true).map_err(failed)?;
        tcp.bind(address).map_err(failed)?;
        Ok(Self { udp, tcp })
    }
}

/// What answers are made from.
#[derive(Debug)]
pub struct Resolver {
    /// The names of the mesh.
    pub names: watch::Receiver<Arc<VirtualNames>>,
    /// Who knows the others.
    pub forwarder: Forwarder,
    /// The users who get no virtual address: Envoy's.
    pub ignored_uids: BTreeSet<u32>,
    /// Finds out whether the upstream asks this very resolver.
    pub probe: LoopProbe,
}

impl Resolver {
    /// Answers on `sockets` for ever.
    ///
    /// # Errors
    /// [`Error::Bind`]: connections cannot be taken.
    pub async fn serve(self: Arc<Self>, sockets: Sockets) -> Result<(), Error> {
        let Sockets { udp, tcp } = sockets;
        let listener = tcp.listen(BACKLOG).map_err(|source| Error::Bind {
            address: udp.local_addr().unwrap_or_else(|_| ([127, 0, 0, 1], 0).into()),
            source,
        })?;
        tokio::join!(Arc::clone(&self).datagrams(Arc::new(udp)), self.connections(listener));
        Ok(())
    }

    async fn datagrams(self: Arc<Self>, socket: Arc<UdpSocket>) {
        // One more, so that what is too large is seen.
        let mut buffer = [0; LARGEST + 1];
        loop {
            let (length, from) = match socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                // That an answer before reached nobody is said here as well.
                Err(error) => {
                    tracing::debug!(%error, "no datagram");
                    continue;
                }
            };
            if length > LARGEST {
                continue;
            }
            let query = buffer.get(..length).unwrap_or_default().to_vec();
            let (resolver, socket) = (Arc::clone(&self), Arc::clone(&socket));
            tokio::spawn(async move {
                if let Some(answer) = resolver.answer(&query, from, Transport::Udp).await
                    && let Err(error) = socket.send_to(&answer, from).await
                {
                    tracing::debug!(%from, %error, "an answer is lost");
                }
            });
        }
    }

    async fn connections(self: Arc<Self>, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let (stream, from) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::error!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let resolver = Arc::clone(&self);
            tokio::spawn(async move {
                resolver.connection(stream, from).await;
                drop(place);
            });
        }
    }

    /// Answers one query after the other until the client ends, sends something else or nothing.
    async fn connection(&self, mut stream: TcpStream, from: SocketAddr) {
        while let Ok(Ok(query)) = timeout(IDLE, forward::read(&mut stream)).await {
            if query.len() > LARGEST {
                return;
            }
            let Some(answer) = self.answer(&query, from, Transport::Tcp).await else { return };
            let Ok(Ok(())) = timeout(IDLE, forward::write(&mut stream, &answer)).await else { return };
        }
    }

    /// The answer to `query`, if there is any.
    async fn answer(&self, query: &[u8], from: SocketAddr, transport: Transport) -> Option<Vec<u8>> {
        if self.probe.meets(query) {
            return message::failure(query, ResponseCode::Refused);
        }
        let names = Arc::clone(&self.names.borrow());
        match message::decide(query, &names) {
            Decision::Ignore => return None,
            Decision::Reply(answer) => return Some(answer),
            Decision::Ours(answer) if !self.is_ignored(from, transport).await => return Some(answer),
            Decision::Ours(_) | Decision::Forward => {}
        }
        match self.forwarder.ask(query, transport).await {
            Some(answer) => Some(answer),
            None => message::failure(query, ResponseCode::ServFail),
        }
    }

    async fn is_ignored(&self, from: SocketAddr, transport: Transport) -> bool {
        if self.ignored_uids.is_empty() {
            return false;
        }
        let users = asker::users(from, transport).await;
        !users.is_empty() && users.iter().all(|user| self.ignored_uids.contains(user))
    }
}
