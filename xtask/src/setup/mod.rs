//! `cargo xtask setup`: everything that tests and the demo need, into `<target dir>/tools`.
//!
//! Skips what is there. Only this folder installs anything; all other commands call [`run`] first, or, when they need
//! something else, the function of their name.

mod crates;
mod go;
mod python;
mod stamp;
mod system;
pub mod target;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use fleetmesh_tools::tools;

/// Where setup reads and writes.
struct Layout {
    /// The pinned versions: `xtask/tools` of the workspace.
    sources: PathBuf,
    /// `<target dir>/tools`.
    tools: PathBuf,
    /// Where every tool can be called by name.
    bin: PathBuf,
    /// Output of builds and installations.
    logs: PathBuf,
}

/// What is to be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tools {
    /// Everything that tests start: kube-apiserver, etcd, helm, kubectl of today and of 1.20, Envoy, and the packages of Python.
    All,
    /// Envoy, and the packages of Python: what takes no Go.
    Python,
    /// Envoy, and Python itself.
    Envoy,
}

/// Installs everything that is missing. Two runs at once wait for each other.
///
/// # Errors
/// Something cannot be built or installed; the error says what to do.
pub fn run() -> Result<()> {
    install(Tools::All)
}

fn install(tools: Tools) -> Result<()> {
    locked(|layout| {
        check(tools, layout)?;
        match tools {
            Tools::Envoy => python::ensure_envoy(layout),
            Tools::Python => python::ensure(layout),
            Tools::All => {
                python::ensure(layout)?;
                go::ensure(layout)
            }
        }
    })
}

/// Demands what only the user can bring.
fn check(tools: Tools, layout: &Layout) -> Result<()> {
    if tools == Tools::All {
        system::ensure_go()?;
    }
    system::ensure(&layout.logs)
}

/// Runs `build`, which compiles, while `tools` are installed, which it does not need: one waits for single processes that the
/// other can do without.
///
/// # Errors
/// As [`run`], or `build` fails, which is only returned after what was being installed is there: its builds are not cut short.
pub fn beside(tools: Tools, build: impl FnOnce() -> Result<()>) -> Result<()> {
    // At once, not after minutes of compiling.
    locked(|layout| check(tools, layout))?;
    std::thread::scope(|scope| {
        let installed = scope.spawn(move || install(tools));
        let built = build();
        if built.is_err() && !installed.is_finished() {
            eprintln!("the build failed; waiting for the tools that are being installed");
        }
        let installed = installed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        built.and(installed)
    })
}

/// Installs what building a static binary needs and returns the path of `cargo-auditable`.
///
/// # Errors
/// As [`run`].
pub fn binary() -> Result<PathBuf> {
    locked(|layout| {
        target::ensure(&layout.logs)?;
        crates::ensure(&crates::CARGO_AUDITABLE, layout)
    })
}

/// What making an image needs besides.
pub struct ImageTools {
    /// Makes images without a daemon.
    pub crane: PathBuf,
    /// Prints the bill of materials that a binary carries, as CycloneDX.
    pub auditable2cdx: PathBuf,
}

/// Installs what making an image needs besides a static binary.
///
/// # Errors
/// As [`run`].
pub fn image() -> Result<ImageTools> {
    locked(|layout| {
        system::ensure_go()?;
        go::ensure_crane(layout)?;
        let auditable2cdx = crates::ensure(&crates::AUDITABLE2CDX, layout)?;
        Ok(ImageTools { crane: layout.bin.join("crane"), auditable2cdx })
    })
}

/// Installs `cargo-deny` and returns its path.
///
/// # Errors
/// As [`run`].
pub fn deny() -> Result<PathBuf> {
    locked(|layout| crates::ensure(&crates::CARGO_DENY, layout))
}

/// Installs into the tools directory while no other run does.
fn locked<T>(install: impl FnOnce(&Layout) -> Result<T>) -> Result<T> {
    let tools = tools::tools_dir()?;
    let layout = Layout {
        sources: tools::workspace_dir()?.join("xtask/tools"),
        bin: tools.join("bin"),
        logs: tools.join("logs"),
        tools,
    };
    for folder in [&layout.bin, &layout.logs] {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let lock = File::create(layout.tools.join("lock"))?;
    lock.lock().context("cannot lock the tools directory")?;
    install(&layout)
}

/// Makes `link` point to `target`, replacing what was there in one step.
fn link(target: &Path, link: &Path) -> Result<()> {
    if std::fs::read_link(link).is_ok_and(|current| current == target) {
        return Ok(());
    }
    let partial = link.with_extension("partial");
    // Left by an interrupted run, or not there at all: both are fine.
    let _ = std::fs::remove_file(&partial);
    std::os::unix::fs::symlink(target, &partial)
        .and_then(|()| std::fs::rename(&partial, link))
        .with_context(|| format!("cannot link {} to {}", link.display(), target.display()))
}

/// Makes `file` a program that runs `target` by its own path.
fn wrap(target: &Path, file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let script = format!("#!/bin/sh\nexec '{}' \"$@\"\n", target.display());
    if std::fs::read_to_string(file).is_ok_and(|current| current == script) {
        return Ok(());
    }
    let partial = file.with_extension("partial");
    std::fs::write(&partial, script)
        .and_then(|()| std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(0o755)))
        .and_then(|()| std::fs::rename(&partial, file))
        .with_context(|| format!("cannot write {}", file.display()))
}
