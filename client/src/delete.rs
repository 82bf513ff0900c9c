//! delete: objects go, and by default this waits until they are gone.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::condition::Condition;
use crate::error::Error;
use crate::fetch::{Query, Target, Wanted};
use crate::session::{JSON, Session};
use crate::wait;

/// As long as kubectl waits where it should wait for ever.
const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What becomes of what an object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cascade {
    /// It is deleted afterwards.
    #[default]
    Background,
    /// It is deleted before.
    Foreground,
    /// It stays, without the owner.
    Orphan,
}

/// The options of `delete`.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Which objects.
    pub query: Query,
    /// Whether only names are printed.
    pub names: bool,
    /// An object that is not there is no error.
    pub ignore_not_found: bool,
    /// What becomes of what they own.
    pub cascade: Cascade,
    /// Whether nothing is deleted.
    pub dry_run: bool,
    /// Do not wait until they are gone.
    pub no_wait: bool,
    /// How long to wait; zero is a week.
    pub timeout: Duration,
}

pub(crate) async fn run(session: &mut Session<'_>, options: &DeleteOptions) -> Result<(), Error> {
    let (query, mut errors) = (&options.query, Vec::new());
    if query.all && !query.labels.is_empty() {
        return Err(Error::message("cannot set --all and --selector at the same time"));
    }
    let targets = match query.wanted(session, false)? {
        Wanted::Objects(targets, more) => {
            errors.extend(more);
            targets
        }
        Wanted::Collections(_) => {
            let found = query.objects(session, false).await?;
            errors.extend(found.errors);
            found.targets
        }
    };
    let (mut deleted, mut found) = (Vec::new(), 0);
    let ignores =
        options.ignore_not_found || query.all || !query.labels.is_empty() || !query.fields.is_empty();
    for target in targets {
        if session.is_explicit && !query.all_namespaces && !target.resource.is_namespaced {
            session.warn("deleting cluster-scoped resources, not scoped to the provided namespace")?;
        }
        match delete(session, options, &target).await {
            Ok(uid) => {
                found += 1;
                session.print(&line(options, &target))?;
                deleted.push((target, uid));
            }
            Err(error) if ignores && error.is_not_found() => found += 1,
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors)?;
    if found == 0 {
        return session.print("No resources found\n");
    }
    if options.no_wait || options.dry_run {
        return Ok(());
    }
    gone(session, options, &deleted).await
}

/// Waits until all are gone.
async fn gone(
    session: &mut Session<'_>,
    options: &DeleteOptions,
    deleted: &[(Target, String)],
) -> Result<(), Error> {
    let timeout = if options.timeout.is_zero() { WEEK } else { options.timeout };
    let until = wait::Until { end: Instant::now() + timeout, once: false };
    let mut errors = Vec::new();
    for (target, uid) in deleted {
        errors.extend(until.reached(session, target, &Condition::Deleted, Some(uid.as_str())).await.err());
    }
    Error::all(errors)
}

fn line(options: &DeleteOptions, target: &Target) -> String {
    let (kind, name) = (target.resource.qualified_kind(), &target.name);
    if options.names {
        return format!("{kind}/{name}\n");
    }
    let from = match target.resource.is_namespaced {
        true => format!(" from {} namespace", target.namespace),
        false => String::new(),
    };
    let dry = if options.dry_run { " (server dry run)" } else { "" };
    format!("{kind} \"{name}\" deleted{from}{dry}\n")
}

/// Deletes one object, and says which it was.
async fn delete(
    session: &mut Session<'_>,
    options: &DeleteOptions,
    target: &Target,
) -> Result<String, Error> {
    let policy = match options.cascade {
        Cascade::Background => "Background",
        Cascade::Foreground => "Foreground",
        Cascade::Orphan => "Orphan",
    };
    let mut body = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy });
    if options.dry_run {
        body["dryRun"] = json!(["All"]);
    }
    let answer = session.send(Method::DELETE, &target.path(), JSON, &body).await;
    let answer = answer.map_err(|error| match error {
        Error::Status(status) if !target.source.is_empty() => {
            let source = fleetmesh_standalone_core::status::quoted(&target.source);
            let message = format!("error when deleting {source}: {}", status.message());
            (*status).saying(message).into()
        }
        other => other,
    })?;
    let uid = |value: &Value| value.as_str().map(str::to_owned);
    let found = uid(&answer["details"]["uid"]).or_else(|| uid(&answer["metadata"]["uid"]));
    Ok(found.unwrap_or_default())
}
