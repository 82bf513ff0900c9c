//! Where programs are: the tools that `cargo xtask setup` installs and the binaries that cargo builds.
//!
//! Reads the environment and the file system; starts nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The target directory that the running program was built into (so also a configured or shared one).
///
/// # Errors
/// The running program is not inside a target directory.
pub fn target_dir() -> Result<PathBuf> {
    let program = program()?;
    let profile = profile_dir(&program)?;
    let target = profile.parent().context("a profile folder has a parent")?;
    Ok(target.to_owned())
}

/// The path of the running program, also after a build has replaced the file.
///
/// # Errors
/// The system does not say.
pub fn program() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find the path of the running program")?;
    // What Linux appends to the path of a file that was replaced.
    let replaced = program.to_str().and_then(|path| path.strip_suffix(" (deleted)")).map(PathBuf::from);
    Ok(replaced.unwrap_or(program))
}

/// `<target dir>/<profile>`: programs are there or, tests and examples, one folder below.
fn profile_dir(program: &Path) -> Result<&Path> {
    let folder = program.parent().with_context(|| format!("{} is in no folder", program.display()))?;
    if folder.ends_with("deps") || folder.ends_with("examples") {
        return folder.parent().with_context(|| format!("{} is in no target directory", program.display()));
    }
    Ok(folder)
}

/// `<target dir>/tools`, or what `FLEETMESH_TOOLS` says.
///
/// # Errors
/// As [`target_dir`].
pub fn tools_dir() -> Result<PathBuf> {
    match std::env::var_os("FLEETMESH_TOOLS") {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Ok(target_dir()?.join("tools")),
    }
}

/// The root of the workspace that cargo runs the program in.
///
/// # Errors
/// No parent of the package (or of the current folder, outside cargo) holds a `Cargo.lock`.
pub fn workspace_dir() -> Result<PathBuf> {
    let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => PathBuf::from(package),
        None => std::env::current_dir()?,
    };
    let root = start.ancestors().find(|folder| folder.join("Cargo.lock").is_file());
    root.map(Path::to_owned)
        .with_context(|| format!("{} is not inside the Fleetmesh workspace", start.display()))
}

/// The installed tool `name` (`etcd`, `kube-apiserver`, `kubectl`, `kubectl-1.20`, `helm`, `envoy`, `aws`, `moto_server`, `python`).
///
/// # Errors
/// It is not installed.
pub fn tool(name: &str) -> Result<PathBuf> {
    let file = tools_dir()?.join("bin").join(name);
    if file.exists() {
        return Ok(file);
    }
    bail!("{} is missing: run `cargo xtask setup`", file.display())
}

/// The `fleetmesh` binary: `FLEETMESH_BIN`, else the one built beside the running program.
///
/// # Errors
/// It is not built.
pub fn fleetmesh() -> Result<PathBuf> {
    binary("FLEETMESH_BIN", "fleetmesh", "fleetmesh")
}

/// The `fleetmesh-testbed` binary (application, load and DNS server of a test bed): `FLEETMESH_TESTBED_BIN`, else
/// the one built beside the running program.
///
/// # Errors
/// It is not built.
pub fn testbed() -> Result<PathBuf> {
    binary("FLEETMESH_TESTBED_BIN", "fleetmesh-testbed", "fleetmesh-testbed")
}

/// The `fleetmesh-test-api` binary (the embedded API of `fleetmesh standalone`, alone): `FLEETMESH_TEST_API_BIN`, else the one built
/// beside the running program.
///
/// # Errors
/// It is not built.
pub fn test_api() -> Result<PathBuf> {
    binary("FLEETMESH_TEST_API_BIN", "fleetmesh-test-api", "fleetmesh-tests")
}

fn binary(variable: &str, name: &str, package: &str) -> Result<PathBuf> {
    let file = match std::env::var_os(variable) {
        Some(file) => PathBuf::from(file),
        None => profile_dir(&program()?)?.join(name),
    };
    if file.is_file() {
        return Ok(file);
    }
    bail!("{} is missing: run `cargo build -p {package}`, or point {variable} to it", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_dir_of_programs_and_tests() -> Result<()> {
        assert_eq!(profile_dir(Path::new("/t/debug/xtask"))?, Path::new("/t/debug"));
        assert_eq!(profile_dir(Path::new("/t/release/deps/scenario-1f"))?, Path::new("/t/release"));
        Ok(())
    }

    #[test]
    fn workspace_dir_holds_this_package() -> Result<()> {
        assert!(workspace_dir()?.join("tests/testbed/Cargo.toml").is_file());
        Ok(())
    }
}
