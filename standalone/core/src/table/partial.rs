//! Objects without anything but their metadata.

use serde_json::{Value, json};

/// `object` as a `PartialObjectMetadata` of `meta.k8s.io` in `version`.
pub fn partial(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

/// Metadata of a list without a `continue` that is empty, which lists of custom resources have.
pub(super) fn list_metadata(mut metadata: Value) -> Value {
    if let Some(members) = metadata.as_object_mut() {
        members.retain(|name, value| name != "continue" || *value != "");
    }
    metadata
}

/// A list with `metadata` as a `PartialObjectMetadataList` of `meta.k8s.io` in `version`.
pub fn partial_list(metadata: Value, objects: &[&Value], version: &str) -> Value {
    let items: Vec<Value> = objects.iter().map(|object| partial(object, version)).collect();
    // As the API server answers, which never makes the list.
    let items = if items.is_empty() { Value::Null } else { items.into() };
    json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": list_metadata(metadata),
        "items": items,
    })
}
