//! The descriptions of objects. Pure.

use std::fmt::Write as _;

use fleetmesh_standalone_core::go;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::label::label;
use crate::event;
use crate::table::escaped;
use crate::tabs::Tabs;

/// Longer annotations begin a line of their own, and are cut.
const LONGEST: usize = 140;
/// An annotation that repeats the object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What the head shows already.
const SKIPPED: [&str; 5] = [
    ".metadata.managedFields",
    ".metadata.name",
    ".metadata.namespace",
    ".metadata.labels",
    ".metadata.annotations",
];

/// Text with tabs, of which a part may be aligned already.
#[derive(Default)]
struct Page {
    aligned: String,
    text: String,
}

impl Page {
    fn line(&mut self, level: usize, line: &str) {
        let _ = writeln!(self.text, "{}{}", "  ".repeat(level), escaped(line));
    }

    fn align(&mut self) {
        self.aligned.push_str(&Tabs::DESCRIPTION.align(&std::mem::take(&mut self.text)));
    }

    fn finish(mut self) -> String {
        self.align();
        self.aligned
    }
}

/// An object, and the Events about it if there are to be any.
pub fn described(object: &Value, events: Option<&[Value]>, now: Timestamp) -> String {
    let mut page = Page::default();
    let kind = match object["apiVersion"].as_str() {
        Some("v1") => object["kind"].as_str().unwrap_or_default(),
        _ => "",
    };
    let metadata = &object["metadata"];
    page.line(0, &format!("Name:\t{}", text(&metadata["name"])));
    if kind != "Namespace" {
        page.line(0, &format!("Namespace:\t{}", text(&metadata["namespace"])));
    }
    labels(&mut page, &metadata["labels"]);
    annotations(&mut page, &metadata["annotations"]);
    let events = events.filter(|_| !matches!(kind, "Namespace" | "Secret"));
    match kind {
        "Namespace" => namespace(&mut page, object),
        "Secret" => secret(&mut page, object),
        "ConfigMap" => config_map(&mut page, object),
        "ServiceAccount" => service_account(&mut page, object),
        _ => members(&mut page, 0, object, ""),
    }
    if let Some(found) = events {
        self::events(&mut page, found, now);
    }
    page.finish()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The members of an object, in order.
fn sorted(value: &Value) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = value.as_object().into_iter().flat_map(Map::iter).collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    members
}

fn labels(page: &mut Page, labels: &Value) {
    let labels = sorted(labels);
    if labels.is_empty() {
        page.line(0, "Labels:\t<none>");
    }
    for (at, (name, value)) in labels.into_iter().enumerate() {
        let head = if at == 0 { "Labels:" } else { "" };
        page.line(0, &format!("{head}\t{name}={}", text(value)));
    }
}

