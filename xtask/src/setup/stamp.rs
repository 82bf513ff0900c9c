//! Stamps: what a tool was made from, so that setup skips what is there and remakes what changed.
//!
//! Reads and writes small files under the tools directory; nothing else.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

/// The digest of everything a tool is made from, as lower-case hex.
pub fn digest<'a>(inputs: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = Sha256::new();
    for input in inputs {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hasher.update((input.len() as u64).to_be_bytes());
        hasher.update(input);
    }
    hex::encode(hasher.finalize())
}

/// The stamp of one tool: a file that holds the digest of its inputs.
pub struct Stamp {
    file: PathBuf,
    digest: String,
}

impl Stamp {
    /// The stamp of tool `name` under `tools`, made from inputs of this digest.
    pub fn new(tools: &Path, name: &str, digest: String) -> Self {
        Self { file: tools.join("stamps").join(name), digest }
    }

    /// Whether the tool was made from the same inputs and `product` is still there.
    pub fn is_fresh(&self, product: &Path) -> bool {
        product.exists() && std::fs::read_to_string(&self.file).is_ok_and(|text| text.trim() == self.digest)
    }

    /// Records that the tool is made. Call it last: an interrupted setup must not look done.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self) -> Result<()> {
        if let Some(folder) = self.file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&self.file, &self.digest)
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_distinguishes_boundaries() {
        let one = digest([b"ab".as_slice(), b"c".as_slice()]);
        let two = digest([b"a".as_slice(), b"bc".as_slice()]);
        assert_ne!(one, two);
        assert_eq!(one.len(), 64);
    }

    #[test]
    fn is_fresh_only_with_product_and_same_inputs() -> Result<()> {
        let tools = std::env::temp_dir().join(format!("fleetmesh-stamp-{}", std::process::id()));
        std::fs::create_dir_all(&tools)?;
        let product = tools.join("etcd");
        let stamp = Stamp::new(&tools, "etcd", "one".to_owned());
        stamp.write()?;
        assert!(!stamp.is_fresh(&product), "the product is missing");
        std::fs::write(&product, "")?;
        assert!(stamp.is_fresh(&product));
        assert!(!Stamp::new(&tools, "etcd", "two".to_owned()).is_fresh(&product), "the inputs changed");
        std::fs::remove_dir_all(&tools)?;
        Ok(())
    }
}
