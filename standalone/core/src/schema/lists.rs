//! Uniqueness in lists of the types set and map.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::failure::{child, error, index, invalid, key};
use super::shape::{ListType, Schema};
use crate::status::{FieldError, FieldErrorKind};

/// What of `value` breaks the list types of `schema`: each item that is there already, at its second place.
#[must_use]
pub fn validate_lists(value: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(value, schema, "", &mut errors);
    errors
}

fn walk(value: &Value, schema: &Schema, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if let Some(each) = schema.additional.schema() {
                    walk(member, each, &key(path, name), errors);
                }
                if let Some(property) = schema.properties.get(name) {
                    walk(member, property, &child(path, name), errors);
                }
            }
        }
        Value::Array(items) => {
            match &schema.list_type {
                ListType::Atomic => {}
                ListType::Set => duplicates(items.to_vec(), path, errors),
                ListType::Map(keys) => duplicate_keys(items, keys, path, errors),
            }
            let Some(each) = schema.items.as_deref() else { return };
            for (at, item) in items.iter().enumerate() {
                walk(item, each, &index(path, at), errors);
            }
        }
        _ => {}
    }
}

fn duplicate_keys(items: &[Value], names: &[String], path: &str, errors: &mut Vec<FieldError>) {
    if let Some((at, item)) = items.iter().enumerate().find(|(_, item)| !item.is_object() && !item.is_null())
    {
        let detail = "must be an object for an array of list-type map";
        errors.push(invalid(&index(path, at), item.clone(), detail));
        return;
    }
    let keys = items.iter().map(|item| Value::Object(item_key(item, names))).collect();
    duplicates(keys, path, errors);
}

/// The members of `item` that no other item has.
pub(crate) fn item_key(item: &Value, names: &[String]) -> Map<String, Value> {
    names.iter().filter_map(|name| item.get(name).map(|value| (name.clone(), value.clone()))).collect()
}

fn duplicates(keys: Vec<Value>, path: &str, errors: &mut Vec<FieldError>) {
    let mut seen: HashMap<Value, usize> = HashMap::with_capacity(keys.len());
    for (at, key) in keys.into_iter().enumerate() {
        let times = seen.entry(key.clone()).or_default();
        *times += 1;
        if *times == 2 {
            errors.push(error(FieldErrorKind::Duplicate, &index(path, at), Some(key), ""));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_what_is_there_twice() {
        let schema = Schema::parse(&json!({"properties": {
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"],
                "items": {"type": "object", "properties": {"inner": {
                    "type": "array", "x-kubernetes-list-type": "set", "items": {}}}}}}}))
        .unwrap();
        let object = json!({"set": ["x", "y", "x", "x"], "map": [{"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2,
            "inner": [[1], [1]]}, null, {}]});
        let errors: Vec<String> = validate_lists(&object, &schema).iter().map(ToString::to_string).collect();
        let mut expected = vec![
            "map[2]: Duplicate value: {\"a\":1,\"b\":2}",
            "map[4]: Duplicate value: {}",
            "map[2].inner[1]: Duplicate value: [1]",
            "set[2]: Duplicate value: \"x\"",
        ];
        expected.sort_unstable();
        let mut errors = errors;
        errors.sort_unstable();
        assert_eq!(errors, expected);
    }

    #[test]
    fn items_of_a_map_are_objects() {
        let schema = Schema::parse(&json!({"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["a"], "items": {"type": "object"}}))
        .unwrap();
        let errors = validate_lists(&json!([{"a": 1}, "b"]), &schema);
        assert_eq!(
            errors[0].to_string(),
            "[1]: Invalid value: \"b\": must be an object for an array of list-type map"
        );
    }
}
