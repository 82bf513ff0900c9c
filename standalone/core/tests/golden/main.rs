//! What kube-apiserver answered, recorded, and what is answered here: the same, but for what changes with each request.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod protobuf;

use serde_json::Value;

/// The lines of a recording.
fn lines(text: &str) -> Vec<Value> {
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert!(!lines.is_empty());
    lines
}
