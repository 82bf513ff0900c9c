//! What is in an image: the binary, the certificates of public authorities, and the folders of both. Nothing else: no shell,
//! no libraries, no time of a build.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use pem::{EncodeConfig, LineEnding, Pem};
use tar::{Builder, EntryType, Header};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// Where the binary is; the image's entry point. On the PATH that container runtimes set.
pub const ENTRY_POINT: &str = "/usr/local/bin/fleetmesh";
/// Where TLS libraries look for authorities first.
pub const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The content of the one layer.
pub struct Layer {
    /// Path without the leading `/`, mode and content, in the order of the archive; a folder has no content.
    entries: Vec<(&'static str, u32, Option<Vec<u8>>)>,
}

impl Layer {
    /// The layer around this binary.
    #[must_use]
    pub fn new(binary: Vec<u8>) -> Self {
        Self {
            entries: vec![
                ("etc/", 0o755, None),
                ("etc/ssl/", 0o755, None),
                ("etc/ssl/certs/", 0o755, None),
                (relative(CERTIFICATES), 0o644, Some(certificates().into_bytes())),
                ("usr/", 0o755, None),
                ("usr/local/", 0o755, None),
                ("usr/local/bin/", 0o755, None),
                (relative(ENTRY_POINT), 0o755, Some(binary)),
            ],
        }
    }

    /// Path, mode, and bytes (0 of a folder) of everything in it, in the order of the archive.
    pub fn listing(&self) -> impl Iterator<Item = (&'static str, u32, u64)> {
        let bytes = |content: &Option<Vec<u8>>| content.as_ref().map_or(0, |content| content.len() as u64);
        self.entries.iter().map(move |(path, mode, content)| (*path, *mode, bytes(content)))
    }

    /// Writes it as a tar archive, whose bytes depend on nothing but the contents: everything belongs to root, of 1970.
    ///
    /// # Errors
    /// `output` cannot be written.
    pub fn write_tar(&self, output: impl Write) -> Result<()> {
        let mut archive = Builder::new(output);
        for (path, mode, content) in &self.entries {
            let content = content.as_deref();
            let mut header = Header::new_ustar();
            header.set_entry_type(if content.is_some() { EntryType::Regular } else { EntryType::Directory });
            header.set_mode(*mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            let content = content.unwrap_or_default();
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content).with_context(|| format!("cannot add {path}"))?;
        }
        archive.into_inner()?.flush().context("cannot write the layer")
    }

    /// Writes it below `folder`, which is made if need be.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_files(&self, folder: &Path) -> Result<()> {
        let mut archive = Vec::new();
        self.write_tar(&mut archive)?;
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        tar::Archive::new(archive.as_slice())
            .unpack(folder)
            .with_context(|| format!("cannot write the files of the image into {}", folder.display()))
    }
}

/// Mozilla's authorities, of the version that `Cargo.lock` pins, in PEM. A file of this machine would be of this machine.
fn certificates() -> String {
    let certificates: Vec<Pem> =
        TLS_SERVER_ROOT_CERTS.iter().map(|der| Pem::new("CERTIFICATE", der.as_ref())).collect();
    pem::encode_many_config(&certificates, EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// A path of the image as archives and folders have it.
#[must_use]
pub fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(binary: &[u8]) -> Result<Vec<u8>> {
        let mut archive = Vec::new();
        Layer::new(binary.to_vec()).write_tar(&mut archive)?;
        Ok(archive)
    }

    #[test]
    fn the_same_binary_makes_the_same_archive() -> Result<()> {
        assert!(archive(b"one")? == archive(b"one")?);
        assert!(archive(b"one")? != archive(b"two")?);
        Ok(())
    }

    #[test]
    fn nothing_in_the_archive_shows_who_made_it_or_when() -> Result<()> {
        let bytes = archive(b"binary")?;
        let mut archive = tar::Archive::new(bytes.as_slice());
        for entry in archive.entries()? {
            let entry = entry?;
            let header = entry.header();
            assert_eq!((header.mtime()?, header.uid()?, header.gid()?), (0, 0, 0), "{:?}", entry.path()?);
            assert_eq!((header.username(), header.groupname()), (Ok(Some("")), Ok(Some(""))));
        }
        Ok(())
    }

    #[test]
    fn certificates_are_all_of_mozillas_in_pem() -> Result<()> {
        let text = certificates();
        let parsed = pem::parse_many(&text)?;
        assert!(parsed.len() > 50, "{}", parsed.len());
        assert!(parsed.iter().zip(TLS_SERVER_ROOT_CERTS).all(|(pem, der)| pem.contents() == der.as_ref()));
        assert!(!text.contains('\r'));
        Ok(())
    }
}
