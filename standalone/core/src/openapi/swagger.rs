//! Schemas of version 3 as those of version 2.

use serde_json::{Map, Value};

use super::v3;

/// Where schemas are.
pub(super) const PREFIX: &str = "#/definitions/";

/// Says that members may be there which the schema does not know.
const UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";

/// A schema of version 3 as one of version 2, which knows no alternatives, no nullable values and no defaults. What may be null
/// or hold unknown members has no type here: clients that validate by version 2 would refuse it. Those that need more ask for
/// version 3.
pub(super) fn schema(schema: Value) -> Value {
    let Value::Object(mut members) = schema else { return schema };
    let nullable = members.remove("nullable") == Some(Value::Bool(true));
    let unknown = members.get(UNKNOWN) == Some(&Value::Bool(true));
    if let Some(name) = referred(&members) {
        members.insert("$ref".to_owned(), format!("{PREFIX}{name}").into());
    }
    for dropped in ["allOf", "oneOf", "anyOf", "not", "default"] {
        members.remove(dropped);
    }
    if nullable || unknown {
        members.remove("items");
        members.remove("properties");
    }
    let untyped = match members.get("type").and_then(Value::as_str) {
        _ if nullable => true,
        Some("object") => unknown,
        Some("array") => !members.contains_key("items"),
        _ => false,
    };
    if untyped {
        members.remove("type");
    }
    require_no_nullable(&mut members);
    members.into_iter().map(|(name, value)| (name.clone(), inner(&name, value))).collect::<Map<_, _>>().into()
}

/// The schema that another one only refers to: version 3 wraps the reference where there is a description beside it.
fn referred(members: &Map<String, Value>) -> Option<String> {
    let wrapped = members.get("allOf").and_then(Value::as_array).filter(|all| all.len() == 1);
    let reference = wrapped.and_then(|all| all.first()?.get("$ref")).or_else(|| members.get("$ref"))?;
    reference.as_str()?.strip_prefix(v3::PREFIX).map(str::to_owned)
}

/// A member that may be null is not required; nor is any where all may be null.
fn require_no_nullable(members: &mut Map<String, Value>) {
    let is_nullable = |schema: &Value| schema["nullable"] == true;
    let properties = members.get("properties").and_then(Value::as_object);
    let nullable = |name: &str| properties.and_then(|all| all.get(name)).is_some_and(is_nullable);
    let any = members.get("additionalProperties").is_some_and(is_nullable);
    let required = members.get("required").and_then(Value::as_array);
    let kept: Vec<Value> = required
        .into_iter()
        .flatten()
        .filter(|name| !any && !name.as_str().is_some_and(nullable))
        .cloned()
        .collect();
    if kept.is_empty() {
        members.remove("required");
    } else {
        members.insert("required".to_owned(), kept.into());
    }
}

fn inner(name: &str, value: Value) -> Value {
    match (name, value) {
        ("properties", Value::Object(properties)) => properties
            .into_iter()
            .map(|(name, property)| (name, schema(property)))
            .collect::<Map<_, _>>()
            .into(),
        ("items" | "additionalProperties", value) => schema(value),
        (_, value) => value,
    }
}
