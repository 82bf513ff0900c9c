//! describe: objects with their Events, for people.

mod label;
mod text;

use jiff::Timestamp;
use serde_json::Value;

use crate::error::Error;
use crate::fetch::{Query, Target};
use crate::get::nothing;
use crate::session::Session;

/// The options of `describe`.
#[derive(Clone, Debug, Default)]
pub struct DescribeOptions {
    /// Which objects.
    pub query: Query,
    /// Whether Events are shown; without a word those of an only object are.
    pub events: Option<bool>,
}

pub(crate) async fn run(session: &mut Session<'_>, options: &DescribeOptions) -> Result<(), Error> {
    let found = options.query.objects(session, true).await?;
    let errors = found.errors;
    if let ([kind, prefix], true) = (options.query.arguments.as_slice(), found.targets.is_empty())
        && errors.iter().any(Error::is_not_found)
    {
        return beginning_with(session, options, kind, prefix, errors).await;
    }
    let has_events = options.events.unwrap_or(found.targets.len() == 1 && errors.is_empty());
    for (at, target) in found.targets.iter().enumerate() {
        let text = described(session, target, has_events).await;
        session.print(if at == 0 { "" } else { "\n\n" })?;
        session.print(&text)?;
    }
    if found.targets.is_empty() && errors.is_empty() {
        nothing(session, !options.query.all_namespaces)?;
    }
    Error::all(errors)
}

/// Describes what has a name with this beginning, or says that the name is missing.
async fn beginning_with(
    session: &mut Session<'_>,
    options: &DescribeOptions,
    kind: &str,
    prefix: &str,
    missing: Vec<Error>,
) -> Result<(), Error> {
    let query = Query { arguments: vec![kind.to_owned()], ..options.query.clone() };
    let found = query.objects(session, true).await?;
    let mut is_found = false;
    for target in found.targets.iter().filter(|target| target.name.starts_with(prefix)) {
        is_found = true;
        let text = described(session, target, options.events.unwrap_or(false)).await;
        session.print(&format!("{text}\n"))?;
    }
    if is_found { Ok(()) } else { Error::all(missing) }
}

async fn described(session: &mut Session<'_>, target: &Target, has_events: bool) -> String {
    let events = if has_events { events(session, target).await } else { None };
    text::described(&target.object, events.as_deref(), Timestamp::now())
}

/// The Events about an object, the earliest first; nothing where none can be read.
async fn events(session: &mut Session<'_>, target: &Target) -> Option<Vec<Value>> {
    let uid = target.object["metadata"]["uid"].as_str().unwrap_or_default();
    let mut fields = vec![format!("involvedObject.name={}", target.name)];
    if !target.namespace.is_empty() {
        fields.push(format!("involvedObject.namespace={}", target.namespace));
    }
    fields.push(format!("involvedObject.kind={}", target.resource.kind));
    fields.push(format!("involvedObject.uid={uid}"));
    let is_of_cluster = target.namespace.is_empty();
    let query = Query {
        arguments: vec!["events".to_owned()],
        fields: fields.join(","),
        all_namespaces: is_of_cluster,
        ..Query::default()
    };
    let namespace =
        (!is_of_cluster).then(|| std::mem::replace(&mut session.namespace, target.namespace.clone()));
    let found = query.objects(session, true).await;
    if let Some(namespace) = namespace {
        session.namespace = namespace;
    }
    let mut events: Vec<Value> = found.ok()?.targets.into_iter().map(|target| target.object).collect();
    crate::event::sort(&mut events);
    Some(events)
}
