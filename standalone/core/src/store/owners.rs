//! What is wrong with the owners that an object names, in the words of apimachinery's validation.

use serde_json::{Value, json};

use super::metadata;
use crate::go;
use crate::status::{FieldError, FieldErrorKind};

const FIELD: &str = "metadata.ownerReferences";
/// The members that a reference has to have, and what is said without them.
const REQUIRED: [(&str, &str); 3] =
    [("kind", "must not be empty"), ("name", "must not be empty"), ("uid", "must not be empty")];
/// The members in the order in which messages have them.
const MEMBERS: [&str; 6] = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];

/// What is wrong with the owner references of an object that is to be stored.
pub(super) fn errors(object: &Value) -> Vec<FieldError> {
    let references = metadata::get(object, "ownerReferences").and_then(Value::as_array);
    let references = references.map(Vec::as_slice).unwrap_or_default();
    let mut errors: Vec<FieldError> = references.iter().flat_map(of_one).collect();
    let mut controllers = references.iter().filter(|one| one["controller"] == true);
    if let Some(first) = controllers.next() {
        let list: Vec<String> = references.iter().map(printed).collect();
        errors.extend(controllers.map(|other| {
            let found = format!("Found \"true\" in references for {} and {}", named(first), named(other));
            let why =
                format!("[{}]: Only one reference can have Controller set to true. {found}", list.join(","));
            FieldError::new(FieldErrorKind::Invalid, FIELD, None, why)
        }));
    }
    errors
}

/// What is wrong with one reference.
fn of_one(reference: &Value) -> Vec<FieldError> {
    let text = |member: &str| reference[member].as_str().unwrap_or_default();
    let empty = |member: &str, why: &str| {
        FieldError::new(FieldErrorKind::Invalid, format!("{FIELD}.{member}"), Some("".into()), why)
    };
    let mut errors = Vec::new();
    if text("apiVersion").is_empty() {
        errors.push(empty("apiVersion", "version must not be empty"));
    }
    let missing = REQUIRED.iter().filter(|(member, _)| text(member).is_empty());
    errors.extend(missing.map(|(member, why)| empty(member, why)));
    if (text("apiVersion"), text("kind")) == ("v1", "Event") {
        let why = format!("{}: /v1, Kind=Event is disallowed from being an owner", printed(reference));
        errors.push(FieldError::new(FieldErrorKind::Invalid, FIELD, None, why));
    }
    errors
}

fn named(reference: &Value) -> String {
    let text = |member: &str| reference[member].as_str().unwrap_or_default();
    format!("{}/{}", text("kind"), text("name"))
}

/// A reference as messages have it.
fn printed(reference: &Value) -> String {
    let member = |name: &&str| {
        let value = match (&reference[*name], *name) {
            (Value::Null, "controller" | "blockOwnerDeletion") => return None,
            (Value::Null, _) => json!(""),
            (value, _) => value.clone(),
        };
        Some(format!("\"{name}\":{}", go::json(&value)))
    };
    format!("{{{}}}", MEMBERS.iter().filter_map(member).collect::<Vec<_>>().join(","))
}

#[test]
fn one_owner_controls_and_each_is_named_whole() {
    let object = |owners: Value| json!({"metadata": {"ownerReferences": owners}});
    let said =
        |owners: Value| -> Vec<String> { errors(&object(owners)).iter().map(ToString::to_string).collect() };
    let owner = |name: &str, controls: bool| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": "u", "controller": controls});
    assert_eq!(said(json!([owner("a", true), owner("b", false)])), Vec::<String>::new());
    let two = said(json!([owner("a", true), owner("b", true)]));
    assert!(two[0].ends_with("Found \"true\" in references for ConfigMap/a and ConfigMap/b"), "{two:?}");
    let one = r#"{"apiVersion":"v1","kind":"ConfigMap","name":"a","uid":"u","controller":true}"#;
    assert!(two[0].starts_with(&format!("metadata.ownerReferences: Invalid value: [{one},")), "{two:?}");
    assert_eq!(said(json!([{}])).len(), 4);
    let event = said(json!([{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": "u"}]));
    assert!(event[0].ends_with("/v1, Kind=Event is disallowed from being an owner"), "{event:?}");
}
