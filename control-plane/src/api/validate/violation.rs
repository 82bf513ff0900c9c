//! Messages for violations: the path as a person writes it, the value and the bound. Pure.

use std::fmt::Write;

use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_model::Violation;
use serde_json::Value;

/// Violations that one answer names at most; the rest are counted.
const NAMED: usize = 20;

/// The longest value, in bytes of JSON, that a message quotes.
const QUOTED: usize = 200;

/// `json` as a message quotes it: itself when it is short, else a name for it.
pub fn quoted(json: &Value) -> String {
    let text = json.to_string();
    if text.len() > QUOTED { "the value".to_owned() } else { text }
}

/// A bad request that names all of `violations`, if there are any.
pub fn refuse(violations: &[Violation]) -> Result<(), Refusal> {
    if violations.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = violations.iter().take(NAMED).map(ToString::to_string).collect();
    let mut message = named.join("; ");
    if violations.len() > NAMED {
        // Writing to a String cannot fail.
        let _ = write!(message, "; and {} more", violations.len() - NAMED);
    }
    Err(Refusal::bad_request(message))
}
