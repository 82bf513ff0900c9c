//! Values that stand for absent ones.

use serde_json::Value;

use super::shape::Schema;

/// Adds the defaults of absent members, and of members that are null where null is no value.
pub fn apply_defaults(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(members) => {
            for (name, property) in &schema.properties {
                let Some(default) = &property.default else { continue };
                if members.get(name).is_none_or(|present| is_no_value(present, property)) {
                    members.insert(name.clone(), default.clone());
                }
            }
            for (name, member) in members {
                if let Some(property) = schema.properties.get(name) {
                    apply_defaults(member, property);
                } else if let Some(each) = schema.additional.schema() {
                    default_element(member, each);
                }
            }
        }
        Value::Array(items) => {
            let Some(each) = schema.items.as_deref() else { return };
            for item in items {
                default_element(item, each);
            }
        }
        _ => {}
    }
}

fn default_element(value: &mut Value, schema: &Schema) {
    if is_no_value(value, schema) {
        *value = schema.default.clone().unwrap_or(Value::Null);
    }
    apply_defaults(value, schema);
}

fn is_no_value(value: &Value, schema: &Schema) -> bool {
    value.is_null() && !schema.nullable
}

/// Removes members that are null where null is no value and no default stands for it.
pub fn drop_nulls(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(members) => members.retain(|name, member| {
            let Some(next) = schema.member(name) else { return true };
            if is_no_value(member, next) && next.default.is_none() {
                return false;
            }
            drop_nulls(member, next);
            true
        }),
        Value::Array(items) => {
            let Some(each) = schema.items.as_deref() else { return };
            for item in items {
                drop_nulls(item, each);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Schema {
        Schema::parse(&json!({"properties": {
            "policy": {"type": "string", "default": "Delete"},
            "nullable": {"type": "string", "default": "x", "nullable": true},
            "status": {"type": "object", "default": {"observed": -1},
                "properties": {"observed": {}, "more": {"default": 1}}},
            "plain": {"type": "string"},
            "each": {"additionalProperties": {"type": "object", "properties": {"a": {"default": 1}}}},
            "list": {"items": {"type": "object", "properties": {"a": {"default": 1}}}}}}))
        .unwrap()
    }

    #[test]
    fn adds_what_is_absent() {
        let mut object = json!({"each": {"k": {}}, "list": [{}, {"a": 2}], "policy": null, "nullable": null});
        apply_defaults(&mut object, &schema());
        let expected = json!({"each": {"k": {"a": 1}}, "list": [{"a": 1}, {"a": 2}], "policy": "Delete",
            "nullable": null, "status": {"observed": -1, "more": 1}});
        assert_eq!(object, expected);
    }

    #[test]
    fn is_idempotent_and_keeps_what_is_there() {
        let mut object = json!({"policy": "Retain", "status": {}, "list": [7]});
        apply_defaults(&mut object, &schema());
        let once = object.clone();
        apply_defaults(&mut object, &schema());
        assert_eq!(object, once);
        assert_eq!(object["policy"], "Retain");
        assert_eq!(object["status"], json!({"more": 1}));
    }

    #[test]
    fn drops_nulls_that_are_no_value() {
        let mut object = json!({"plain": null, "nullable": null, "unknown": null, "each": {"k": null}});
        drop_nulls(&mut object, &schema());
        assert_eq!(object, json!({"nullable": null, "unknown": null, "each": {}}));
    }
}
