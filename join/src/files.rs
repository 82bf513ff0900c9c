//! The files that Envoy and others read: each is replaced at once, and only their owner may read keys.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::PathBuf;

use fleetmesh_api::join::MeshCertificate;
use fleetmesh_instance::bootstrap::secrets;

use crate::Error;
use crate::sds::MeshSecrets;

/// The mesh's certificate, of the key in [`KEY`].
const MESH_CERTIFICATE: &str = "mesh.crt";
/// The authorities of the mesh.
const MESH_AUTHORITY: &str = "mesh-ca.crt";
/// The key.
const KEY: &str = "tls.key";

/// Where they go.
#[derive(Debug)]
pub struct Files {
    /// The folder.
    pub folder: PathBuf,
    /// The user who shall own them.
    pub owner: Option<u32>,
}

impl Files {
    /// Writes a certificate, its key and the CA, and the mesh's certificate if there is a new one.
    ///
    /// # Errors
    /// The system's, with the folder.
    pub fn write(
        &self,
        certificate: &str,
        key: &str,
        authority: &str,
        mesh: Option<&MeshCertificate>,
    ) -> Result<(), Error> {
        let all = || -> io::Result<()> {
            fs::create_dir_all(&self.folder)?;
            self.replace(secrets::VALIDATION_FILE, &secrets::validation(authority), 0o644)?;
            self.replace("ca.crt", authority, 0o644)?;
            self.replace(KEY, key, 0o600)?;
            if let Some(MeshCertificate { certificate, authority }) = mesh {
                self.replace(MESH_AUTHORITY, authority, 0o644)?;
                self.replace(MESH_CERTIFICATE, certificate, 0o644)?;
            }
            self.replace("tls.crt", certificate, 0o644)?;
            self.replace(secrets::CERTIFICATE_FILE, &secrets::certificate(certificate, key), 0o600)
        };
        all().map_err(|source| Error::Files { path: self.folder.display().to_string(), source })
    }

    /// The key that was written last, if there is one and it can be read.
    pub fn key(&self) -> Option<String> {
        self.read(KEY)
    }

    /// The mesh's certificate that was written last, with its key, if it is there. It may have ended.
    pub fn mesh(&self) -> Option<MeshSecrets> {
        let (certificate, authority) = (self.read(MESH_CERTIFICATE)?, self.read(MESH_AUTHORITY)?);
        Some(MeshSecrets { certificate, key: self.key()?, authority })
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(name)).ok()
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
            files.write(turn, "KEY", "CA", None).expect("written");
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
        assert_eq!(files.mesh(), None);
        let [certificate, authority] = ["mesh", "mesh CA"].map(str::to_owned);
        let mesh = MeshCertificate { certificate: certificate.clone(), authority: authority.clone() };
        files.write("three", "KEY", "CA", Some(&mesh)).expect("written");
        let kept = Some(MeshSecrets { certificate, key: "KEY".to_owned(), authority });
        assert_eq!(files.mesh(), kept);
        files.write("four", "KEY", "CA", None).expect("written");
        assert_eq!(files.mesh(), kept, "a control plane that gives none takes none away");
    }
}
