//! What was made for a directory, and what of it may go.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{LABEL, MANAGER, ObjectName, Plan};

/// The value of the label.
const APPLIED: &str = "applied";

/// Whether `object` was made for the directory: it has the label, and [`MANAGER`] set it. A label that somebody copied is another
/// manager's.
pub fn is_owned(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let managed = metadata["managedFields"].as_array().into_iter().flatten();
    let set = managed.into_iter().any(|entry| {
        let label = format!("f:{LABEL}");
        entry["manager"] == MANAGER
            && entry["operation"] == "Apply"
            && entry["fieldsV1"]["f:metadata"]["f:labels"].get(&label).is_some()
    });
    set && metadata["labels"][LABEL] == APPLIED
}

/// `object` with the label if it is to be `owned`, and without it otherwise.
pub fn labelled(mut object: Value, owned: bool) -> Value {
    let metadata = &mut object["metadata"];
    if owned {
        if metadata["labels"].is_null() {
            metadata["labels"] = json!({});
        }
        // What is no map is the API's to refuse.
        if let Some(labels) = metadata["labels"].as_object_mut() {
            labels.insert(LABEL.to_owned(), APPLIED.into());
        }
    } else if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove(LABEL);
    }
    object
}

/// What of `owned` goes, in this order: what is in namespaces, then what is in none, namespaces last. Nothing, while the plan is
/// not whole.
pub fn prunable(owned: BTreeSet<ObjectName>, plan: &Plan<'_>) -> Vec<ObjectName> {
    if !plan.is_whole() {
        return Vec::new();
    }
    let mut gone: Vec<ObjectName> = owned.into_iter().filter(|name| !plan.wanted.contains(name)).collect();
    gone.sort_by_key(|name| (name.is_namespace(), name.namespace.is_empty()));
    gone
}
