//! Queries that are not the mesh's, on their way to the upstream and back. They are passed as they are, but for their id, which is a
//! new one on a port that is a new one: whoever would answer in the upstream's place has to guess both.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::message;

/// How long a server has for an answer: clients ask again after 5 s, and the next server shall have a turn before.
const UDP_LIMIT: Duration = Duration::from_secs(2);
/// The same over TCP, with the connection.
const TCP_LIMIT: Duration = Duration::from_secs(5);
/// How many queries wait for answers at once. Those beyond fail at once, and names of the mesh are answered all the same.
const IN_FLIGHT: usize = 256;
/// The largest message (RFC 1035: its length has 16 bits over TCP).
const LARGEST: usize = 65_535;

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Connections.
    Tcp,
}

/// Forwards to some servers.
#[derive(Debug)]
pub struct Forwarder {
    servers: RwLock<Vec<SocketAddr>>,
    /// Counts the servers that did not answer: the one that does is asked first.
    preferred: AtomicUsize,
    in_flight: Semaphore,
}

impl Forwarder {
    /// Forwards to `servers`, the first one first.
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        let servers = RwLock::new(servers);
        Self { servers, preferred: AtomicUsize::new(0), in_flight: Semaphore::new(IN_FLIGHT) }
    }

    /// The servers.
    pub fn servers(&self) -> Vec<SocketAddr> {
        self.servers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks `server` nothing any more.
    pub fn leave_out(&self, server: SocketAddr) {
        self.servers.write().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != server);
    }

    /// The answer to `query`, of the first server that gives one; none when none does, or too many queries wait.
    pub async fn ask(&self, query: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let _place = self.in_flight.try_acquire().ok()?;
        let servers = self.servers();
        let first = self.preferred.load(Ordering::Relaxed);
        for turn in 0..servers.len() {
            let server = *servers.get((first + turn) % servers.len())?;
            match one(server, query, transport).await {
                Ok(answer) => return Some(answer),
                Err(reason) => {
                    tracing::debug!(%server, reason, "no answer");
                    self.preferred.store((first + turn + 1) % servers.len(), Ordering::Relaxed);
                }
            }
        }
        None
    }
}

/// The answer of `server` to `query`, with the query's id.
///
/// # Errors
/// In words: there is none in time.
pub async fn one(server: SocketAddr, query: &[u8], transport: Transport) -> Result<Vec<u8>, String> {
    let own = message::id(query).ok_or("it is no message")?;
    let asked = message::with_id(query, message::random());
    let late = |limit: Duration| format!("it does not answer within {limit:?}");
    let answer = match transport {
        Transport::Udp => {
            timeout(UDP_LIMIT, by_datagram(server, &asked)).await.map_err(|_| late(UDP_LIMIT))?
        }
        Transport::Tcp => {
            timeout(TCP_LIMIT, by_connection(server, &asked)).await.map_err(|_| late(TCP_LIMIT))?
        }
    };
    Ok(message::with_id(&answer.map_err(|error| error.to_string())?, own))
}

async fn by_datagram(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // The kernel takes datagrams of nobody else then.
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; LARGEST];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let answer = buffer.get(..length).unwrap_or_default();
        if message::is_answer(answer, query) {
            return Ok(answer.to_vec());
        }
    }
}

async fn by_connection(server: SocketAddr, query: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write(&mut stream, query).await?;
    let answer = read(&mut stream).await?;
    if message::is_answer(&answer, query) {
        Ok(answer)
    } else {
        Err(std::io::Error::other("it answers something else"))
    }
}

/// Reads a message from a connection.
///
/// # Errors
/// It ended, or failed.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes a message to a connection.
///
/// # Errors
/// It is longer than a message can be, or the connection failed.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    // In one piece: some servers want to read both at once.
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, Query, ResponseCode};
    use hickory_proto::rr::{Name, RecordType};
    use tokio::net::TcpListener;

    use super::*;

    fn query() -> Vec<u8> {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii("example.com.").expect("a name"), RecordType::A));
        message.to_vec().expect("bytes")
    }

    fn answer(query: &[u8]) -> Vec<u8> {
        message::failure(query, ResponseCode::NXDomain).expect("an answer")
    }

    async fn server() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let address = socket.local_addr().expect("its address");
        (socket, address)
    }

    #[tokio::test]
    async fn an_answer_with_a_guessed_id_is_not_taken() {
        let (socket, address) = server().await;
        let forwarder = Forwarder::new(vec![address]);
        let asked = query();
        let serve = async {
            let mut buffer = [0; 512];
            let (length, from) = socket.recv_from(&mut buffer).await.expect("a query");
            let received = buffer[..length].to_vec();
            let id = message::id(&received).expect("an id");
            for wrong in [id.wrapping_add(1), id ^ 0x8000] {
                socket.send_to(&message::with_id(&answer(&received), wrong), from).await.expect("sent");
            }
            socket.send_to(&answer(&received), from).await.expect("sent");
        };
        let (answered, ()) = tokio::join!(forwarder.ask(&asked, Transport::Udp), serve);
        assert_eq!(answered.expect("an answer"), answer(&asked), "with the client's own id");
    }

    #[tokio::test]
    async fn the_server_that_answers_is_asked_first_afterwards() {
        let (gone, nobody) = server().await;
        drop(gone);
        let (socket, address) = server().await;
        let forwarder = Forwarder::new(vec![nobody, address]);
        let serve = async {
            for _ in 0..2 {
                let mut buffer = [0; 512];
                let (length, from) = socket.recv_from(&mut buffer).await.expect("a query");
                socket.send_to(&answer(&buffer[..length]), from).await.expect("sent");
            }
        };
        let ask = async {
            assert!(forwarder.ask(&query(), Transport::Udp).await.is_some());
            assert_eq!(forwarder.preferred.load(Ordering::Relaxed), 1);
            assert!(forwarder.ask(&query(), Transport::Udp).await.is_some());
        };
        tokio::join!(ask, serve);
        forwarder.leave_out(nobody);
        assert_eq!(forwarder.servers(), [address]);
    }

    #[tokio::test]
    async fn connections_carry_what_is_large() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let forwarder = Forwarder::new(vec![listener.local_addr().expect("its address")]);
        let asked = query();
        let large = |query: &[u8]| [answer(query), vec![0; 40_000]].concat();
        let serve = async {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let received = read(&mut stream).await.expect("a query");
            write(&mut stream, &large(&received)).await.expect("written");
        };
        let (answered, ()) = tokio::join!(forwarder.ask(&asked, Transport::Tcp), serve);
        assert_eq!(answered.expect("an answer"), large(&asked));
    }

    #[tokio::test]
    async fn more_than_can_wait_fail_at_once() {
        let (_silent, address) = server().await;
        let forwarder = Forwarder::new(vec![address]);
        let places = u32::try_from(IN_FLIGHT).expect("few");
        let taken = forwarder.in_flight.acquire_many(places).await.expect("all places");
        assert_eq!(forwarder.ask(&query(), Transport::Udp).await, None);
        drop(taken);
    }
}
