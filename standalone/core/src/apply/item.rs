//! Which item of a list is which.

use serde_json::Value;

use super::element::{Element, Scalar};
use super::types::{ListOf, Type};
use crate::schema::ListType;

/// The element of the path to an item of a set or a map.
///
/// # Errors
/// Why the item has none.
pub(crate) fn element_of(item: &Value, list: ListOf<'_>) -> Result<Element, String> {
    match list.kind {
        ListType::Atomic => Err("invalid indexing of non-associative list".to_owned()),
        ListType::Set => set_element(item),
        ListType::Map(keys) => map_element(item, keys, list.item),
    }
}

fn set_element(item: &Value) -> Result<Element, String> {
    match item {
        Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
        Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
        Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
        _ => Ok(Element::Value(Scalar::of(item))),
    }
}

fn map_element(item: &Value, keys: &[String], types: Type<'_>) -> Result<Element, String> {
    let members = match item {
        Value::Object(members) => members,
        Value::Null => return Err("associative list with keys may not have a null element".to_owned()),
        _ => return Err("associative list with keys may not have non-map elements".to_owned()),
    };
    let default = |name: &String| match types.atom().map?.member(name) {
        (true, Type::Declared(schema, _)) => schema.default.as_ref(),
        _ => None,
    };
    let found: Vec<(&String, &Value)> = keys
        .iter()
        .filter_map(|name| members.get(name).or_else(|| default(name)).map(|value| (name, value)))
        .collect();
    if found.is_empty() && !keys.is_empty() {
        let keys: Vec<String> = keys.iter().map(|name| crate::go::quote(name)).collect();
        return Err(format!(
            "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for \
             any key fields)",
            keys.join(" ")
        ));
    }
    Ok(Element::key(found.into_iter()))
}
