//! The folder of one run: logs, data directories, sockets and configuration of everything it starts.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Keeps the folder of every run, to look at afterwards.
const KEEP: &str = "FLEETMESH_KEEP";

/// A temporary folder that goes with its owner, except after a panic (a failed test) or with `FLEETMESH_KEEP` set:
/// then it stays and its path is printed.
///
/// The path is short, because Unix sockets live in it, and open to other users, because Envoy runs as uid 1337.
#[derive(Debug)]
pub struct RunDir {
    folder: Option<tempfile::TempDir>,
    path: PathBuf,
}

impl RunDir {
    /// Makes the folder; `name` becomes part of its name.
    ///
    /// # Errors
    /// The temporary folder cannot be written.
    pub fn new(name: &str) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("fm-{name}-"))
            .permissions(Permissions::from_mode(0o755))
            .tempdir()
            .context("cannot make a temporary folder")?;
        let path = folder.path().to_owned();
        Ok(Self { folder: Some(folder), path })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside the folder.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Leaves the folder behind for a person to read, and returns its path.
    pub fn keep(&mut self) -> &Path {
        if let Some(folder) = self.folder.take() {
            let _ = folder.keep();
        }
        &self.path
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os(KEEP).is_some() {
            eprintln!("logs and data are kept in {}", self.keep().display());
        }
    }
}
