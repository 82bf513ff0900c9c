//! An object without some of its fields.

use serde_json::{Map, Value};

use super::element::Element;
use super::item::element_of;
use super::set::FieldSet;
use super::types::{ListOf, MapType, Shape, Type};
use crate::schema::ListType;

/// Removes the paths of `fields`; an object or a list of which nothing stays is null.
pub(crate) fn remove(value: &Value, fields: &FieldSet, types: Type<'_>) -> Value {
    match (types.shape(Some(value)), value) {
        (Some(Shape::Scalar(_)), _) => value.clone(),
        (Some(Shape::Map(map)), Value::Object(members)) if !map.atomic => {
            remove_members(members, fields, map)
        }
        (Some(Shape::List(list)), Value::Array(items)) if *list.kind != ListType::Atomic => {
            remove_items(items, fields, list)
        }
        _ => Value::Null,
    }
}

fn remove_members(members: &Map<String, Value>, fields: &FieldSet, map: MapType<'_>) -> Value {
    let mut kept = Map::new();
    for (name, member) in members {
        let element = Element::field(name);
        if fields.has(&element) {
            continue;
        }
        let (_, types) = map.member(name);
        let rest =
            fields.below(&element).map_or_else(|| member.clone(), |below| remove(member, below, types));
        kept.insert(name.clone(), rest);
    }
    if kept.is_empty() { Value::Null } else { Value::Object(kept) }
}

fn remove_items(items: &[Value], fields: &FieldSet, list: ListOf<'_>) -> Value {
    let mut kept = Vec::new();
    for item in items {
        let element = element_of(item, list).ok();
        if element.as_ref().is_some_and(|element| fields.has(element)) {
            continue;
        }
        let below = element.as_ref().and_then(|element| fields.below(element));
        kept.push(below.map_or_else(|| item.clone(), |below| remove(item, below, list.item)));
    }
    if kept.is_empty() { Value::Null } else { Value::Array(kept) }
}
