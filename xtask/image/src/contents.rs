//! Checks of a finished image by its archive alone: what is in it, what it says about itself, and that the binary needs
//! nothing that is not there.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use object::elf::{DT_NEEDED, FileHeader64, PT_DYNAMIC, PT_INTERP};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _};
use serde_json::Value;

use super::config;
use super::layer::{ENTRY_POINT, Layer, relative};

/// Where `cargo auditable` puts the list of dependencies.
const AUDIT_SECTION: &str = ".dep-v0";

/// Checks the image in `archive`, as `crane` and `docker save` write it, called `name`, of this one layer. Returns the layer
/// as a tar archive.
///
/// # Errors
/// Something is not as it has to be; the error says what.
pub fn check(archive: &Path, name: &str, expected: &Layer) -> Result<Vec<u8>> {
    let mut files = read(archive)?;
    let manifest = json(&files, "manifest.json")?;
    let images = manifest.as_array().context("manifest.json is no list")?;
    ensure!(images.len() == 1, "the archive holds {} images", images.len());
    let image = &images[0];
    ensure!(image["RepoTags"] == serde_json::json!([name]), "the image is called {}", image["RepoTags"]);
    config::check(&json(&files, text(&image["Config"])?)?)?;
    let layers = image["Layers"].as_array().context("the image has no layers")?;
    ensure!(layers.len() == 1, "the image has {} layers", layers.len());
    let layer = text(&layers[0])?;
    let packed = files.remove(layer).with_context(|| format!("{layer} is not in the archive"))?;
    let mut unpacked = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).context("the layer is no gzip")?;
    check_layer(&unpacked, expected)?;
    Ok(unpacked)
}

/// Nothing but what `expected` lists is in the layer, of no time and of root, and the binary is one that we ship.
fn check_layer(layer: &[u8], expected: &Layer) -> Result<()> {
    let mut expected = expected.listing();
    for entry in tar::Archive::new(layer).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.display().to_string();
        let header = entry.header();
        ensure!(
            (header.mtime()?, header.uid()?, header.gid()?) == (0, 0, 0),
            "{path} shows when or by whom it was made"
        );
        let found = (path.as_str(), header.mode()?, header.size()?);
        let wanted = expected.next();
        ensure!(Some(found) == wanted, "the layer has {found:?} where {wanted:?} belongs");
        if path == relative(ENTRY_POINT) {
            let mut binary = Vec::new();
            entry.read_to_end(&mut binary)?;
            check_binary(&binary)?;
        }
    }
    let missing = expected.next();
    ensure!(missing.is_none(), "the layer lacks {missing:?}");
    Ok(())
}

/// The binary is an ELF file that needs neither an interpreter nor a library, and carries the list of its dependencies.
fn check_binary(binary: &[u8]) -> Result<()> {
    let header = FileHeader64::<Endianness>::parse(binary).context("the binary is no ELF file")?;
    let endian = header.endian()?;
    for segment in header.program_headers(endian, binary)? {
        ensure!(segment.p_type(endian) != PT_INTERP, "the binary is not static: it asks for an interpreter");
        if segment.p_type(endian) == PT_DYNAMIC {
            let entries = segment.dynamic(endian, binary)?.unwrap_or_default();
            let needs = entries.iter().any(|entry| entry.tag(endian) == DT_NEEDED);
            ensure!(!needs, "the binary is not static: it needs libraries");
        }
    }
    let file = object::File::parse(binary)?;
    ensure!(
        file.section_by_name(AUDIT_SECTION).is_some(),
        "the binary has no section {AUDIT_SECTION}: it was not built by `cargo auditable`"
    );
    Ok(())
}

/// The files of a tar archive, by path.
fn read(archive: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let file = std::fs::File::open(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(file).entries()? {
        let mut entry = entry?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        files.insert(entry.path()?.display().to_string(), content);
    }
    Ok(files)
}

fn json(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<Value> {
    let content = files.get(name).with_context(|| format!("{name} is not in the archive"))?;
    serde_json::from_slice(content).with_context(|| format!("{name} is no JSON"))
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the check says of a layer that holds these bytes as the binary.
    fn refusal(binary: &[u8]) -> Result<String> {
        let layer = Layer::new(binary.to_vec());
        let mut archive = Vec::new();
        layer.write_tar(&mut archive)?;
        Ok(check_layer(&archive, &layer).map_or_else(|error| error.to_string(), |()| "taken".to_owned()))
    }

    #[test]
    fn a_binary_that_needs_an_interpreter_is_refused() -> Result<()> {
        // This test itself is one.
        let binary = std::fs::read(std::env::current_exe()?)?;
        let refusal = refusal(&binary)?;
        assert!(refusal.contains("interpreter"), "{refusal}");
        Ok(())
    }

    #[test]
    fn what_is_no_binary_is_refused() -> Result<()> {
        let refusal = refusal(b"#!/bin/sh\n")?;
        assert!(refusal.contains("no ELF file"), "{refusal}");
        Ok(())
    }

    #[test]
    fn a_file_more_is_refused() -> Result<()> {
        let expected = Layer::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, "etc/passwd", &b""[..])?;
        let refused = check_layer(&archive.into_inner()?, &expected);
        let refusal = refused.map_or_else(|error| error.to_string(), |()| String::new());
        assert!(refusal.contains("etc/passwd"), "{refusal}");
        Ok(())
    }

    #[test]
    fn a_file_less_is_refused() {
        let refused = check_layer(&[0; 1024], &Layer::new(Vec::new()));
        let refusal = refused.map_or_else(|error| error.to_string(), |()| String::new());
        assert!(refusal.contains("lacks"), "{refusal}");
    }
}
