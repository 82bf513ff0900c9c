//! One process per data directory: an advisory lock that the kernel drops with the process, however it ends.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use fleetmesh_mesh::store::OpenError;

use super::layout;
use crate::private;

/// The lock on a data directory; released when dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that was forked a moment ago and has not begun its own program yet holds the
        // same open file, and with it the lock. Without a lock there is nothing to do about an error.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Makes `directory` if need be and locks it.
    ///
    /// # Errors
    /// [`OpenError::Unusable`] when it cannot be made or written, [`OpenError::InUse`] when another process has it.
    pub fn take(directory: &Path) -> Result<Self, OpenError> {
        let failed = |path: &Path, error: std::io::Error| {
            let place = layout::data_directory(path);
            OpenError::Unusable { place, reason: error.to_string() }
        };
        private::folder(directory).map_err(|source| failed(directory, source))?;
        let path = layout::lock(directory);
        let open = private::options().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|source| failed(&path, source))?;
        private::tighten_file(&path);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The process id is a courtesy; without it the message still says what to do.
                let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
                let holder = if known { holder.trim() } else { "unknown" };
                let place = layout::data_directory(directory);
                return Err(OpenError::InUse { place, holder: format!("process {holder}") });
            }
            Err(TryLockError::Error(source)) => return Err(failed(&path, source)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(|source| failed(&path, source))?;
        Ok(Self { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_released_though_a_child_has_the_file_still() {
        let directory = tempfile::tempdir().expect("a directory");
        let lock = Lock::take(directory.path()).expect("a lock");
        let of_a_child = lock.file.try_clone().expect("the same open file");
        let second = Lock::take(directory.path()).expect_err("it is taken");
        assert!(matches!(second, OpenError::InUse { .. }), "{second}");
        drop(lock);
        Lock::take(directory.path()).expect("it is free");
        drop(of_a_child);
    }
}
