//! Files and folders that only their owner may read, whatever the umask is. Blocking.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The mode of files.
pub const FILE: u32 = 0o600;
/// The mode of folders.
const FOLDER: u32 = 0o700;
/// What the names of all files begin with that this program makes in a data directory.
const OURS: [&str; 6] =
    ["control-plane.", "cloud-map.", "authorities.", "access-keys.", "mesh-ca.", "used-signatures"];

/// Makes the folder `path` if need be, with those that it lies in. One that exists is tightened, unless it holds something
/// that is not ours: then others may have a right to look into it.
///
/// # Errors
/// It cannot be made.
pub fn folder(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        return DirBuilder::new().recursive(true).mode(FOLDER).create(path);
    }
    let ours = |entry: io::Result<fs::DirEntry>| {
        let name = entry.map(|entry| entry.file_name());
        name.is_ok_and(|name| OURS.iter().any(|ours| name.to_string_lossy().starts_with(ours)))
    };
    let mut entries = fs::read_dir(path)?.peekable();
    if entries.peek().is_some() && entries.all(ours) {
        tighten(path, FOLDER);
    }
    Ok(())
}

/// How a file is opened that is for its owner's eyes only when this makes it.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE);
    options
}

/// Replaces `path` by a file with `text` for its owner only, and returns it open for more: whoever reads sees the old one or the
/// new one, after a loss of power too.
///
/// # Errors
/// It is not on disk, for all that is known.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<File> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let mut file = options().write(true).create(true).truncate(true).open(&new)?;
    tighten_file(&new);
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

/// The list in the JSON file `path`, which [`save_list`] wrote; empty when there is no such file.
///
/// # Errors
/// It cannot be read, or is no such list.
pub fn load_list<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
    tighten_file(path);
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// [Replaces](replace) `path` by a JSON file with `list`.
///
/// # Errors
/// It cannot be written; the old one is still there then.
pub fn save_list(path: &Path, list: &[impl Serialize]) -> io::Result<()> {
    replace(path, &serde_json::to_vec_pretty(list)?).map(drop)
}

/// Takes away what `path` grants beyond [`FILE`], if it exists.
pub fn tighten_file(path: &Path) {
    tighten(path, FILE);
}

/// Whoever does not own it, as on a volume that Kubernetes gives to a group, cannot: then it stays as its owner has it.
fn tighten(path: &Path, mode: u32) {
    let Ok(found) = fs::symlink_metadata(path) else { return };
    if found.file_type().is_symlink() || found.mode() & 0o777 & !mode == 0 {
        return;
    }
    let (was, tightened) = (found.mode() & 0o7777, fs::set_permissions(path, Permissions::from_mode(mode)));
    match tightened {
        Ok(()) => {
            tracing::debug!(path = %path.display(), "mode {was:o} is now {mode:o}: it is for its owner only")
        }
        Err(error) => tracing::debug!(path = %path.display(), %error, "mode {was:o} stays"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_nothing_but_our_files_is_for_its_owner_alone() {
        let folder_with = |names: &[&str]| {
            let folder = tempfile::tempdir().expect("a directory");
            names.iter().for_each(|name| fs::write(folder.path().join(name), "").expect("written"));
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("open to all");
            super::folder(folder.path()).expect("there already");
            fs::metadata(folder.path()).expect("the folder").mode() & 0o777
        };
        assert_eq!(folder_with(&["control-plane.db", "cloud-map.json", "authorities.json"]), FOLDER);
        assert_eq!(folder_with(&["control-plane.db", "somebody's"]), 0o755);
        assert_eq!(folder_with(&[]), 0o755);
    }
}
