//! What the Unix sockets for proxies have in common: who holds a path, connections one after the other, and whose they may be. Blocking
//! but for [`accepted`].

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

/// The users whose connections are answered, beside root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users(Vec<u32>);

impl Users {
    /// The user `own`, and `others`.
    pub fn new(own: u32, others: impl IntoIterator<Item = u32>) -> Self {
        Self([own].into_iter().chain(others).collect())
    }

    fn include(&self, user: u32) -> bool {
        user == 0 || self.0.contains(&user)
    }

    /// Whether the process at the other end of `stream` is one of theirs, by the kernel's word. The log has those that are not, with
    /// the `flags` that would let them in.
    pub fn admit(&self, stream: &UnixStream, flags: &str) -> bool {
        match stream.peer_cred().map(|peer| peer.uid()) {
            Ok(user) if self.include(user) => return true,
            Ok(user) => tracing::warn!(user, "a connection of this user is not answered: see {flags}"),
            Err(error) => tracing::warn!(%error, "a connection of an unknown user is not answered"),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_the_own_user_and_those_that_are_named_are_answered() {
        let users = Users::new(1000, [1337, 1338]);
        let of = [0, 1, 1000, 1336, 1337, 1338, u32::MAX].map(|user| users.include(user));
        assert_eq!(of, [true, false, true, false, true, true, false]);
        assert!(!Users::new(1000, None).include(1337));
    }

    #[tokio::test]
    async fn a_connection_is_of_the_user_that_the_kernel_says() {
        let (one, _other) = UnixStream::pair().expect("a pair");
        let own = one.peer_cred().expect("who it is").uid();
        assert!(Users::new(own, None).admit(&one, "--owner"));
        let is_root = own == 0;
        assert_eq!(Users::new(own.wrapping_add(1), None).admit(&one, "--owner"), is_root);
    }
}
