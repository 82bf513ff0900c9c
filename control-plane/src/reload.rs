//! Files that are read again when they change: certificates and keys that somebody renews while the control plane runs.
//!
//! Their content is compared, without events of the file system: a Kubernetes Secret is swapped by a symbolic link some
//! folders above, and a network file system sends no events.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

/// How often followed files are looked at; a change counts after at most this long.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// A file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {path} ({flag}): {reason}")]
pub struct FileError {
    /// The flag that names it.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and never what it holds.
    pub reason: String,
}

/// A file and the flag that names it.
#[derive(Clone, Debug)]
pub struct Named {
    /// The flag, for messages.
    pub flag: &'static str,
    /// The file.
    pub path: PathBuf,
}

impl Named {
    /// The content.
    ///
    /// # Errors
    /// The system's.
    pub fn read(&self) -> Result<Vec<u8>, FileError> {
        std::fs::read(&self.path).map_err(|error| self.error(words(&error)))
    }

    /// An error about this file.
    pub fn error(&self, reason: impl Into<String>) -> FileError {
        FileError { flag: self.flag, path: self.path.clone(), reason: reason.into() }
    }
}

fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".into(),
        io::ErrorKind::PermissionDenied => "this user may not read it".into(),
        _ => error.to_string(),
    }
}

/// What the files hold, as one digest; `None` when one cannot be read.
fn digest(files: &[Named]) -> Option<[u8; 32]> {
    let mut digest = Sha256::new();
    for file in files {
        let content = file.read().ok()?;
        digest.update(content.len().to_be_bytes());
        digest.update(content);
    }
    Some(digest.finalize().into())
}

/// Calls `load` each time that the content of `files` changes, until `shutdown`. The first content is what they hold
/// when this starts. A failure is logged once, and what was loaded before stays; files that cannot be read, as in the
/// middle of a swap, are waited for.
pub async fn follow(
    files: Vec<Named>,
    load: impl Fn() -> Result<(), FileError> + Send,
    shutdown: CancellationToken,
) {
    let mut seen = digest(&files);
    let mut looks = tokio::time::interval(INTERVAL);
    while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
        let now = digest(&files);
        if now.is_none() || now == seen {
            continue;
        }
        seen = now;
        let names: Vec<_> = files.iter().map(|file| file.path.display().to_string()).collect();
        match load() {
            Ok(()) => tracing::info!(files = names.join(", "), "read again after a change"),
            Err(error) => {
                tracing::error!(%error, "the files changed and cannot be used: the former stay in use")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_loaded_once_and_a_missing_file_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Named { flag: "--file", path: folder.path().join("file") };
        fs::write(&file.path, "one").expect("written");
        let loads = AtomicUsize::new(0);
        let shutdown = CancellationToken::new();
        let load = || {
            loads.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let following = follow(vec![file.clone()], load, shutdown.clone());
        let changing = async {
            tokio::time::sleep(INTERVAL * 3).await;
            assert_eq!(loads.load(Ordering::Relaxed), 0, "nothing changed");
            fs::remove_file(&file.path).expect("removed");
            tokio::time::sleep(INTERVAL * 3).await;
            assert_eq!(loads.load(Ordering::Relaxed), 0, "there is nothing to load");
            fs::write(&file.path, "two").expect("written");
            tokio::time::sleep(INTERVAL * 3).await;
            assert_eq!(loads.load(Ordering::Relaxed), 1);
            shutdown.cancel();
        };
        tokio::join!(following, changing);
    }
}
