//! The schemas of Kubernetes' own kinds.

use serde_json::{Map, Value, json};

use super::super::metadata;
use super::BuiltinKind;

pub(super) fn whole(kind: BuiltinKind) -> Value {
    let mut properties = match kind {
        BuiltinKind::Namespace => namespace(),
        BuiltinKind::Event => event(),
        BuiltinKind::EventsEvent => events_event(),
        BuiltinKind::Lease => json!({"spec": lease_spec()}),
        BuiltinKind::ConfigMap => {
            json!({"data": map_of(string()), "binaryData": map_of(bytes()), "immutable": pointer("boolean")})
        }
        BuiltinKind::Secret => {
            json!({"data": map_of(bytes()), "stringData": map_of(string()), "type": string(),
            "immutable": pointer("boolean")})
        }
        BuiltinKind::ServiceAccount => service_account(),
        BuiltinKind::SelfSubjectReview => json!({"status": answer()}),
        BuiltinKind::SelfSubjectAccessReview => {
            json!({"spec": access_review_spec(), "status": answer()})
        }
        BuiltinKind::SelfSubjectRulesReview => json!({
            "spec": {"type": "object", "properties": {"namespace": string()}},
            "status": answer(),
        }),
    };
    properties["apiVersion"] = string();
    properties["kind"] = string();
    properties["metadata"] = metadata::json();
    json!({"type": "object", "properties": properties})
}

fn string() -> Value {
    json!({"type": "string"})
}

fn bytes() -> Value {
    json!({"type": "string", "format": "byte"})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time", "nullable": true})
}

fn int32() -> Value {
    json!({"type": "integer", "format": "int32"})
}

/// A value whose zero is kept.
fn pointer(json_type: &str) -> Value {
    json!({"type": json_type, "nullable": true})
}

fn map_of(each: Value) -> Value {
    json!({"type": "object", "additionalProperties": each})
}

fn namespace() -> Value {
    json!({
        "spec": {"type": "object", "properties": {"finalizers": {
            "type": "array", "x-kubernetes-list-type": "atomic", "items": string()}}},
        "status": {"type": "object", "properties": {
            "phase": string(),
            "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "type", "items": {
                "type": "object", "required": ["type", "status"], "properties": {"type": string(), "status": string(),
                    "lastTransitionTime": time(), "reason": string(), "message": string()}}}}},
    })
}

fn object_reference() -> Value {
    let names = ["apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid"];
    let properties: Map<String, Value> = names.into_iter().map(|name| (name.to_owned(), string())).collect();
    json!({"type": "object", "x-kubernetes-map-type": "atomic", "properties": properties})
}

fn event_source() -> Value {
    json!({"type": "object", "properties": {"component": string(), "host": string()}})
}

fn event_series() -> Value {
    json!({"type": "object", "nullable": true, "properties": {"count": int32(), "lastObservedTime": time()}})
}

fn related() -> Value {
    let mut reference = object_reference();
    reference["nullable"] = true.into();
    reference
}

fn event() -> Value {
    json!({"action": string(), "count": int32(), "eventTime": time(), "firstTimestamp": time(), "lastTimestamp": time(),
        "involvedObject": object_reference(), "message": string(), "reason": string(), "related": related(),
        "reportingComponent": string(), "reportingInstance": string(), "series": event_series(),
        "source": event_source(), "type": string()})
}

fn events_event() -> Value {
    json!({"action": string(), "eventTime": time(), "note": string(), "reason": string(), "regarding": object_reference(),
        "related": related(), "reportingController": string(), "reportingInstance": string(),
        "series": event_series(), "type": string(), "deprecatedCount": int32(),
        "deprecatedFirstTimestamp": time(), "deprecatedLastTimestamp": time(), "deprecatedSource": event_source()})
}

fn lease_spec() -> Value {
    let seconds = || json!({"type": "integer", "format": "int32", "nullable": true});
    json!({"type": "object", "properties": {"acquireTime": time(), "holderIdentity": pointer("string"),
        "leaseDurationSeconds": seconds(), "leaseTransitions": seconds(), "preferredHolder": pointer("string"),
        "renewTime": time(), "strategy": pointer("string")}})
}

fn service_account() -> Value {
    json!({
        "automountServiceAccountToken": pointer("boolean"),
        "imagePullSecrets": {"type": "array", "x-kubernetes-list-type": "atomic",
            "items": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"name": string()}}},
        "secrets": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "name", "items": object_reference()},
    })
}

/// What a caller may send of an answer, which nobody looks at.
fn answer() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn access_review_spec() -> Value {
    let names = ["group", "name", "namespace", "resource", "subresource", "verb", "version"];
    let mut resource: Map<String, Value> =
        names.into_iter().map(|name| (name.to_owned(), string())).collect();
    for selector in ["fieldSelector", "labelSelector"] {
        resource.insert(selector.to_owned(), selector_attributes());
    }
    json!({"type": "object", "properties": {
        "resourceAttributes": {"type": "object", "nullable": true, "properties": resource},
        "nonResourceAttributes": {"type": "object", "nullable": true,
            "properties": {"path": string(), "verb": string()}},
    }})
}

fn selector_attributes() -> Value {
    json!({"type": "object", "nullable": true, "properties": {
        "rawSelector": string(),
        "requirements": {"type": "array", "x-kubernetes-list-type": "atomic", "items": {
            "type": "object", "required": ["key", "operator"], "properties": {
                "key": string(), "operator": string(),
                "values": {"type": "array", "x-kubernetes-list-type": "atomic", "items": string()}}}},
    }})
}
