//! Files of certificates and keys: each is replaced at once, and keys are for their owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::Path;

/// Mode of a file that everybody may read.
pub const PUBLIC: u32 = 0o644;
/// Mode of a file with a key.
pub const PRIVATE: u32 = 0o600;

/// Writes `content` to `name` in `folder`, with `mode`, as the user `owner`'s if one is given. Whoever reads the file sees the old content or the new.
///
/// # Errors
/// The system's; the file is as it was then.
pub fn replace(folder: &Path, name: &str, content: &str, mode: u32, owner: Option<u32>) -> io::Result<()> {
    let new = folder.join(format!(".{name}.new"));
    // One that a crash left behind may have another mode.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
    // Before it is in its place: Envoy looks at it once.
    if owner.is_some() {
        fchown(&file, owner, None)?;
    }
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, folder.join(name))
}
