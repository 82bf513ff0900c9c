//! `cargo xtask deny`: what may be among the dependencies, by `deny.toml`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{cargo, setup};

/// Checks bans, licences and sources, and advisories when their database can be fetched.
///
/// # Errors
/// A dependency may not be used, or cargo-deny cannot be installed.
pub fn run() -> Result<ExitCode> {
    let deny = setup::deny()?;
    cargo::status(cargo::through(&deny, &["check", "bans", "licenses", "sources"])?)?;
    if can_fetch_advisories(&deny)? {
        cargo::status(cargo::through(&deny, &["check", "advisories"])?)?;
    } else {
        println!("SKIPPED: advisories were not checked, because their database cannot be fetched from here");
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether the database is here and up to date now.
fn can_fetch_advisories(deny: &Path) -> Result<bool> {
    let mut fetch: Command = cargo::through(deny, &["fetch", "db"])?;
    let output = fetch.output().context("cannot run cargo-deny")?;
    Ok(output.status.success())
}
