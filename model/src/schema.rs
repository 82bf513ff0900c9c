//! Schema transforms: they turn what schemars derives into what a Kubernetes structural schema allows, and attach the
//! rules that plain JSON Schema cannot word. Pure functions over [`schemars::Schema`].

use schemars::Schema;
use serde_json::{Map, Value, json};

use crate::rule::Rule;

/// The keyword under which a union lists its members; the control plane's validator enforces it, the CRD generator
/// removes it (the same rule reaches the API server as CEL).
pub const EXACTLY_ONE_OF: &str = "x-fleetmesh-exactly-one-of";

/// The Kubernetes keyword that holds CEL rules.
pub const VALIDATIONS: &str = "x-kubernetes-validations";

/// Adds `rule` to the CEL rules of `schema`.
pub fn add_rule(schema: &mut Schema, rule: &Rule) {
    push_validation(schema, rule.cel, rule.message);
}

/// Rewrites the `oneOf` of an externally tagged enum (an App Mesh union) as one object whose properties are the
/// members, of which exactly one must be set.
pub fn union(schema: &mut Schema) {
    let Some(Value::Array(variants)) = schema.remove("oneOf") else { return };
    let mut properties = Map::new();
    for variant in variants {
        let Value::Object(mut variant) = variant else { continue };
        let description = variant.remove("description");
        let Some(Value::Object(members)) = variant.remove("properties") else { continue };
        for (name, mut member) in members {
            if let (Some(text), Some(object)) = (&description, member.as_object_mut()) {
                object.entry("description").or_insert_with(|| text.clone());
            }
            properties.insert(name, member);
        }
    }
    schema.insert("type".into(), json!("object"));
    schema.insert("properties".into(), Value::Object(properties));
    exactly_one_property(schema);
}

/// Demands that exactly one of the schema's own properties is set.
pub fn exactly_one_property(schema: &mut Schema) {
    let names: Vec<String> = schema
        .get("properties")
        .and_then(Value::as_object)
        .map(|properties| properties.keys().cloned().collect())
        .unwrap_or_default();
    exactly_one_of(schema, &names);
}

/// Demands that exactly one of `names` is set.
pub fn exactly_one_of<S: AsRef<str>>(schema: &mut Schema, names: &[S]) {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    schema.insert(EXACTLY_ONE_OF.into(), json!(names));
    let count =
        names.iter().map(|name| format!("(has(self.{name}) ? 1 : 0)")).collect::<Vec<_>>().join(" + ");
    let message = match names.as_slice() {
        [only] => format!("{only} must be set"),
        _ => format!("exactly one of {} must be set", names.join(", ")),
    };
    push_validation(schema, &format!("{count} == 1"), &message);
}

/// Rewrites the `oneOf` of constants, which schemars makes of an enum with documented variants, as a plain `enum`.
pub fn plain_enum(schema: &mut Schema) {
    let Some(Value::Array(variants)) = schema.remove("oneOf") else { return };
    let mut values = Vec::new();
    for variant in &variants {
        if let Some(value) = variant.get("const") {
            values.push(value.clone());
        }
        if let Some(Value::Array(more)) = variant.get("enum") {
            values.extend(more.iter().cloned());
        }
    }
    schema.insert("type".into(), json!("string"));
    schema.insert("enum".into(), Value::Array(values));
}

fn push_validation(schema: &mut Schema, cel: &str, message: &str) {
    let rules = schema.ensure_object().entry(VALIDATIONS).or_insert_with(|| json!([]));
    if let Some(rules) = rules.as_array_mut() {
        rules.push(json!({ "rule": cel, "message": message }));
    }
}

#[cfg(test)]
mod tests {
    use schemars::schema_for;

    use super::*;

    #[test]
    fn a_union_is_one_object_with_an_exactly_one_of_rule() {
        let schema = schema_for!(crate::service_discovery::ServiceDiscovery);
        assert!(schema.get("oneOf").is_none());
        assert!(schema.get("properties").and_then(|p| p.get("dns")).is_some());
        assert_eq!(schema.get(EXACTLY_ONE_OF), Some(&json!(["awsCloudMap", "dns"])));
        let rules = schema.get(VALIDATIONS).and_then(Value::as_array).map(Vec::len);
        assert_eq!(rules, Some(1));
    }

    #[test]
    fn a_documented_enum_is_a_plain_enum() {
        let schema = schema_for!(crate::common::PortProtocol);
        assert_eq!(schema.get("enum"), Some(&json!(["http", "http2", "grpc", "tcp"])));
    }
}
