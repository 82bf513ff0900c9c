//! What other commands on this host find a running standalone by. Blocking.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fleetmesh_standalone_core::addresses::FILE;

pub use fleetmesh_standalone_core::addresses::Addresses;

use crate::files;

/// The addresses could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}; choose another directory with --data-dir")]
pub struct AnnounceError {
    path: PathBuf,
    source: io::Error,
}

/// Addresses that a data directory names until this is dropped. When the process is killed the kernel drops the lock on the file, which
/// is what readers look at.
#[derive(Debug)]
pub struct Announced {
    path: PathBuf,
    file: File,
}

/// Writes where this process serves into `data_dir`, which it has locked: whoever reads sees all of it or nothing.
///
/// # Errors
/// [`AnnounceError`].
pub fn announce(data_dir: &Path, addresses: &Addresses) -> Result<Announced, AnnounceError> {
    let path = data_dir.join(FILE);
    let written = serde_json::to_vec(addresses).map_err(io::Error::from);
    match written.and_then(|text| files::replace_locked(&path, &text)) {
        Ok(file) => Ok(Announced { path, file }),
        Err(source) => Err(AnnounceError { path, source }),
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        // The next process may have put its own there already.
        let is_ours = |found: fs::Metadata| {
            self.file.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == (found.dev(), found.ino()))
        };
        if fs::metadata(&self.path).is_ok_and(is_ours) {
            // What stays is seen to be of nobody by the lock that is gone.
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}
