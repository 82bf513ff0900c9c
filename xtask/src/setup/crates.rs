//! The tools that are crates: built once by `cargo install` at a pinned version, with the versions of their own lock file,
//! into `tools/cargo`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Layout;
use super::stamp::{Stamp, digest};

/// One program, of the crate of its name.
pub struct CrateProgram {
    name: &'static str,
    version: &'static str,
    /// Time on two cores, for the progress line.
    takes: &'static str,
}

/// Builds binaries that carry the list of their dependencies.
pub const CARGO_AUDITABLE: CrateProgram =
    CrateProgram { name: "cargo-auditable", version: "0.7.7", takes: "half a minute" };
/// Prints that list as a CycloneDX bill of materials.
pub const AUDITABLE2CDX: CrateProgram =
    CrateProgram { name: "auditable2cdx", version: "0.1.0", takes: "2 minutes" };
/// Checks the dependencies: advisories, licences, bans, sources.
pub const CARGO_DENY: CrateProgram =
    CrateProgram { name: "cargo-deny", version: "0.20.2", takes: "3 minutes" };

/// Installs `program` unless this very version is there, and returns its path.
///
/// # Errors
/// It cannot be built, or a file cannot be written.
pub fn ensure(program: &CrateProgram, layout: &Layout) -> Result<PathBuf> {
    let CrateProgram { name, version, takes } = program;
    let root = layout.tools.join("cargo");
    let product = root.join("bin").join(name);
    let stamp = Stamp::new(&layout.tools, name, digest([name.as_bytes(), version.as_bytes()]));
    if stamp.is_fresh(&product) {
        return Ok(product);
    }
    eprintln!("  {name} {version}: building from source, once (about {takes} on two cores)");
    // Not the caller's target directory: cargo may be at work there, and what is built here is for this one program.
    let scratch = layout.tools.join("cargo-build");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["install", "--locked", "--version", &format!("={version}"), "--root"]);
    command.arg(&root).arg("--target-dir").arg(&scratch).arg(name);
    // They run for seconds; optimising them to the last takes minutes, of which a first run has enough.
    for (setting, value) in [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "16"), ("DEBUG", "0")] {
        command.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    command.env_remove("RUSTC_WORKSPACE_WRAPPER");
    crate::step::run(name, &mut command, &layout.logs.join(format!("{name}.log")))?;
    // Not there when cargo knows that it has installed this version: then only our stamp was lost.
    if scratch.exists() {
        std::fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    }
    stamp.write()?;
    Ok(product)
}
