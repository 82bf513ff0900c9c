//! What builds static binaries: Rust's standard library for musl, and a C compiler for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The target of static binaries.
pub const TARGET: &str = "x86_64-unknown-linux-musl";
/// The C compiler of that target.
pub const COMPILER: &str = "musl-gcc";

/// Adds the target with rustup, and the compiler as `system` does, where they are missing.
///
/// # Errors
/// Something is missing that only the user can bring: the error holds the command to run.
pub fn ensure(logs: &Path) -> Result<()> {
    // The name of a compiler for another machine depends on who packages it.
    if std::env::consts::ARCH != "x86_64" {
        bail!(
            "images are for x86-64, and can be built only there; this machine is {}",
            std::env::consts::ARCH
        );
    }
    super::system::ensure_static_compiler(logs)?;
    if has_standard_library()? {
        return Ok(());
    }
    let way_out = format!(
        "Rust's standard library for {TARGET} is missing. Run: rustup target add {TARGET} (or, without rustup, \
         install it from where your Rust is from)"
    );
    let mut add = Command::new("rustup");
    add.args(["target", "add", TARGET]);
    crate::step::run("rustup target add", &mut add, &logs.join("rustup.log")).context(way_out.clone())?;
    // rustup may have added it to another toolchain than the one that runs.
    if has_standard_library()? { Ok(()) } else { bail!(way_out) }
}

fn has_standard_library() -> Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .context("cannot run rustc")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok(output.status.success() && folder.is_dir())
}
