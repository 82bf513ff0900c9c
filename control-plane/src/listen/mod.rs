//! Listeners of both servers. Anonymous callers are served on a loopback TCP address or a Unix socket only; any other address is
//! served over TLS, and callers there have to authenticate.
//!
//! A Unix socket is made with mode 0666, because a proxy runs as another user (1337 in the scenario): the permissions of the
//! directory that contains it decide who may connect.

mod bounds;
mod connection;
mod crowd;
mod guests;
mod members;
mod queue;
mod source;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, UnixStream};

use crate::tls::{Purpose, Tls};
pub use bounds::Bounds;
pub use connection::{Connection, Peer};
pub use members::Member;
pub use source::Source;
pub use tls::TlsListener;

/// Connections that may wait to be accepted. The system's usual 128 costs seconds of retries when a thousand proxies
/// connect at once.
const BACKLOG: u32 = 4096;
/// How long to wait when the system has no file descriptor left for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Where to listen: `HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP address; port 0 takes a free port.
    Tcp(String),
    /// A Unix socket.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.as_os_str().is_empty() {
                Err("unix: needs a path".into())
            } else {
                Ok(Self::Unix(path))
            };
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self::Tcp(text.into()))
            }
            _ => Err("expected HOST:PORT, for example 127.0.0.1:9080, or unix:PATH".into()),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A listener could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is reachable from other hosts, and there is no certificate.
    #[error(
        "{listen} is not a loopback address, so it needs TLS: give --tls-cert FILE and --tls-key FILE, or listen on loopback (127.0.0.1:PORT) or on unix:PATH"
    )]
    NeedsTls {
        /// The address as given.
        listen: String,
    },
    /// The address is for proxies of other hosts, and there is nothing to know them by.
    #[error(
        "{listen} is not a loopback address, so its proxies need certificates: give --ca-cert FILE, the CA that signs them, or listen on loopback (127.0.0.1:PORT) or on unix:PATH"
    )]
    NeedsCa {
        /// The address as given.
        listen: String,
    },
    /// The path is taken by something that is no socket of a process that is gone.
    #[error("cannot listen on unix:{path}: {reason}; choose another path")]
    PathTaken {
        /// The path.
        path: PathBuf,
        /// What is there.
        reason: &'static str,
    },
    /// The system refused.
    #[error("cannot listen on {listen}: {source}; choose another address, or stop what uses it")]
    System {
        /// The address as given.
        listen: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A bound listener. Dropping it closes it, and removes the file of a Unix socket.
#[derive(Debug)]
pub enum BoundListener {
    /// On TCP.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(UnixListener, SocketFile),
    /// On TCP, over TLS.
    Tls(Box<TlsListener>),
}

/// The file of a Unix socket, removed when dropped.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Best effort: the next start replaces a file that stayed.
        let _ = fs::remove_file(&self.0);
    }
}

impl Listen {
    /// Binds the listener. An address that other hosts reach is served with `tls`, and whoever connects there within
    /// `bounds`.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn bind(
        &self,
        purpose: Purpose,
        tls: Option<&Tls>,
        bounds: Bounds,
    ) -> Result<BoundListener, ListenError> {
        let system = |source| ListenError::System { listen: self.to_string(), source };
        match self {
            Self::Tcp(address) => {
                let addresses: Vec<SocketAddr> =
                    tokio::net::lookup_host(address).await.map_err(system)?.collect();
                let exposed = addresses.iter().any(|address| !address.ip().is_loopback());
                let tls = if exposed { Some(self.protect(purpose, tls)?) } else { None };
                let unresolved = || system(io::Error::other("the host has no address"));
                let address = addresses.first().copied().ok_or_else(unresolved)?;
                let listener = bind_tcp(address).map_err(system)?;
                Ok(match tls {
                    Some(tls) => {
                        BoundListener::Tls(Box::new(TlsListener::new(listener, purpose, tls.clone(), bounds)))
                    }
                    None => BoundListener::Tcp(listener),
                })
            }
            Self::Unix(path) => {
                free(path).await?;
                let listener = bind_unix(path).map_err(system)?;
                Ok(BoundListener::Unix(listener, SocketFile(path.clone())))
            }
        }
    }

    /// The TLS that other hosts are served with, if it suffices.
    fn protect<'a>(&self, purpose: Purpose, tls: Option<&'a Tls>) -> Result<&'a Tls, ListenError> {
        let tls = tls.ok_or_else(|| ListenError::NeedsTls { listen: self.to_string() })?;
        if purpose == Purpose::Proxies && !tls.knows_proxies() {
            return Err(ListenError::NeedsCa { listen: self.to_string() });
        }
        Ok(tls)
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart takes the port back while connections of the last run still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let socket = UnixSocket::new_stream()?;
    socket.bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
    socket.listen(BACKLOG)
}

/// Frees `path` from the socket of a process that is gone.
async fn free(path: &Path) -> Result<(), ListenError> {
    let taken = |reason| ListenError::PathTaken { path: path.into(), reason };
    let system = |source| ListenError::System { listen: format!("unix:{}", path.display()), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(system(error)),
        Ok(found) if !found.file_type().is_socket() => Err(taken("there is a file that is no socket")),
        Ok(_) => match UnixStream::connect(path).await {
            Ok(_) => Err(taken("another process listens there")),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(system)
            }
            Err(error) => Err(system(error)),
        },
    }
}

impl BoundListener {
    /// The address that was taken, as [`Listen`] reads it.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => tcp_address(listener),
            Self::Unix(_, SocketFile(path)) => format!("unix:{}", path.display()),
            Self::Tls(listener) => listener.address(),
        }
    }

    /// Whether other hosts reach it, so that callers have to prove who they are.
    pub fn is_exposed(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The next connection. Errors of accepting are logged and outlived: a client tries again. Cancelling loses none.
    pub async fn connection(&mut self) -> Connection {
        loop {
            match self.accept_one().await {
                Ok(connection) => return connection,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Out of file descriptors, most likely: others must close before the next can be accepted.
                    tracing::error!(listener = self.address(), %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept_one(&mut self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => Ok(Connection::Tcp(accept_tcp(listener).await?)),
            Self::Unix(listener, _) => Ok(Connection::Unix(listener.accept().await?.0)),
            Self::Tls(listener) => Ok(Connection::Tls(listener.accept().await?)),
        }
    }
}

async fn accept_tcp(listener: &TcpListener) -> io::Result<TcpStream> {
    let (stream, _) = listener.accept().await?;
    // Answers are small and each is waited for: never hold one back to fill a packet.
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn tcp_address(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "unknown".into(), |at| at.to_string())
}

/// Whether an error of `accept(2)` is about the connection that was to be accepted, not about the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
