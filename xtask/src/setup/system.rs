//! What the machine itself must bring: toolchains and system packages.
//!
//! Runs `--version` of toolchains, looks at PATH, and installs packages with apt when it may.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use fleetmesh_tools::userns;

/// The oldest Go that builds the pinned tools (their go.mod says so too).
const GO: (u32, u32) = (1, 26);
/// The oldest Python the pinned requirements were resolved for.
const PYTHON: (u32, u32) = (3, 11);

/// A command that tests or the demo call, and the packages that bring it.
struct Needed {
    command: &'static str,
    debian: &'static str,
    fedora: &'static str,
}

const NEEDED: &[Needed] = &[
    Needed { command: "cc", debian: "gcc libc6-dev", fedora: "gcc" },
    Needed { command: "iptables", debian: "iptables", fedora: "iptables-nft" },
    Needed { command: "ip6tables", debian: "iptables", fedora: "iptables-nft" },
    Needed { command: "nft", debian: "nftables", fedora: "nftables" },
    Needed { command: "ip", debian: "iproute2", fedora: "iproute" },
    Needed { command: "setpriv", debian: "util-linux", fedora: "util-linux" },
    Needed { command: "nsenter", debian: "util-linux", fedora: "util-linux" },
    Needed { command: "unshare", debian: "util-linux", fedora: "util-linux-core" },
    Needed { command: "mount", debian: "mount", fedora: "util-linux-core" },
];

/// What a user without root needs besides, to get more than one uid in a user namespace.
const NEEDED_WITHOUT_ROOT: &[Needed] =
    &[Needed { command: "newuidmap", debian: "uidmap", fedora: "shadow-utils" }];

/// What static binaries need besides: C sources, of SQLite and of the cryptography, are among ours.
const STATIC_COMPILER: Needed =
    Needed { command: super::target::COMPILER, debian: "musl-tools", fedora: "musl-gcc musl-devel" };

/// The first executable called `name` on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    // Where interactive shells of users do not look but root's tools are.
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(system)
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Checks Python and system packages; installs packages with apt when run by root on Debian or Ubuntu.
///
/// # Errors
/// Something is missing that only the user can bring: the error holds the one command to run.
pub fn ensure(logs: &Path) -> Result<()> {
    toolchain("python3", &["--version"], PYTHON, "install a newer Python 3 and put it first on PATH")?;
    let mut missing: Vec<&Needed> =
        NEEDED.iter().filter(|needed| on_path(needed.command).is_none()).collect();
    if !userns::is_root() {
        missing.extend(NEEDED_WITHOUT_ROOT.iter().filter(|needed| on_path(needed.command).is_none()));
    }
    install(&missing, !python_has_venv(), logs)
}

/// Checks that there is a Go that builds the pinned tools.
///
/// # Errors
/// There is none, or it is too old; the error says what to do.
pub fn ensure_go() -> Result<()> {
    toolchain("go", &["version"], GO, "install Go from your distribution or the Go project")
}

/// Checks that there is a C compiler for static binaries, as [`ensure`] does.
///
/// # Errors
/// It is missing, and only the user can bring it: the error holds the one command to run.
pub fn ensure_static_compiler(logs: &Path) -> Result<()> {
    let missing: Vec<&Needed> =
        [&STATIC_COMPILER].into_iter().filter(|needed| on_path(needed.command).is_none()).collect();
    install(&missing, false, logs)
}

fn install(missing: &[&Needed], no_venv: bool, logs: &Path) -> Result<()> {
    if missing.is_empty() && !no_venv {
        return Ok(());
    }
    let debian = on_path("apt-get").is_some();
    let packages = packages(missing, no_venv, debian);
    if !(userns::is_root() && debian) {
        bail!("missing: {}. Run: {}", names(missing, no_venv), install_command(&packages, debian));
    }
    eprintln!("  installing with apt: {}", packages.join(" "));
    crate::step::run("apt-get update", Command::new("apt-get").arg("update"), &logs.join("apt-update.log"))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends"]).args(&packages);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    crate::step::run("apt-get install", &mut install, &logs.join("apt-install.log"))
}

fn python_has_venv() -> bool {
    let check = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    check.is_ok_and(|output| output.status.success())
}

fn names(missing: &[&Needed], no_venv: bool) -> String {
    let mut names: Vec<&str> = missing.iter().map(|needed| needed.command).collect();
    if no_venv {
        names.push("Python's venv module");
    }
    names.join(", ")
}

fn packages(missing: &[&Needed], no_venv: bool, debian: bool) -> Vec<&'static str> {
    let mut packages: Vec<&str> = missing
        .iter()
        .flat_map(|needed| if debian { needed.debian } else { needed.fedora }.split(' '))
        .collect();
    if no_venv {
        packages.push(if debian { "python3-venv" } else { "python3-pip" });
    }
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn install_command(packages: &[&str], debian: bool) -> String {
    let packages = packages.join(" ");
    if debian {
        format!("sudo sh -c 'apt-get update && apt-get install --yes {packages}'")
    } else {
        format!("sudo dnf install --assumeyes {packages}")
    }
}

fn toolchain(program: &str, arguments: &[&str], oldest: (u32, u32), way_out: &str) -> Result<()> {
    let wanted = format!("{program} {}.{} or later", oldest.0, oldest.1);
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{wanted} is needed and `{program}` is not on PATH: {way_out}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = version(&text)
        .with_context(|| format!("`{program} {}` printed no version: {text:?}", arguments.join(" ")))?;
    if found < oldest {
        bail!("{wanted} is needed, found {}.{}: {way_out}", found.0, found.1);
    }
    Ok(())
}

/// The first `MAJOR.MINOR` in the output of a version command.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let digits = word.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut parts = digits.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor: String = parts.next()?.chars().take_while(char::is_ascii_digit).collect();
        Some((major, minor.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_reads_what_toolchains_print() {
        assert_eq!(version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(version("Python 3.11.7"), Some((3, 11)));
        assert_eq!(version("go version go1.27rc1 linux/arm64"), Some((1, 27)));
        assert_eq!(version("devel"), None);
    }

    #[test]
    fn install_command_names_each_package_once() {
        let missing: Vec<&Needed> = NEEDED.iter().filter(|needed| needed.command.starts_with("ip")).collect();
        let packages = packages(&missing, true, true);
        assert_eq!(
            install_command(&packages, true),
            "sudo sh -c 'apt-get update && apt-get install --yes iproute2 iptables python3-venv'"
        );
    }
}
