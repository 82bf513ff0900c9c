//! `fleetmesh init`: writes a first mesh for the services that are named, as manifests. `plan` checks the names and `manifests` renders
//! the files, both pure.

mod args;
mod manifests;
mod name;
mod plan;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;

pub use args::InitArgs;
pub use plan::PlanError;

/// Writes the files, and prints which and what to do with them.
///
/// # Errors
/// The names do not fit together ([`PlanError`], wrong usage), the folder has manifests already, or it cannot be written. Nothing is
/// written then.
pub fn run(args: &InitArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let plan = args.plan()?;
    let manifests = manifests::render(&plan);
    let left = crate::manifests::write(&args.folder, &manifests, args.force)?;
    let names: Vec<&str> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
    let text = report(&args.folder, &names, &left);
    out.write_all(text.as_bytes()).context("cannot write to standard output")
}

/// What was written, and the next command.
fn report(folder: &Path, written: &[&str], left: &[String]) -> String {
    let lines = |names: &[&str]| names.iter().map(|name| format!("  {name}\n")).collect::<String>();
    let quoted = quoted(&folder.display().to_string());
    let mut text = format!("Wrote to {}:\n{}", folder.display(), lines(written));
    if !left.is_empty() {
        let left: Vec<&str> = left.iter().map(String::as_str).collect();
        text += &format!("Already there, and applied with them:\n{}", lines(&left));
    }
    text + &format!(
        "\nOn this host:  fleetmesh standalone --data-dir ~/fleetmesh --manifests {quoted}\n\
         On a cluster:  kubectl apply -R -f {quoted}\n"
    )
}

/// As one word of a shell.
fn quoted(path: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_./-+,:@".contains(letter);
    if !path.is_empty() && path.chars().all(is_plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}
