//! Writing manifests: all of the files, or none.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Without a folder.
    pub name: String,
    pub text: String,
    /// Whether it is for its owner alone.
    pub is_private: bool,
}

/// The files that `kubectl apply -f` and `--manifests` take from a folder.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There are manifests, which would be applied beside the new ones.
    #[error(
        "nothing was written: {} has manifests already, which are applied with those of the same folder: {}; name another folder, or write \
         over those of the same name with --force",
        .0.display(), .1.join(", ")
    )]
    InTheWay(PathBuf, Vec<String>),
    /// It is there.
    #[error("nothing was written: {} is there already; name another file, or write over it with --force", .0.display())]
    There(PathBuf),
    /// The system did not do it.
    #[error("nothing was written: {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
    /// The system stopped in the middle.
    #[error("{}: {}; written before: {}; run the same again with --force", .0.display(), .2, .1.join(", "))]
    Half(PathBuf, Vec<String>, #[source] io::Error),
}

/// Writes the files into `folder`, which is made if need be, and answers which manifests were there and stay. Whoever reads a file sees
/// the old one or the new one.
///
/// # Errors
/// There are manifests and it is not by `force`; or the system's.
pub fn write(folder: &Path, manifests: &[Manifest], force: bool) -> Result<Vec<String>, WriteError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| WriteError::Io(path, error)
    };
    let is_new = !folder.exists();
    let there = if is_new { Vec::new() } else { there(folder).map_err(io(folder))? };
    if !there.is_empty() && !force {
        return Err(WriteError::InTheWay(folder.to_owned(), there));
    }
    fs::create_dir_all(folder).map_err(io(folder))?;
    let staged: Vec<PathBuf> =
        manifests.iter().map(|manifest| folder.join(format!(".{}.new", manifest.name))).collect();
    for (path, manifest) in staged.iter().zip(manifests) {
        if let Err(error) = stage(path, &manifest.text, manifest.is_private) {
            remove(&staged);
            if is_new {
                // Empty again; when it is not, somebody else uses it.
                let _ = fs::remove_dir(folder);
            }
            return Err(WriteError::Io(path.clone(), error));
        }
    }
    for (at, (path, manifest)) in staged.iter().zip(manifests).enumerate() {
        let target = folder.join(&manifest.name);
        if let Err(error) = fs::rename(path, &target) {
            remove(&staged);
            let done = manifests.iter().take(at).map(|manifest| manifest.name.clone()).collect();
            return Err(WriteError::Half(target, done, error));
        }
    }
    let is_ours = |name: &String| manifests.iter().any(|manifest| manifest.name == *name);
    Ok(there.into_iter().filter(|name| !is_ours(name)).collect())
}

/// Writes one file, which may be anywhere. Whoever reads it sees the old text or the new one.
///
/// # Errors
/// It is there and it is not by `force`; or the system's.
#[cfg(feature = "client")]
pub fn write_one(path: &Path, text: &str, is_private: bool, force: bool) -> Result<(), WriteError> {
    if !force && path.exists() {
        return Err(WriteError::There(path.to_owned()));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let staged = path.with_file_name(format!(".{name}.new"));
    let written = stage(&staged, text, is_private).and_then(|()| fs::rename(&staged, path));
    written.map_err(|error| {
        remove(std::slice::from_ref(&staged));
        WriteError::Io(path.to_owned(), error)
    })
}

/// Writes a file that is to be moved to its place. One that a crash left there may have another mode, or be a link.
fn stage(path: &Path, text: &str, is_private: bool) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mode = if is_private { 0o600 } else { 0o666 };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The manifests in `folder`, sorted. Names that begin with a dot are passed over, as `--manifests` does.
fn there(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        if EXTENSIONS.contains(&extension) && !name.starts_with('.') {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// What was written to no avail.
fn remove(staged: &[PathBuf]) {
    for path in staged {
        // One that is not there needs no removal, and of the rest a file with a dot is left, which nothing applies.
        let _ = fs::remove_file(path);
    }
}
