//! What lies in the data directory, for its owner alone: the lock, and files that are replaced whole. Blocking.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The mode of files.
const FILE: u32 = 0o600;
/// The mode of folders.
const FOLDER: u32 = 0o700;

/// Makes the folder, with those that it lies in.
///
/// # Errors
/// It cannot be made.
pub fn folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

/// How a file is opened that is for its owner's eyes only when this makes it.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE);
    options
}

/// Takes away what a file grants to others. Whoever does not own it cannot; then it stays.
pub fn tighten(path: &Path) {
    let _ = fs::set_permissions(path, Permissions::from_mode(FILE));
}

/// Replaces `path` by a file with `text`: whoever reads sees the old one or the new one.
///
/// # Errors
/// It is not on disk, for all that is known.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    replace_by(path, text, |_| Ok(())).map(drop)
}

/// The same of a file that is locked from the moment that it can be seen on, as long as what this answers is open.
///
/// # Errors
/// As [`replace`].
pub fn replace_locked(path: &Path, text: &[u8]) -> io::Result<File> {
    replace_by(path, text, |file| Ok(file.try_lock()?))
}

fn replace_by(path: &Path, text: &[u8], done: impl FnOnce(&File) -> io::Result<()>) -> io::Result<File> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = options().write(true).create(true).truncate(true).open(&new)?;
    tighten(&new);
    file.write_all(text)?;
    file.sync_all()?;
    done(&file)?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

/// The text of a file of ours, or nothing when there is none.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            tighten(path);
            Ok(Some(text))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// One process per data directory: the kernel drops the lock with the process, however it ends.
#[derive(Debug)]
pub struct Lock(File);

/// A data directory was not locked.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it; who, as far as it said so.
    Taken(String),
    /// The system's.
    System(io::Error),
}

impl Lock {
    /// Locks the file at `path`, which is made if need be.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let open = options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = open.map_err(LockError::System)?;
        tighten(path);
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // A courtesy; without it the message still says what to do.
                let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
                let holder =
                    if known { format!("process {}", holder.trim()) } else { "another process".into() };
                return Err(LockError::Taken(holder));
            }
            Err(TryLockError::Error(error)) => return Err(LockError::System(error)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(LockError::System)?;
        Ok(Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child that was forked a moment ago may hold the same open file.
        let _ = self.0.unlock();
    }
}
