//! JSON merge patch.

use serde_json::{Map, Value};

use super::PatchError;

/// Applies a JSON merge patch.
///
/// # Errors
/// `BadRequest` for a patch that is no object.
pub fn merge_patch(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Object(patch) = patch else {
        return Err(PatchError::BadRequest(format!(
            "error decoding patch: json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            crate::go::kind(patch)
        )));
    };
    let mut merged = object.clone();
    match &mut merged {
        Value::Object(members) => merge_members(members, patch),
        other => *other = without_nulls(&Value::Object(patch.clone())),
    }
    Ok(merged)
}

fn merge_members(members: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match (members.get_mut(name), value) {
            (_, Value::Null) => {
                members.remove(name);
            }
            (Some(Value::Object(members)), Value::Object(patch)) => merge_members(members, patch),
            (_, value) => {
                members.insert(name.clone(), without_nulls(value));
            }
        }
    }
}

/// The value without members that are null; items of lists stay.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, member)| !member.is_null());
            Value::Object(kept.map(|(name, member)| (name.clone(), without_nulls(member))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        _ => value.clone(),
    }
}
