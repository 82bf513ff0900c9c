//! The paths of an object that whoever applies it owns.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::element::Element;
use super::item::element_of;
use super::set::FieldSet;
use super::types::{ListOf, MapType, Shape, Type};
use crate::schema::ListType;

/// The paths of the leaves of `value`, and of each item and each member of a map.
pub(crate) fn fields_of(value: &Value, types: Type<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    collect(value, types, &mut Vec::new(), &mut set);
    set
}

fn collect(value: &Value, types: Type<'_>, path: &mut Vec<Element>, set: &mut FieldSet) {
    match (types.shape(Some(value)), value) {
        (Some(Shape::Map(map)), _) if map.atomic => set.insert(path),
        (Some(Shape::List(list)), _) if *list.kind == ListType::Atomic => set.insert(path),
        (Some(Shape::Scalar(_)), _) => set.insert(path),
        (Some(Shape::Map(map)), Value::Object(members)) => collect_members(members, map, path, set),
        (Some(Shape::List(list)), Value::Array(items)) => collect_items(items, list, path, set),
        _ => {}
    }
}

fn collect_members(
    members: &Map<String, Value>,
    map: MapType<'_>,
    path: &mut Vec<Element>,
    set: &mut FieldSet,
) {
    for (name, member) in members {
        let (declared, types) = map.member(name);
        path.push(Element::field(name));
        collect(member, types, path, set);
        let is_leaf = member.is_null() || member.as_object().is_some_and(Map::is_empty);
        if is_leaf || !declared {
            set.insert(path);
        }
        path.pop();
    }
}

/// Items that are there twice are owned, but nothing in them.
fn collect_items(items: &[Value], list: ListOf<'_>, path: &mut Vec<Element>, set: &mut FieldSet) {
    let mut seen = BTreeSet::new();
    let mut repeated = BTreeSet::new();
    let elements: Vec<Option<Element>> = items.iter().map(|item| element_of(item, list).ok()).collect();
    for element in elements.iter().flatten() {
        if !seen.insert(element) {
            repeated.insert(element);
        }
    }
    for (item, element) in items.iter().zip(&elements) {
        let Some(element) = element else { continue };
        path.push(element.clone());
        if !repeated.contains(element) {
            collect(item, list.item, path, set);
        }
        set.insert(path);
        path.pop();
    }
}
