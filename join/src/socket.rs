//! What the Unix sockets for proxies have in common: who holds a path, and connections one after the other. Blocking but for
//! [`accepted`].

use std::fs;
use std::io;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

/// The pause after the system gives no connection, for want of descriptors for example.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether nobody listens at `path`.
///
/// # Errors
/// Another process does.
pub fn is_free(path: &Path) -> io::Result<()> {
    match BlockingStream::connect(path) {
        Ok(_) => Err(io::Error::other("another process listens there")),
        Err(_) => Ok(()),
    }
}

/// Takes away what a former process left at `path`, if anything is there.
///
/// # Errors
/// It stays.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The next connection. Errors of the system are logged, and it is asked again after a pause.
pub async fn accepted(listener: &UnixListener) -> UnixStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
