//! What a fleet's owner puts between instances and a control plane that listens on loopback only: a forwarder that keeps
//! the instances' addresses. Here they reach it by a Unix socket, which every network namespace has.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpSocket, UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// A forwarder, which ends when dropped.
pub struct ForwardedMetadata(JoinHandle<()>);

impl ForwardedMetadata {
    /// Whatever connects to `socket` is connected to `to`, from the address `from`.
    pub fn start(socket: &Path, from: IpAddr, to: SocketAddr) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        // Envoy is another user.
        fs::set_permissions(socket, fs::Permissions::from_mode(0o777)).unwrap();
        Self(tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                // A connection that ends is its two ends' affair.
                tokio::spawn(carry(stream, from, to));
            }
        }))
    }
}

impl Drop for ForwardedMetadata {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn carry(mut near: UnixStream, from: IpAddr, to: SocketAddr) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0))?;
    let mut far = socket.connect(to).await?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}
