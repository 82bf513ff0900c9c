//! What kube-apiserver answered, recorded, and what is answered here: the same, but for what changes with each request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod discovery;
mod openapi;
mod protobuf;
mod selector;
mod table;

use fleetmesh_standalone_core::resource::{Resource, Resources};
use serde_json::Value;

/// The lines of a recording.
fn lines(text: &str) -> Vec<Value> {
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert!(!lines.is_empty());
    lines
}

/// What the API server served besides its own: our definitions as they were then, without their schemas. They may have changed
/// since.
fn resources() -> Resources {
    let definitions = lines(include_str!("data/definitions.jsonl")).into_iter();
    let definitions: Vec<_> =
        definitions.map(|line| serde_json::from_value(line).expect("a definition")).collect();
    Resources::new(&definitions)
}

/// The resource that a line is about.
fn resource<'a>(resources: &'a Resources, line: &Value) -> &'a Resource {
    let text = |name: &str| line[name].as_str().expect("a string");
    resources.get(text("group"), text("version"), text("resource")).expect("it is served")
}
