//! Messages for violations: the path as a person writes it, the value and the bound. Pure.

use std::fmt::Write;

use fleetmesh_mesh::refusal::Refusal;
use fleetmesh_model::Violation;
use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;

/// Violations that one answer names at most; the rest are counted.
const NAMED: usize = 20;

/// The longest message that may quote the value it is about.
const QUOTED: usize = 200;

/// What a schema's `error` means, below `root`.
pub fn of_schema(root: &str, error: &ValidationError<'_>) -> Vec<Violation> {
    let mut path = root.to_owned();
    for segment in error.instance_path().segments() {
        // Writing to a String cannot fail.
        let _ = match segment {
            LocationSegment::Property(name) => write!(path, ".{name}"),
            LocationSegment::Index(index) => write!(path, "[{index}]"),
        };
    }
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![Violation::new(format!("{path}.{name}"), "is required")]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected
            .iter()
            .map(|name| Violation::new(format!("{path}.{name}"), "there is no such member; check its name"))
            .collect(),
        // jsonschema's own words leave out all but the first values.
        ValidationErrorKind::Enum { options } => {
            let options: Vec<String> =
                options.as_array().into_iter().flatten().map(ToString::to_string).collect();
            let found = error.instance().to_string();
            let found = if found.len() > QUOTED { "the value".to_owned() } else { found };
            vec![Violation::new(path, format!("{found} is not one of {}", options.join(", ")))]
        }
        ValidationErrorKind::Custom { message, .. } => vec![Violation::new(path, message.as_str())],
        _ => {
            let text = error.to_string();
            let text = if text.len() > QUOTED { error.masked_with("the value").to_string() } else { text };
            vec![Violation::new(path, text)]
        }
    }
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
