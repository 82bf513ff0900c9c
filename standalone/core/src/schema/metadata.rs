//! The metadata of objects.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::shape::Schema;

/// The schema of `metadata`, the same for all kinds.
///
/// Members that are pointers in Kubernetes' own types are `nullable`: their zero value is kept, and that of others is left out.
#[must_use]
pub fn object_metadata() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::parse(&json()).unwrap_or_default());
    &SCHEMA
}

pub(super) fn json() -> Value {
    let string = || json!({"type": "string"});
    let texts = || json!({"type": "object", "additionalProperties": {"type": "string"}});
    let time = || json!({"type": "string", "format": "date-time"});
    json!({"type": "object", "properties": {
        "annotations": texts(),
        "creationTimestamp": time(),
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64", "nullable": true},
        "deletionTimestamp": time(),
        "finalizers": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set",
            "x-kubernetes-patch-strategy": "merge"},
        "generateName": string(),
        "generation": {"type": "integer", "format": "int64"},
        "labels": texts(),
        "managedFields": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {
            "type": "object", "properties": {
                "apiVersion": string(),
                "fieldsType": string(),
                "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "manager": string(),
                "operation": string(),
                "subresource": string(),
                "time": time(),
            }}},
        "name": string(),
        "namespace": string(),
        "ownerReferences": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
            "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "uid", "items": {
            "type": "object", "x-kubernetes-map-type": "atomic", "required": ["apiVersion", "kind", "name", "uid"],
            "properties": {
                "apiVersion": string(),
                "blockOwnerDeletion": {"type": "boolean", "nullable": true},
                "controller": {"type": "boolean", "nullable": true},
                "kind": string(),
                "name": string(),
                "uid": string(),
            }}},
        "resourceVersion": string(),
        "selfLink": string(),
        "uid": string(),
    }})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_schema() {
        assert_eq!(Schema::parse(&json()).unwrap().properties.len(), object_metadata().properties.len());
        assert_eq!(object_metadata().properties.len(), 15);
    }
}
