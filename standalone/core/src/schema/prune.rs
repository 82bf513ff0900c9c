//! Members that no schema declares.

use serde_json::Value;

use super::shape::{Additional, Schema};
use super::{child, index};

const TYPE_AND_METADATA: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removes from an object of a custom resource what `schema` does not declare, and returns the paths of what it removed, in
/// order. `apiVersion`, `kind` and `metadata` of the object and of embedded resources stay as they are.
pub fn prune(object: &mut Value, schema: &Schema) -> Vec<String> {
    let mut unknown = Vec::new();
    prune_node(object, Some(schema), true, "", &mut unknown);
    unknown.sort_unstable();
    unknown
}

fn prune_node(
    value: &mut Value,
    schema: Option<&Schema>,
    resource: bool,
    path: &str,
    unknown: &mut Vec<String>,
) {
    let preserved = schema.is_some_and(|schema| schema.preserve_unknown);
    match value {
        Value::Object(members) => members.retain(|name, member| {
            if resource && TYPE_AND_METADATA.contains(&name.as_str()) {
                return true;
            }
            let at = child(path, name);
            let Some(next) = declared(schema, name) else {
                if !preserved {
                    unknown.push(at);
                }
                return preserved;
            };
            let embedded = next.is_some_and(|schema| schema.embedded_resource);
            prune_node(member, next, embedded, &at, unknown);
            true
        }),
        Value::Array(items) => {
            let next = schema.and_then(|schema| schema.items.as_deref());
            if preserved && next.is_none() {
                return;
            }
            let embedded = next.is_some_and(|schema| schema.embedded_resource);
            for (at, item) in items.iter_mut().enumerate() {
                prune_node(item, next, embedded, &index(path, at), unknown);
            }
        }
        _ => {}
    }
}

/// Whether a member is declared, and by which schema: none for members of any kind.
fn declared<'s>(schema: Option<&'s Schema>, name: &str) -> Option<Option<&'s Schema>> {
    let schema = schema?;
    match (schema.properties.get(name), &schema.additional) {
        (Some(property), _) => Some(Some(property)),
        (None, Additional::Each(each)) => Some(Some(each)),
        (None, Additional::Any | Additional::Forbidden) => Some(None),
        (None, Additional::Unsaid) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pruned(schema: Value, mut object: Value) -> (Value, Vec<String>) {
        let unknown = prune(&mut object, &Schema::parse(&schema).unwrap());
        (object, unknown)
    }

    #[test]
    fn removes_what_is_not_declared_and_names_it() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"list": {"type": "array", "items": {
                "type": "object", "properties": {"a": {"type": "string"}}}}}},
            "tags": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {}}}}}});
        let (object, unknown) = pruned(
            schema,
            json!({"apiVersion": "v1", "kind": "K", "metadata": {"any": 1}, "data": {},
                "spec": {"z": 1, "list": [{"a": "b", "c": 1}, 5]}, "tags": {"any": {"x": {"deep": 1}, "y": 2}}}),
        );
        assert_eq!(unknown, ["data", "spec.list[0].c", "spec.z", "tags.any.x.deep", "tags.any.y"]);
        assert_eq!(
            object,
            json!({"apiVersion": "v1", "kind": "K", "metadata": {"any": 1},
                "spec": {"list": [{"a": "b"}, 5]}, "tags": {"any": {"x": {}}}})
        );
    }

    #[test]
    fn keeps_what_is_preserved_or_embedded() {
        let schema = json!({"type": "object", "properties": {
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"known": {"type": "object", "properties": {"a": {}}}}},
            "resource": {"type": "object", "x-kubernetes-embedded-resource": true}}});
        let (object, unknown) = pruned(
            schema,
            json!({"any": {"x": {"y": 1}, "known": {"a": 1, "b": 2}},
                "resource": {"kind": "K", "metadata": {"name": "n"}, "spec": {}}}),
        );
        assert_eq!(unknown, ["any.known.b", "resource.spec"]);
        assert_eq!(
            object,
            json!({"any": {"x": {"y": 1}, "known": {"a": 1}}, "resource": {"kind": "K", "metadata": {"name": "n"}}})
        );
    }
}
