//! The `fleetmesh standalone` of a data directory. Blocking.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use fleetmesh_standalone_core::addresses::{Addresses, FILE};

/// As much of the file is read, in bytes.
const LARGEST: u64 = 64 << 10;

/// Nothing says where a data directory is served.
#[derive(Debug, thiserror::Error)]
pub enum AddressesError {
    /// No process serves it, or one of a version that does not say where.
    #[error("no `fleetmesh standalone` runs with --data-dir {}", .0.display())]
    NotRunning(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
}

/// Where the standalone of `data_dir` serves while it runs.
///
/// # Errors
/// [`AddressesError`].
pub fn addresses(data_dir: &Path) -> Result<Addresses, AddressesError> {
    let path = data_dir.join(FILE);
    match read(&path) {
        Ok(Some(addresses)) => Ok(addresses),
        Ok(None) => Err(AddressesError::NotRunning(data_dir.to_owned())),
        Err(source) => Err(AddressesError::Unreadable { path, source }),
    }
}

fn read(path: &Path) -> io::Result<Option<Addresses>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    // Whoever wrote it holds a lock on it, which ends with the process; nobody waits for this one.
    match file.try_lock_shared() {
        Ok(()) => return Ok(None),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text)?;
    Ok(Some(serde_json::from_slice(&text)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_process_holds_is_of_one_that_has_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let not_running = |found| matches!(found, Err(AddressesError::NotRunning(_)));
        assert!(not_running(addresses(folder.path())), "there is none");
        let written = Addresses {
            process: 1,
            kubernetes_api: "https://a".to_owned(),
            app_mesh: "http://b".to_owned(),
            region: "r".to_owned(),
            control_plane: Vec::new(),
        };
        std::fs::write(&path, serde_json::to_vec(&written).expect("JSON")).expect("written");
        assert!(not_running(addresses(folder.path())), "nobody holds it");
        let holder = File::open(&path).expect("there");
        holder.lock().expect("locked");
        assert_eq!(addresses(folder.path()).expect("it runs"), written);
        std::fs::write(&path, "{").expect("written");
        let error = addresses(folder.path()).expect_err("half").to_string();
        assert!(error.starts_with(&format!("cannot read {}: ", path.display())), "{error}");
        drop(holder);
        assert!(not_running(addresses(folder.path())), "it has ended");
    }
}