fn annotations(page: &mut Page, annotations: &Value) {
    let mut annotations = sorted(annotations);
    annotations.retain(|(name, _)| *name != LAST_APPLIED);
    if annotations.is_empty() {
        page.line(0, "Annotations:\t<none>");
    }
    for (at, (name, value)) in annotations.into_iter().enumerate() {
        let head = if at == 0 { "Annotations:" } else { "" };
        let value = text(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        if value.len() + name.len() + 2 > LONGEST || value.contains('\n') {
            page.line(0, &format!("{head}\t{name}:"));
            value.split('\n').for_each(|line| page.line(0, &format!("\t  {}", shortened(line, LONGEST - 2))));
        } else {
            page.line(0, &format!("{head}\t{name}: {value}"));
        }
    }
}

fn shortened(line: &str, length: usize) -> String {
    if line.len() <= length {
        return line.to_owned();
    }
    let end = (0..=length).rev().find(|end| line.is_char_boundary(*end)).unwrap_or_default();
    format!("{}...", &line[..end])
}

/// All members, at their depth.
fn members(page: &mut Page, level: usize, object: &Value, path: &str) {
    for (name, value) in sorted(object) {
        let path = format!("{path}.{name}");
        if SKIPPED.contains(&path.as_str()) {
            continue;
        }
        match value {
            Value::Object(_) => {
                page.line(level, &format!("{}:", label(name)));
                members(page, level + 1, value, &path);
            }
            Value::Array(items) => {
                page.line(level, &format!("{}:", label(name)));
                for item in items {
                    match item {
                        Value::Object(_) => members(page, level + 1, item, &path),
                        other => page.line(level + 1, &go::printed(other)),
                    }
                }
            }
            other => page.line(level, &format!("{}:\t{}", label(name), go::printed(other))),
        }
    }
}

fn namespace(page: &mut Page, object: &Value) {
    page.line(0, &format!("Status:\t{}", text(&object["status"]["phase"])));
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if conditions.is_empty() {
        return;
    }
    page.line(0, "Conditions:");
    page.line(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage");
    page.line(1, "----\t------\t------------------\t------\t-------");
    for one in conditions {
        let time = text(&one["lastTransitionTime"]).parse::<Timestamp>();
        let time =
            time.map(|time| time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()).unwrap_or_default();
        let [kind, status, reason, message] =
            ["type", "status", "reason", "message"].map(|name| text(&one[name]));
        page.line(1, &format!("{kind}\t{status}\t{time}\t{reason}\t{message}"));
    }
}

/// Of what is secret only how long it is.
fn secret(page: &mut Page, object: &Value) {
    page.line(0, "");
    page.line(0, &format!("Type:\t{}", text(&object["type"])));
    heading(page, "Data");
    for (name, value) in sorted(&object["data"]) {
        page.line(0, &format!("{name}:\t{} bytes", decoded_length(text(value))));
    }
}

/// How many bytes are in so much base64.
fn decoded_length(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

fn heading(page: &mut Page, title: &str) {
    page.line(0, "");
    page.line(0, title);
    page.line(0, "====");
}

fn config_map(page: &mut Page, object: &Value) {
    heading(page, "Data");
    for (name, value) in sorted(&object["data"]) {
        page.line(0, &format!("{name}:"));
        page.line(0, "----");
        page.line(0, text(value));
        page.line(0, "");
    }
    heading(page, "BinaryData");
    for (name, value) in sorted(&object["binaryData"]) {
        page.line(0, &format!("{name}: {} bytes", decoded_length(text(value))));
    }
    page.line(0, "");
}

fn service_account(page: &mut Page, object: &Value) {
    let secrets = object["imagePullSecrets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if secrets.is_empty() {
        page.line(0, "Image pull secrets:\t<none>");
    }
    for (at, secret) in secrets.iter().enumerate() {
        let head = if at == 0 { "Image pull secrets:" } else { "                   " };
        page.line(0, &format!("{head}\t{}", text(&secret["name"])));
    }
}

fn events(page: &mut Page, events: &[Value], now: Timestamp) {
    if events.is_empty() {
        page.line(0, "Events:\t<none>");
        return;
    }
    page.align();
    page.line(0, "Events:");
    page.line(1, "Type\tReason\tAge\tFrom\tMessage");
    page.line(1, "----\t------\t----\t----\t-------");
    for one in events {
        let source = match text(&one["source"]["component"]) {
            "" => text(&one["reportingComponent"]),
            component => component,
        };
        let message = text(&one["message"]).trim();
        let message = match text(&one["involvedObject"]["fieldPath"]) {
            "" => message.to_owned(),
            path => format!("{path}: {message}"),
        };
        let (kind, reason, age) = (text(&one["type"]), text(&one["reason"]), event::interval(one, now));
        page.line(1, &format!("{kind}\t{reason}\t{age}\t{source}\t{message}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(object: Value, events: Option<&[Value]>) -> String {
        described(&object, events, "2026-01-02T03:04:05Z".parse().unwrap())
    }

    #[test]
    fn a_custom_resource_is_described_with_its_events() {
        let object = json!({
            "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Mesh",
            "metadata": {"name": "apps", "labels": {"b": "2", "a": "1"}, "managedFields": [], "uid": "u"},
            "spec": {"egressFilter": {"type": "DROP_ALL"}, "list": ["x", {"port": 80}]},
        });
        let event = json!({"type": "Normal", "reason": "Created", "firstTimestamp": "2026-01-02T03:04:00Z",
                           "source": {"component": "fleetmesh"}, "message": "made"});
        let expected = "\
Name:         apps
Namespace:    
Labels:       a=1
              b=2
Annotations:  <none>
API Version:  fleetmesh.dev/v1alpha1
Kind:         Mesh
Metadata:
  UID:  u
Spec:
  Egress Filter:
    Type:  DROP_ALL
  List:
    x
    Port:  80
Events:
  Type    Reason   Age   From       Message
  ----    ------   ----  ----       -------
  Normal  Created  5s    fleetmesh  made
";
        assert_eq!(page(object.clone(), Some(&[event])), expected);
        assert!(page(object.clone(), Some(&[])).ends_with("    Port:  80\nEvents:    <none>\n"));
        assert!(page(object, None).ends_with("    Port:  80\n"));
    }

    #[test]
    fn a_secret_is_described_without_what_is_secret() {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"},
                            "type": "Opaque", "data": {"password": "aHVudGVyMg=="}});
        let expected = "Name:         s\nNamespace:    a\nLabels:       <none>\nAnnotations:  <none>\n\n\
                        Type:  Opaque\n\nData\n====\npassword:  7 bytes\n";
        assert_eq!(page(object, None), expected);
    }
}
