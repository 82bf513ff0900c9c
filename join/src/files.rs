//! The files that Envoy and others read: each is replaced at once, and only their owner may read keys.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::PathBuf;

use fleetmesh_instance::bootstrap::secrets;

use crate::Error;

/// Where they go.
#[derive(Debug)]
pub struct Files {
    /// The folder.
    pub folder: PathBuf,
    /// The user who shall own them.
    pub owner: Option<u32>,
}

impl Files {
    /// Writes a certificate, its key and the CA.
    ///
    /// # Errors
    /// The system's, with the folder.
    pub fn write(&self, certificate: &str, key: &str, authority: &str) -> Result<(), Error> {
        let all = || -> io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            self.replace(secrets::VALIDATION_FILE, &secrets::validation(authority), 0o644)?;
            self.replace("ca.crt", authority, 0o644)?;
            self.replace("tls.key", key, 0o600)?;
            self.replace("tls.crt", certificate, 0o644)?;
            self.replace(secrets::CERTIFICATE_FILE, &secrets::certificate(certificate, key), 0o600)
        };
        all().map_err(|source| Error::Files { path: self.folder.display().to_string(), source })
    }

    /// The key that was written last, if there is one and it can be read.
    pub fn key(&self) -> Option<String> {
        fs::read_to_string(self.folder.join("tls.key")).ok()
    }

    fn replace(&self, name: &str, content: &str, mode: u32) -> io::Result<()> {
        let new = self.folder.join(format!(".{name}.new"));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        // Before it is in its place: Envoy looks at it once.
        if self.owner.is_some() {
            fchown(&file, self.owner, None)?;
        }
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(name))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_their_owners_alone_and_files_are_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Files { folder: folder.path().join("certs"), owner: None };
        assert_eq!(files.key(), None);
        for turn in ["one", "two"] {
            files.write(turn, "KEY", "CA").expect("written");
            let read = |name: &str| fs::read_to_string(files.folder.join(name)).expect("a file");
            assert_eq!(read("tls.crt"), turn);
            assert!(read(secrets::CERTIFICATE_FILE).contains(turn));
        }
        assert_eq!(files.key().as_deref(), Some("KEY"));
        for name in ["tls.key", secrets::CERTIFICATE_FILE] {
            let mode = fs::metadata(files.folder.join(name)).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let left = fs::read_dir(&files.folder).expect("a folder").count();
        assert_eq!(left, 5, "nothing is left behind");
    }
}
