//! Root, real or in a user namespace: what a test bed's network namespaces need.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Error, Result, bail};

use crate::tools;

/// Set for tests when those that make namespaces shall be left out; `cargo xtask test --without-namespaces` does.
pub const WITHOUT_NAMESPACES: &str = "FLEETMESH_WITHOUT_NAMESPACES";
/// The file that takes the name of each test that was left out, one a line; the runner counts them.
pub const SKIPPED: &str = "FLEETMESH_SKIPPED_TESTS";
/// Shows a program that [`become_root`] started it.
const ENTERED: &str = "FLEETMESH_USER_NAMESPACE";

/// Becomes root of a new user namespace with the user's subordinate ids, in a mount namespace of its own.
const UNSHARE: &[&str] = &["--user", "--map-root-user", "--map-auto", "--mount"];

/// Whether this program runs as root, be it of a user namespace.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this program was started by [`become_root`], so that what needs the real user is done.
#[must_use]
pub fn entered() -> bool {
    std::env::var_os(ENTERED).is_some()
}

/// Whether a test that makes namespaces shall run. False only where the caller asked to leave such tests out; a test
/// that cannot run otherwise fails, so that nobody takes it for passed. Rust's own runner counts one that is left out as
/// passed and shows nothing that it prints: ours learns of it by the file that [`SKIPPED`] names.
#[must_use]
pub fn wanted() -> bool {
    let wanted = std::env::var_os(WITHOUT_NAMESPACES).is_none();
    if !wanted {
        // A test runs on a thread of its name.
        let test = std::thread::current().name().unwrap_or("a test without a name").to_owned();
        eprintln!("SKIPPED: {test}: {WITHOUT_NAMESPACES} is set");
        if let Some(Err(error)) = std::env::var_os(SKIPPED).map(|file| note(Path::new(&file), &test)) {
            eprintln!("{test} is not counted as skipped: {error}");
        }
    }
    wanted
}

/// Adds a line; programs that do so at the same time do not mingle.
fn note(file: &Path, test: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(format!("{test}\n").as_bytes())
}

/// Whether network namespaces with several users can be made here: as they are now, by root.
///
/// # Errors
/// They cannot; the error says what is missing.
pub fn can_make_namespaces() -> Result<()> {
    if !is_root() {
        bail!("network namespaces need root: run as root or through `cargo xtask`");
    }
    probe(Command::new("unshare").args(["--net", "--mount", "--", "setpriv"]).args(AS_PROXY).arg("true"))
        .context("this kernel or container forbids new network and mount namespaces")
}

/// Whether the kernel and the user's settings allow [`become_root`].
///
/// # Errors
/// They do not; the error says what is missing.
pub fn can_become_root() -> Result<()> {
    let inner = ["unshare", "--net", "--mount", "--", "setpriv"];
    probe(Command::new("unshare").args(UNSHARE).arg("--").args(inner).args(AS_PROXY).arg("true")).context(
        "a user namespace needs: a kernel that allows them to users, `newuidmap` and `newgidmap` (Debian's package \
         uidmap), and ranges of at least 65536 ids for this user in /etc/subuid and /etc/subgid. Or run as root",
    )
}

/// Runs as the proxy's user: the uid that traffic interception leaves alone.
const AS_PROXY: &[&str] = &["--reuid", "1337", "--regid", "1337", "--clear-groups", "--"];

fn probe(command: &mut Command) -> Result<()> {
    let output = command.output().context("cannot run unshare (package util-linux)")?;
    if output.status.success() {
        return Ok(());
    }
    bail!("{}", String::from_utf8_lossy(&output.stderr).trim())
}

/// Starts this program again, with the same arguments, as root of a user namespace. Returns only on failure.
#[must_use]
pub fn become_root() -> Error {
    let program = match tools::program() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let arguments = std::env::args_os().skip(1);
    // Where `ip`, `iptables` and `nft` are, which users other than root seldom have on their PATH.
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let error = Command::new("unshare")
        .args(UNSHARE)
        .arg("--")
        .arg(program)
        .args(arguments)
        .env(ENTERED, "1")
        .env("PATH", path)
        .exec();
    Error::from(error).context("cannot run unshare (package util-linux)")
}
