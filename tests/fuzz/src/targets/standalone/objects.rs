//! Objects and patches that are drawn: well-formed ones with a few members that are not.

use serde_json::{Value, json};

use super::choices::Choices;

const NAMES: [&str; 40] = [
    "metadata",
    "data",
    "spec",
    "status",
    "name",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
    "managedFields",
    "manager",
    "operation",
    "fieldsType",
    "fieldsV1",
    "f:data",
    "k:{\"name\":\"a\"}",
    "v:1",
    ".",
    "apiVersion",
    "kind",
    "secrets",
    "imagePullSecrets",
    "immutable",
    "listeners",
    "backends",
    "a",
    "a/b",
    "~",
    "",
    "$patch",
    "$retainKeys",
    "$setElementOrder/secrets",
    "$setElementOrder/finalizers",
    "$deleteFromPrimitiveList/finalizers",
    "op",
    "path",
    "from",
    "value",
    "port",
];
const TEXTS: [&str; 27] = [
    "",
    "a",
    "b",
    "v1",
    "delete",
    "replace",
    "merge",
    "add",
    "remove",
    "move",
    "copy",
    "test",
    "/",
    "/data/a",
    "/metadata/labels",
    "/metadata/finalizers/-",
    "/metadata/finalizers/0",
    "/secrets/-1",
    "/a~1b/~0",
    "/data",
    "Apply",
    "Update",
    "FieldsV1",
    "2026-01-01T00:00:00Z",
    "18446744073709551616",
    "/-9223372036854775808",
    "http",
];

/// Where patches change something.
const PLACES: [&str; 24] = [
    "/metadata/labels",
    "/metadata/labels/a",
    "/metadata/annotations/a",
    "/metadata/finalizers",
    "/metadata/ownerReferences",
    "/metadata/managedFields",
    "/metadata/name",
    "/metadata/uid",
    "/metadata",
    "/data",
    "/data/a",
    "/data/b",
    "/immutable",
    "/secrets",
    "/imagePullSecrets",
    "/spec",
    "/spec/listeners",
    "/spec/backends",
    "/spec/holderIdentity",
    "/spec/finalizers",
    "/spec/meshName",
    "/spec/$retainKeys",
    "/$setElementOrder/secrets",
    "/metadata/$deleteFromPrimitiveList~1finalizers",
];
/// What is below them.
const BELOW: [&str; 8] = ["", "", "", "/-", "/0", "/-1", "/0/name", "/0/fieldsV1"];

/// An object of the kind, changed in a few places.
pub(super) fn drawn(plural: &str, choices: &mut Choices<'_>) -> Value {
    let mut object = well_formed(plural);
    for _ in 0..choices.below(4) {
        put(&mut object, choices.of(&PLACES), small(choices));
    }
    object
}

/// An object that can be stored.
fn well_formed(plural: &str) -> Value {
    let own = match plural {
        "configmaps" => json!({"data": {"a": "1", "b": "2"}}),
        "serviceaccounts" => {
            json!({"secrets": [{"name": "a"}, {"name": "b"}], "imagePullSecrets": [{"name": "a"}]})
        }
        "secrets" => json!({"data": {"a": "MQ=="}, "type": "Opaque"}),
        "namespaces" => json!({"spec": {"finalizers": ["kubernetes"]}}),
        "leases" => json!({"spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}),
        "virtualnodes" => json!({"spec": {
            "meshName": "apps", "listeners": [{"portMapping": {"port": 8080, "protocol": "http"}}],
            "backends": [{"virtualService": {"virtualServiceName": "b.apps.local"}}],
            "serviceDiscovery": {"dns": {"hostname": "a.apps.local"}},
        }}),
        _ => json!({"spec": {
            "meshName": "apps", "virtualRouterName": "a",
            "httpRoute": {"match": {"prefix": "/"}, "action": {"weightedTargets": [{"virtualNode": "a", "weight": 1}]}},
        }}),
    };
    let mut object = json!({"metadata": {"name": "a", "labels": {"a": "b"}, "finalizers": ["x/y"]}});
    if let (Some(members), Value::Object(own)) = (object.as_object_mut(), own) {
        members.extend(own);
    }
    object
}

/// Sets a member, and makes the objects above it.
fn put(object: &mut Value, place: &str, value: Value) {
    let mut at = object;
    for step in place.split('/').skip(1) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[step.replace("~1", "/")];
    }
    *at = value;
}

/// A value as such places have it.
fn small(choices: &mut Choices<'_>) -> Value {
    match choices.below(8) {
        0 => Value::Null,
        1 => json!({ choices.of(&NAMES): choices.of(&TEXTS) }),
        2 => json!([choices.of(&TEXTS), choices.of(&TEXTS)]),
        3 => {
            json!([{"name": choices.of(&TEXTS)}, {"name": choices.of(&TEXTS), "$patch": choices.of(&TEXTS)}])
        }
        4 => {
            json!([{"manager": choices.of(&TEXTS), "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {choices.of(&NAMES): {}}}}])
        }
        5 => choices.value(&NAMES, &TEXTS),
        _ => choices.of(&TEXTS).into(),
    }
}

/// A patch of any kind.
pub(super) fn drawn_patch(choices: &mut Choices<'_>) -> Value {
    match choices.below(3) {
        0 => {
            let count = choices.below(6);
            let operation = |_| {
                let op = choices.of(&["add", "remove", "replace", "move", "copy", "test"]);
                let [path, from] = [0, 1].map(|_| [choices.of(&PLACES), choices.of(&BELOW)].concat());
                json!({"op": op, "path": path, "from": from, "value": small(choices)})
            };
            Value::Array((0..=count).map(operation).collect())
        }
        1 => {
            let mut patch = json!({});
            for _ in 0..=choices.below(5) {
                put(&mut patch, choices.of(&PLACES), small(choices));
            }
            patch
        }
        _ => choices.value(&NAMES, &TEXTS),
    }
}
