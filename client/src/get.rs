//! get: objects as tables that the API makes, or as documents.

use fleetmesh_api::urls::escape;
use serde_json::Value;

use crate::error::Error;
use crate::fetch::{Found, Query, Target, Wanted};
use crate::output::Output;
use crate::resources::Resource;
use crate::session::{Session, TABLE};
use crate::table::{self, Shown};
use crate::tabs::Tabs;

/// The options of `get`.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// Which objects.
    pub query: Query,
    /// In which form.
    pub output: Output,
    /// Without the headers of a table.
    pub no_headers: bool,
    /// With the labels in a table.
    pub show_labels: bool,
    /// With who manages what in a document.
    pub show_managed_fields: bool,
    /// An object that is not there is no error.
    pub ignore_not_found: bool,
    /// Stay, and show each change.
    pub watch: bool,
}

pub(crate) async fn run(session: &mut Session<'_>, options: &GetOptions) -> Result<(), Error> {
    if options.watch {
        return watch(session, options).await;
    }
    if options.output.is_for_people() {
        let found = options.query.tables(session).await?;
        return tables(session, options, found);
    }
    let Found { targets, mut errors, is_single } = options.query.objects(session, true).await?;
    // The only object that was asked for is missing: there is no list to show.
    let is_missing = is_single && targets.is_empty();
    errors.retain(|error| !(options.ignore_not_found && error.is_not_found()));
    if is_missing || targets.is_empty() && options.ignore_not_found {
        return Error::all(errors);
    }
    session.print(&options.output.document(&targets, is_single, options.show_managed_fields)?)?;
    Error::all(errors)
}

fn tables(session: &mut Session<'_>, options: &GetOptions, found: Found) -> Result<(), Error> {
    let Found { targets, mut errors, .. } = found;
    errors.retain(|error| !(options.ignore_not_found && error.is_not_found()));
    let has_kinds = targets.windows(2).any(|pair| pair[0].resource != pair[1].resource);
    let (mut printed, mut namespace) = (String::new(), false);
    for group in targets.chunk_by(|one, other| one.resource == other.resource) {
        let Some(first) = group.first() else { continue };
        let tables: Vec<&Value> = group.iter().map(|target| &target.object).collect();
        let mut shown = shown(options, first, has_kinds);
        // As in kubectl: a column that one table has, those behind it have, too.
        namespace |= shown.namespace;
        shown.namespace = namespace;
        let lines = table::lines(&first.object["columnDefinitions"], &tables, &first.resource, shown);
        if !lines.is_empty() {
            // A blank line between tables with headers.
            printed.push_str(if printed.is_empty() || options.no_headers { "" } else { "\n" });
            printed.push_str(&Tabs::TABLE.align(&lines));
        }
    }
    session.print(&printed)?;
    if printed.is_empty() && errors.is_empty() && !options.ignore_not_found {
        let is_within =
            !options.query.all_namespaces && targets.iter().all(|target| target.resource.is_namespaced);
        nothing(session, is_within)?;
    }
    Error::all(errors)
}

/// Says that there is nothing.
pub(crate) fn nothing(session: &mut Session<'_>, is_within: bool) -> Result<(), Error> {
    match is_within {
        true => session.note(&format!("No resources found in {} namespace.", session.namespace)),
        false => session.note("No resources found"),
    }
}

fn shown(options: &GetOptions, target: &Target, kind: bool) -> Shown {
    Shown {
        wide: options.output == Output::Wide,
        bare: options.no_headers,
        namespace: options.query.all_namespaces && target.resource.is_namespaced,
        kind,
        labels: options.show_labels,
    }
}

/// Shows the rows that there are, and each that changes, until the API ends the watch.
async fn watch(session: &mut Session<'_>, options: &GetOptions) -> Result<(), Error> {
    if !options.output.is_for_people() {
        return Err(Error::message("--watch shows tables only: leave --output out, or give wide"));
    }
    let (path, resource) = watched(session, options)?;
    let list = session.read(&path, TABLE).await?;
    let (columns, mut widths) = (list["columnDefinitions"].clone(), Vec::new());
    let target = Target {
        resource,
        object: Value::Null,
        name: String::new(),
        namespace: String::new(),
        source: String::new(),
    };
    let mut look = shown(options, &target, false);
    let lines = table::lines(&columns, &[&list], &target.resource, look);
    look.bare |= !lines.is_empty();
    session.print(&Tabs::TABLE.align_after(&lines, &mut widths))?;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let mut changes = session.watch(&format!("{path}&watch=true&resourceVersion={version}"), TABLE).await?;
    while let Some((kind, table)) = changes.next().await {
        if kind == "ERROR" {
            return Err(Error::message(table["message"].as_str().unwrap_or("the watch failed")));
        }
        let lines = table::lines(&columns, &[&table], &target.resource, look);
        look.bare |= !lines.is_empty();
        session.print(&Tabs::TABLE.align_after(&lines, &mut widths))?;
    }
    Ok(())
}

/// The path of what is watched: a collection, or the part of it with one name.
fn watched(session: &mut Session<'_>, options: &GetOptions) -> Result<(String, Resource), Error> {
    match options.query.wanted(session, true)? {
        Wanted::Collections(resources) => match resources.as_slice() {
            [resource] => Ok((options.query.collection(session, resource, ""), resource.clone())),
            _ => Err(Error::message("you may only specify a single resource type")),
        },
        Wanted::Objects(targets, errors) => match targets.as_slice() {
            [target] if errors.is_empty() => {
                let path = target.resource.path(Some(&target.namespace));
                let path = format!("{path}?fieldSelector=metadata.name%3D{}", escape(&target.name));
                Ok((path, target.resource.clone()))
            }
            _ => Err(Error::message("you may only watch a single resource or type of resource at a time")),
        },
    }
}
