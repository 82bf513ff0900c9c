//! events: what happened, the last at the end.

use fleetmesh_standalone_core::status::quoted;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::arguments;
use crate::error::Error;
use crate::event;
use crate::fetch::Query;
use crate::output::{Output, shown};
use crate::session::{JSON, Session};
use crate::tabs::Tabs;
use crate::{json, yaml};

/// The options of `events`.
#[derive(Clone, Debug, Default)]
pub struct EventsOptions {
    /// Of all namespaces.
    pub all_namespaces: bool,
    /// Only those about an object: `TYPE/NAME`.
    pub about: Option<String>,
    /// Only those of these types.
    pub types: Vec<String>,
    /// In which form.
    pub output: Output,
    /// Without the headers.
    pub no_headers: bool,
    /// Stay, and show each that comes.
    pub watch: bool,
}

pub(crate) async fn run(session: &mut Session<'_>, options: &EventsOptions) -> Result<(), Error> {
    let wrong = options.types.iter().any(|one| !["normal", "warning"].contains(&one.to_lowercase().as_str()));
    if wrong {
        return Err(Error::message("valid --types are Normal or Warning"));
    }
    let query = Query {
        arguments: vec!["events".to_owned()],
        fields: options
            .about
            .as_deref()
            .map(|object| fields(session, object))
            .transpose()?
            .unwrap_or_default(),
        all_namespaces: options.all_namespaces,
        ..Query::default()
    };
    if options.watch {
        return watch(session, options, &query).await;
    }
    let found = query.objects(session, true).await?;
    Error::all(found.errors)?;
    let mut events: Vec<Value> = found.targets.into_iter().map(|target| target.object).collect();
    events.retain(|event| is_shown(options, event));
    if events.is_empty() {
        let namespace = &session.namespace;
        let text = match options.all_namespaces {
            true => "No events found.".to_owned(),
            false => format!("No events found in {namespace} namespace."),
        };
        return session.note(&text);
    }
    event::sort(&mut events);
    if options.output.is_for_people() {
        let text = lines(options, &events, !options.no_headers);
        return session.print(&Tabs::TABLE.align(&text));
    }
    let items: Vec<Value> = events.iter().map(|event| shown(event, false)).collect();
    let list = json!({ "apiVersion": "v1", "kind": "EventList", "metadata": {}, "items": items });
    let text = match options.output {
        Output::Json => json::pretty(&list)?,
        Output::Yaml => yaml::document(&list),
        _ => return Err(Error::message("list types are not supported by name printing: give json or yaml")),
    };
    session.print(&text)
}

/// The field selector for Events about `object`.
fn fields(session: &Session<'_>, object: &str) -> Result<String, Error> {
    let parts: Vec<&str> = object.split('/').collect();
    let [kind, name] = parts.as_slice() else {
        return Err(Error::message(match parts.len() {
            1 => "--for must be in resource/name form",
            _ => "arguments in resource/name form may not have more than one slash",
        }));
    };
    let missing = || Error::Plain(format!("the server doesn't have a resource type {}", quoted(kind)));
    let resource = session.resources.find(kind).ok_or_else(missing)?;
    Ok(format!(
        "involvedObject.kind={},involvedObject.apiVersion={},involvedObject.name={name}",
        resource.kind,
        resource.api_version()
    ))
}

fn is_shown(options: &EventsOptions, event: &Value) -> bool {
    let kind = event["type"].as_str().unwrap_or_default();
    options.types.is_empty() || options.types.iter().any(|one| one.eq_ignore_ascii_case(kind))
}

fn lines(options: &EventsOptions, events: &[Value], headers: bool) -> String {
    let mut text = if headers { event::headers(options.all_namespaces).to_owned() } else { String::new() };
    let now = Timestamp::now();
    text.extend(events.iter().map(|one| event::line(one, options.all_namespaces, now)));
    text
}

async fn watch(session: &mut Session<'_>, options: &EventsOptions, query: &Query) -> Result<(), Error> {
    if !options.output.is_for_people() {
        return Err(Error::message("--watch shows a table only: leave --output out"));
    }
    let events = arguments::find(&session.resources, "events")?.clone();
    let path = query.collection(session, &events, "watch=true");
    let mut changes = session.watch(&path, JSON).await?;
    let (mut headers, mut widths) = (!options.no_headers, Vec::new());
    while let Some((kind, object)) = changes.next().await {
        match kind.as_str() {
            "ERROR" => return Err(Error::message(object["message"].as_str().unwrap_or("the watch failed"))),
            // They expire; that is nothing that happened.
            "DELETED" | "BOOKMARK" => {}
            _ if is_shown(options, &object) => {
                let text = lines(options, &[object], headers);
                headers = false;
                session.print(&Tabs::TABLE.align_after(&text, &mut widths))?;
            }
            _ => {}
        }
    }
    Ok(())
}
