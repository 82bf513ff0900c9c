//! Columns of the kinds of Kubernetes itself.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::since;
use super::descriptions as about;

/// Whose columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    ConfigMap,
    Event,
    Lease,
    Namespace,
    Secret,
    ServiceAccount,
    /// Of a kind that the API server knows nothing special of.
    Other,
}

/// The columns of a kind.
pub(super) fn row(group: &str, kind: &str) -> Row {
    match (group, kind) {
        ("", "ConfigMap") => Row::ConfigMap,
        ("" | "events.k8s.io", "Event") => Row::Event,
        ("coordination.k8s.io", "Lease") => Row::Lease,
        ("", "Namespace") => Row::Namespace,
        ("", "Secret") => Row::Secret,
        ("", "ServiceAccount") => Row::ServiceAccount,
        _ => Row::Other,
    }
}

/// A column's name, type, format, priority and description.
type Column = (&'static str, &'static str, &'static str, u8, &'static str);

const NAME: Column = ("Name", "string", "name", 0, about::NAME);
const AGE: Column = ("Age", "string", "", 0, about::CREATED);

const fn text(name: &'static str, description: &'static str) -> Column {
    (name, "string", "", 0, description)
}

const fn wide(name: &'static str, description: &'static str) -> Column {
    (name, "string", "", 1, description)
}

const CONFIG_MAP: [Column; 3] = [NAME, text("Data", about::CONFIG_MAP_DATA), AGE];
const LEASE: [Column; 3] = [NAME, text("Holder", about::HOLDER), AGE];
const NAMESPACE: [Column; 3] = [NAME, text("Status", "The status of the namespace"), AGE];
const SECRET: [Column; 4] = [NAME, text("Type", about::SECRET_TYPE), text("Data", about::SECRET_DATA), AGE];
const SERVICE_ACCOUNT: [Column; 2] = [NAME, AGE];
const OTHER: [Column; 2] = [NAME, ("Created At", "date", "", 0, about::CREATED)];
const EVENT: [Column; 10] = [
    text("Last Seen", about::EVENT_LAST),
    text("Type", about::EVENT_TYPE),
    text("Reason", about::EVENT_REASON),
    text("Object", about::EVENT_OBJECT),
    wide("Subobject", about::EVENT_PART),
    wide("Source", about::EVENT_SOURCE),
    text("Message", about::EVENT_MESSAGE),
    wide("First Seen", about::EVENT_FIRST),
    wide("Count", about::EVENT_COUNT),
    ("Name", "string", "name", 1, about::NAME),
];

/// `columnDefinitions` of a Table.
pub(super) fn definitions(row: Row) -> Value {
    let columns: &[Column] = match row {
        Row::ConfigMap => &CONFIG_MAP,
        Row::Event => &EVENT,
        Row::Lease => &LEASE,
        Row::Namespace => &NAMESPACE,
        Row::Secret => &SECRET,
        Row::ServiceAccount => &SERVICE_ACCOUNT,
        Row::Other => &OTHER,
    };
    let written = columns.iter().map(|(name, kind, format, priority, description)| {
        json!({ "name": name, "type": kind, "format": format, "description": description, "priority": priority })
    });
    written.collect()
}

/// The cells of the row of `object`.
pub(super) fn cells(row: Row, object: &Value, now: Timestamp) -> Vec<Value> {
    let name = at(object, "metadata.name");
    let created = object["metadata"]["creationTimestamp"].as_str();
    let age = since(created, now);
    let count = |member: &str| object[member].as_object().map_or(0, serde_json::Map::len);
    match row {
        Row::ConfigMap => vec![name.into(), (count("data") + count("binaryData")).into(), age.into()],
        Row::Event => event(object, now),
        Row::Lease => vec![name.into(), at(object, "spec.holderIdentity").into(), age.into()],
        Row::Namespace => vec![name.into(), at(object, "status.phase").into(), age.into()],
        Row::Secret => vec![name.into(), at(object, "type").into(), count("data").into(), age.into()],
        Row::ServiceAccount => vec![name.into(), age.into()],
        Row::Other => vec![name.into(), created.unwrap_or("0001-01-01T00:00:00Z").into()],
    }
}

/// The text at `path`, members with dots between them; empty when there is none.
fn at<'a>(object: &'a Value, path: &str) -> &'a str {
    path.split('.').fold(object, |value, member| &value[member]).as_str().unwrap_or_default()
}

/// The first text that is not empty. An Event's members have other names in `events.k8s.io`.
fn first<'a>(object: &'a Value, paths: &[&str]) -> &'a str {
    paths.iter().map(|path| at(object, path)).find(|text| !text.is_empty()).unwrap_or_default()
}

fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    let time = |paths: &[&str]| Some(first(object, paths)).filter(|time| !time.is_empty());
    let series = object["series"].as_object();
    let first_seen = since(time(&["firstTimestamp", "deprecatedFirstTimestamp", "eventTime"]), now);
    let last_seen = match (series, time(&["lastTimestamp", "deprecatedLastTimestamp"])) {
        (Some(_), _) => since(time(&["series.lastObservedTime"]), now),
        (None, None) => first_seen.clone(),
        (None, last) => since(last, now),
    };
    let number = |value: &Value| value.as_i64().filter(|number| *number != 0);
    let count = match series {
        Some(_) => object["series"]["count"].as_i64().unwrap_or_default(),
        // One that happened once has no count in the newer version.
        None => number(&object["count"]).or_else(|| number(&object["deprecatedCount"])).unwrap_or(1),
    };
    let about = |member: &str| {
        first(object, &[&format!("involvedObject.{member}"), &format!("regarding.{member}")]).to_owned()
    };
    let kind = about("kind").to_lowercase();
    let name = about("name");
    let target = if name.is_empty() { kind } else { format!("{kind}/{name}") };
    vec![
        last_seen.into(),
        at(object, "type").into(),
        at(object, "reason").into(),
        target.into(),
        about("fieldPath").into(),
        source(object).into(),
        first(object, &["message", "note"]).trim().into(),
        first_seen.into(),
        count.into(),
        at(object, "metadata.name").into(),
    ]
}

/// Who reported it, and on which host.
fn source(object: &Value) -> String {
    let component =
        ["source.component", "deprecatedSource.component", "reportingComponent", "reportingController"];
    let component = first(object, &component);
    match first(object, &["source.host", "deprecatedSource.host", "reportingInstance"]) {
        "" => component.to_owned(),
        instance => format!("{component}, {instance}"),
    }
}
