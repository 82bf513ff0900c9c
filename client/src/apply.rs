//! apply: objects become as files have them, by server-side apply.

use fleetmesh_api::urls::escape;
use http::Method;
use serde_json::{Value, json};

use crate::error::Error;
use crate::fetch::Target;
use crate::files::{self, FileOptions};
use crate::output::Output;
use crate::session::Session;

/// The media type of server-side apply.
const MEDIA_TYPE: &str = "application/apply-patch+yaml";

/// The options of `apply`.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// The files.
    pub files: FileOptions,
    /// Only what these labels select, or nothing.
    pub labels: String,
    /// In which form what was applied is printed.
    pub output: Output,
    /// Under which name it is managed.
    pub field_manager: String,
    /// Whether members of other managers are taken over.
    pub force_conflicts: bool,
    /// Whether nothing is stored.
    pub dry_run: bool,
    /// What is done about unknown fields: `Strict`, `Warn` or `Ignore`.
    pub validation: String,
    /// With who manages what in a document.
    pub show_managed_fields: bool,
}

/// What to do about a conflict, as kubectl says it.
const CONFLICT: &str = "
Please review the fields above--they currently have other managers. Here
are the ways you can resolve this warning:
* If you intend to manage all of these fields, please re-run the apply
  command with the `--force-conflicts` flag.
* If you do not intend to manage all of the fields, please edit your
  manifest to remove references to the fields that should keep their
  current managers.
* You may co-own fields by updating your manifest to match the existing
  value; in this case, you'll become the manager if the other manager(s)
  stop managing the field (remove it from their configuration).
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts";

pub(crate) async fn run(session: &mut Session<'_>, options: &ApplyOptions) -> Result<(), Error> {
    if options.files.is_empty() {
        return Err(Error::message("must specify one of -f and -k"));
    }
    let (targets, mut errors) = files::objects(session, &options.files, &options.labels)?;
    if targets.is_empty() && errors.is_empty() {
        return Err(Error::message("no objects passed to apply"));
    }
    let mut applied = Vec::new();
    for mut target in targets {
        match apply(session, options, &target).await {
            Ok(object) => {
                target.object = object;
                if options.output.is_for_people() || options.output == Output::Name {
                    session.print(&line(options, &target))?;
                }
                applied.push(target);
            }
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors)?;
    if options.output.is_for_people() || options.output == Output::Name {
        return Ok(());
    }
    let is_single = applied.len() == 1;
    session.print(&options.output.list(&applied, is_single, options.show_managed_fields, json!({}))?)
}

fn line(options: &ApplyOptions, target: &Target) -> String {
    match (options.output, options.dry_run) {
        (Output::Name, _) => format!("{}/{}\n", target.resource.qualified_kind(), target.name),
        (_, true) => target.done("serverside-applied (server dry run)"),
        (_, false) => target.done("serverside-applied"),
    }
}

async fn apply(session: &mut Session<'_>, options: &ApplyOptions, target: &Target) -> Result<Value, Error> {
    let metadata = &target.object["metadata"];
    if target.name.is_empty() {
        return Err(match metadata["generateName"].as_str() {
            Some(prefix) => Error::message(format!("from {prefix}: cannot use generate name with apply")),
            None => Error::message("resource name may not be empty"),
        });
    }
    let request = Request {
        manager: &options.field_manager,
        force: options.force_conflicts,
        dry_run: options.dry_run,
        validation: &options.validation,
    };
    let applied = request.send(session, target).await.map_err(|error| match error {
        Error::Status(status) if status.reason() == "Conflict" => {
            Error::message(format!("{}{CONFLICT}", status.message()))
        }
        other => other,
    })?;
    if applied["metadata"]["deletionTimestamp"].is_string() {
        let name = &target.name;
        let warning = format!("Detected changes to resource {name} which is currently being deleted.");
        session.note(&format!("Warning: {warning}"))?;
    }
    Ok(applied)
}

/// How an object is applied.
#[derive(Clone, Copy)]
pub(crate) struct Request<'r> {
    pub manager: &'r str,
    pub force: bool,
    pub dry_run: bool,
    /// Empty for the API's own.
    pub validation: &'r str,
}

impl Request<'_> {
    /// What the object is then.
    pub async fn send(self, session: &mut Session<'_>, target: &Target) -> Result<Value, Error> {
        let mut path =
            format!("{}?fieldManager={}&force={}", target.path(), escape(self.manager), self.force);
        if self.dry_run {
            path.push_str("&dryRun=All");
        }
        if !self.validation.is_empty() {
            path.push_str(&format!("&fieldValidation={}", self.validation));
        }
        session.send(Method::PATCH, &path, MEDIA_TYPE, &target.object).await
    }
}
