//! The static binary: built by `cargo auditable` for musl, the same bytes wherever the sources and the target directory are.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::variant::Variant;
use crate::cargo;
use crate::setup::target::{COMPILER, TARGET};

/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\u{1f}";

/// Builds the binary below `out` and returns its path.
///
/// # Errors
/// Cargo fails.
pub fn build(variant: Variant, auditable: &Path, out: &Path) -> Result<PathBuf> {
    // Of its own: the flags below are not those of other builds, which would be thrown away.
    let target_dir = out.join("build");
    let mut command = cargo::through(auditable, &["auditable", "build", "--locked"])?;
    command.args(["--package", "fleetmesh", "--bin", "fleetmesh", "--target", TARGET]);
    command.args(["--profile", variant.profile()]).args(variant.features());
    command.arg("--target-dir").arg(&target_dir);
    let renamed = renamed(&target_dir)?;
    let of = |option: &str| {
        renamed.iter().map(|(from, to)| format!("{option}={}={to}", from.display())).collect::<Vec<_>>()
    };
    command.env("CARGO_ENCODED_RUSTFLAGS", of("--remap-path-prefix").join(SEPARATOR));
    command.env(format!("CFLAGS_{}", TARGET.replace('-', "_")), of("-ffile-prefix-map").join(" "));
    command.env(format!("CC_{}", TARGET.replace('-', "_")), COMPILER);
    cargo::status(command)?;
    Ok(target_dir.join(TARGET).join(variant.profile()).join("fleetmesh"))
}

/// Folders that messages and panics in the binary would name, and what they are called there instead: neither where it was
/// built nor by whom may change its bytes. Cargo names the files of the workspace relative to it.
fn renamed(target_dir: &Path) -> Result<[(PathBuf, &'static str); 2]> {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    // The last that fits decides.
    Ok([(cargo_home, "/cargo"), (target_dir.to_owned(), "/target")])
}
