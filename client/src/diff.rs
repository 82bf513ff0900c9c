//! diff: what applying files would change, by `diff -u -N` or the program that `KUBECTL_EXTERNAL_DIFF` names, as kubectl has it.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::apply::Request;
use crate::error::Error;
use crate::fetch::Target;
use crate::files::{self, FileOptions};
use crate::output::shown;
use crate::session::{JSON, Session};
use crate::yaml;

/// The options of `diff`.
#[derive(Clone, Debug)]
pub struct DiffOptions {
    /// The files.
    pub files: FileOptions,
    /// Only what these labels select, or nothing.
    pub labels: String,
    /// Under which name it would be managed.
    pub field_manager: String,
    /// Whether members of other managers would be taken over.
    pub force_conflicts: bool,
    /// With who manages what.
    pub show_managed_fields: bool,
    /// Another program with its arguments, or nothing.
    pub program: Option<String>,
}

pub(crate) async fn run(session: &mut Session<'_>, options: &DiffOptions) -> Result<(), Error> {
    if options.files.is_empty() {
        return Err(Error::message("must specify one of -f and -k"));
    }
    let (targets, errors) = files::objects(session, &options.files, &options.labels)?;
    Error::all(errors)?;
    let folder = |prefix: &str| tempfile::Builder::new().prefix(prefix).tempdir();
    let (before, after) = (folder("LIVE-")?, folder("MERGED-")?);
    for target in &targets {
        let live = match session.read(&target.path(), JSON).await {
            Ok(object) => Some(object),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let request = Request {
            manager: &options.field_manager,
            force: options.force_conflicts,
            dry_run: true,
            validation: "",
        };
        let merged = request.send(session, target).await?;
        let mut live = live.map(|object| shown(&object, options.show_managed_fields));
        let mut merged = shown(&merged, options.show_managed_fields);
        if target.resource.kind == "Secret" && target.resource.group.is_empty() {
            mask(live.as_mut(), &mut merged);
        }
        write(before.path(), target, live.as_ref())?;
        write(after.path(), target, Some(&merged))?;
    }
    compare(session, options, &before, &after).await
}

/// Hides what a Secret has, but not that it differs.
fn mask(live: Option<&mut Value>, merged: &mut Value) {
    let (mut nothing, mut empty) = (Value::Null, serde_json::Map::new());
    let live = live.unwrap_or(&mut nothing);
    let after = match merged.get_mut("data").and_then(Value::as_object_mut) {
        Some(after) => after,
        None => &mut empty,
    };
    let before = live.get_mut("data").and_then(Value::as_object_mut);
    for (name, value) in before.into_iter().flatten() {
        let (masked_before, masked_after) = match after.get(name) {
            Some(new) if new != value => ("*** (before)", "*** (after)"),
            _ => ("***", "***"),
        };
        *value = masked_before.into();
        if let Some(new) = after.get_mut(name) {
            *new = masked_after.into();
        }
    }
    for (_, value) in after.iter_mut() {
        if !["***", "*** (after)"].iter().any(|mask| value == mask) {
            *value = "***".into();
        }
    }
}

/// Writes an object to its file; one that is not there has an empty file.
fn write(folder: &Path, target: &Target, object: Option<&Value>) -> io::Result<()> {
    let group = match target.resource.group.as_str() {
        "" => String::new(),
        group => format!("{group}."),
    };
    let (version, kind) = (&target.resource.version, &target.resource.kind);
    let name = format!("{group}{version}.{kind}.{}.{}", target.namespace, target.name);
    fs::write(folder.join(name), object.map(yaml::document).unwrap_or_default())
}

/// Runs the program that shows the difference.
async fn compare(
    session: &mut Session<'_>,
    options: &DiffOptions,
    before: &TempDir,
    after: &TempDir,
) -> Result<(), Error> {
    let given = options.program.as_deref().filter(|text| !text.trim().is_empty()).unwrap_or("diff -u -N");
    let mut words = given.split_whitespace();
    let program = words.next().unwrap_or("diff");
    let is_plain =
        |word: &&str| word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-=".contains(letter));
    let mut command = Command::new(program);
    command.args(words.filter(is_plain)).arg(before.path()).arg(after.path());
    let output = command.stdin(Stdio::null()).output().await;
    let output = output.map_err(|error| {
        Error::message(format!(
            "failed to run \"{program}\": {error}. Install it, or name another program in KUBECTL_EXTERNAL_DIFF"
        ))
    })?;
    session.print(&String::from_utf8_lossy(&output.stdout))?;
    session.streams.err.write_all(&output.stderr)?;
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(Error::Different),
        _ => Err(Error::message(format!("failed to run \"{program}\": {}", output.status))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_is_never_shown_but_that_it_differs_is() {
        let mut live = json!({"data": {"same": "YQ==", "other": "YQ==", "gone": "YQ=="}});
        let mut merged = json!({"data": {"same": "YQ==", "other": "Yg==", "new": "YQ=="}});
        mask(Some(&mut live), &mut merged);
        assert_eq!(live, json!({"data": {"same": "***", "other": "*** (before)", "gone": "***"}}));
        assert_eq!(merged, json!({"data": {"same": "***", "other": "*** (after)", "new": "***"}}));
        let mut created = json!({"data": {"new": "YQ=="}});
        mask(None, &mut created);
        assert_eq!(created, json!({"data": {"new": "***"}}));
    }
}
