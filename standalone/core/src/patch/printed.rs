//! A patched object as kube-apiserver's messages have it: members that a patch touches in the order of the alphabet, others in the
//! order of their Go types.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::go;

/// The members of Go's types that are not in the order of the alphabet, by the member that is of the type.
const ORDERS: [(&str, &[&str]); 9] = [
    (
        "metadata",
        &[
            "name",
            "generateName",
            "namespace",
            "selfLink",
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "labels",
            "annotations",
            "ownerReferences",
            "finalizers",
            "managedFields",
        ],
    ),
    (
        "managedFields",
        &["manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource"],
    ),
    ("ownerReferences", &["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"]),
    (
        "spec",
        &[
            "holderIdentity",
            "leaseDurationSeconds",
            "acquireTime",
            "renewTime",
            "leaseTransitions",
            "strategy",
            "preferredHolder",
        ],
    ),
    ("conditions", &["type", "status", "lastTransitionTime", "reason", "message"]),
    ("involvedObject", OBJECT_REFERENCE),
    ("regarding", OBJECT_REFERENCE),
    ("related", OBJECT_REFERENCE),
    ("secrets", OBJECT_REFERENCE),
];

const OBJECT_REFERENCE: &[&str] =
    &["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"];

/// The objects that a patch looked into.
#[derive(Debug, Default)]
struct Touched(BTreeMap<String, Touched>);

impl Touched {
    fn of_merge(patch: &Value) -> Self {
        let members = patch.as_object().into_iter().flatten().filter(|(_, value)| value.is_object());
        Self(members.map(|(name, value)| (name.clone(), Self::of_merge(value))).collect())
    }

    fn of_operations(patch: &Value) -> Self {
        let mut touched = Self::default();
        for operation in patch.as_array().into_iter().flatten() {
            for path in ["path", "from"].into_iter().filter_map(|member| operation[member].as_str()) {
                let above = path.rsplit_once('/').map_or("", |(above, _)| above);
                let steps = above.split('/').skip(1);
                steps.fold(&mut touched, |at, step| at.0.entry(super::json::unescaped(step)).or_default());
            }
        }
        touched
    }
}

/// The object of one of Kubernetes' own kinds that `patch` made, as JSON.
pub(crate) fn printed(object: &Value, patch: &Value) -> String {
    let touched = if patch.is_array() { Touched::of_operations(patch) } else { Touched::of_merge(patch) };
    let mut out = String::new();
    write(&mut out, object, "", Some(&touched));
    out
}

fn write(out: &mut String, value: &Value, name: &str, touched: Option<&Touched>) {
    match value {
        Value::Object(members) => {
            out.push('{');
            for (at, (member, value)) in ordered(members, name, touched.is_some()).into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&go::json(&Value::String(member.clone())));
                out.push(':');
                write(out, value, member, touched.and_then(|touched| touched.0.get(member)));
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(out, item, name, None);
            }
            out.push(']');
        }
        scalar => out.push_str(&go::json(scalar)),
    }
}

fn ordered<'v>(members: &'v Map<String, Value>, name: &str, by_name: bool) -> Vec<(&'v String, &'v Value)> {
    let order =
        ORDERS.iter().find(|(member, _)| *member == name && !by_name).map_or(&[][..], |(_, order)| order);
    let place = |member: &str| order.iter().position(|one| *one == member).unwrap_or(order.len());
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by(|(one, _), (other, _)| place(one).cmp(&place(other)).then_with(|| one.cmp(other)));
    members
}

#[test]
fn what_a_patch_touches_is_in_the_order_of_the_alphabet() {
    use serde_json::json;
    let object = json!({"kind": "ConfigMap", "data": {"b": 1, "a": "<"}, "metadata": {
        "uid": "u", "name": "n", "labels": {"b": "", "a": ""}, "managedFields": [{"time": "t", "manager": "m"}]}});
    let metadata =
        r#"{"name":"n","uid":"u","labels":{"a":"","b":""},"managedFields":[{"manager":"m","time":"t"}]}"#;
    let whole = |metadata: &str| {
        format!(r#"{{"data":{{"a":"\u003c","b":1}},"kind":"ConfigMap","metadata":{metadata}}}"#)
    };
    assert_eq!(printed(&object, &json!({"data": {"b": 1}})), whole(metadata));
    assert_eq!(printed(&object, &json!([{"op": "add", "path": "/data/b", "value": 1}])), whole(metadata));
    let sorted =
        r#"{"labels":{"a":"","b":""},"managedFields":[{"manager":"m","time":"t"}],"name":"n","uid":"u"}"#;
    assert_eq!(printed(&object, &json!({"metadata": {"uid": "u"}})), whole(sorted));
    assert_eq!(printed(&object, &json!([{"op": "test", "path": "/metadata/uid"}])), whole(sorted));
}
