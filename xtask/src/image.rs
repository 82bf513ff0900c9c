//! `cargo xtask image`: the static binary, built by `cargo auditable` for musl, the same bytes wherever the sources and the
//! target directory are; then the program that makes an image of it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use fleetmesh_tools::tools;

use crate::setup::target::{COMPILER, TARGET};
use crate::{cargo, setup};

/// What separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const SEPARATOR: &str = "\u{1f}";

/// What `cargo xtask image` takes.
#[derive(clap::Args)]
pub struct ImageArgs {
    /// The image for instances: the proxy commands alone, in a binary of less than 12,000,000 bytes.
    #[arg(long)]
    proxy: bool,
    /// Also run the program where nothing but the image's files is, push the image to a registry on loopback, and make it a
    /// second time with the same digest.
    #[arg(long)]
    check: bool,
    /// Push the image there: [HOST/]REPOSITORY[:TAG], with the credentials of Docker's configuration file.
    #[arg(long, value_name = "REF")]
    push: Option<String>,
    /// Write the image's files into this folder and make no image: for a Dockerfile.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["check", "push"])]
    files: Option<PathBuf>,
}

/// Builds the binary and has the image made of it.
///
/// # Errors
/// Something cannot be installed, built or pushed, or the image is not as it has to be.
pub fn run(arguments: &ImageArgs) -> Result<ExitCode> {
    let ImageArgs { proxy, check, push, files } = arguments;
    let out = tools::target_dir()?.join("image");
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let binary = build(*proxy, &setup::binary()?, &out)?;
    // As the tests are built, so that nothing is compiled a second time with other features.
    cargo::run(&["test", "--quiet", "--workspace", "--no-run", "--test", "image_program"])?;
    let mut make = Command::new(tools::target_dir()?.join("debug/fleetmesh-image"));
    make.arg("--binary").arg(binary).args(proxy.then_some("--proxy"));
    if let Some(folder) = files {
        make.arg("--files").arg(std::path::absolute(folder)?);
    } else {
        let tools = setup::image()?;
        make.arg("--out")
            .arg(out)
            .arg("--crane")
            .arg(tools.crane)
            .arg("--auditable2cdx")
            .arg(tools.auditable2cdx);
        make.args(check.then_some("--check"));
        make.args(push.iter().flat_map(|reference| ["--push", reference]));
    }
    cargo::replace(make)
}

/// The profile and the features that the binary is built with: of the proxy commands alone, or of the whole program.
fn flavor(proxy: bool) -> (&'static str, &'static [&'static str]) {
    match proxy {
        true => ("proxy", &["--no-default-features", "--features", "proxy"]),
        false => ("release", &[]),
    }
}

/// Builds the binary below `out` and returns its path.
fn build(proxy: bool, auditable: &Path, out: &Path) -> Result<PathBuf> {
    let (profile, features) = flavor(proxy);
    // Of its own: the flags below are not those of other builds, which would be thrown away.
    let target_dir = out.join("build");
    let mut command = cargo::through(auditable, &["auditable", "build", "--locked"])?;
    command.args(["--package", "fleetmesh", "--bin", "fleetmesh", "--target", TARGET]);
    command.args(["--profile", profile]).args(features);
    command.arg("--target-dir").arg(&target_dir);
    let renamed = renamed(&target_dir)?;
    let of = |option: &str| {
        renamed.iter().map(|(from, to)| format!("{option}={}={to}", from.display())).collect::<Vec<_>>()
    };
    // Lints of the caller have no say in the bytes.
    command.env_remove("RUSTC_WORKSPACE_WRAPPER");
    command.env("CARGO_ENCODED_RUSTFLAGS", of("--remap-path-prefix").join(SEPARATOR));
    command.env(format!("CFLAGS_{}", TARGET.replace('-', "_")), of("-ffile-prefix-map").join(" "));
    command.env(format!("CC_{}", TARGET.replace('-', "_")), COMPILER);
    cargo::status(command)?;
    Ok(target_dir.join(TARGET).join(profile).join("fleetmesh"))
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
