//! What differs between two objects, by the paths that are owned.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::element::Element;
use super::item::element_of;
use super::set::FieldSet;
use super::types::{ListOf, MapType, Shape, Type};
use crate::schema::ListType;

/// What differs.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Comparison {
    /// The same without what is in `excluded` or below.
    pub(crate) fn without(&self, excluded: &FieldSet) -> Self {
        Self {
            added: self.added.without(excluded),
            modified: self.modified.without(excluded),
            removed: self.removed.without(excluded),
        }
    }

    /// What is added or modified.
    pub(crate) fn changed(&self) -> FieldSet {
        self.modified.union(&self.added)
    }
}

/// Compares `left` with what became of it.
///
/// # Errors
/// An item of a list has no key.
pub(crate) fn compare(left: &Value, right: &Value, types: Type<'_>) -> Result<Comparison, String> {
    let mut walk = Walk { path: Vec::new(), result: Comparison::default() };
    walk.node(Some(left), Some(right), types)?;
    Ok(walk.result)
}

struct Walk {
    path: Vec<Element>,
    result: Comparison,
}

impl Walk {
    fn node(&mut self, left: Option<&Value>, right: Option<&Value>, types: Type<'_>) -> Result<(), String> {
        let atom = types.atom();
        let (old, new) = (atom.narrowed(left), atom.narrowed(right));
        let leaf = if right.is_none() {
            self.shape(left, right, old.first())?
        } else {
            if left.is_some() && !old.is_same(new) {
                self.shape(left, right, old.first())?;
            }
            self.shape(left, right, new.first())?
        };
        match (leaf, left, right) {
            (false, None, Some(_)) => self.result.added.insert(&self.path),
            (false, Some(_), None) => self.result.removed.insert(&self.path),
            _ => {}
        }
        Ok(())
    }

    /// Compares as one shape, and returns whether that is a leaf.
    fn shape(
        &mut self,
        left: Option<&Value>,
        right: Option<&Value>,
        shape: Option<Shape<'_>>,
    ) -> Result<bool, String> {
        let is_leaf = match shape {
            None => {
                return Err(format!(
                    "{}: field not declared in schema",
                    super::element::path_text(&self.path)
                ));
            }
            Some(Shape::Scalar(_)) => true,
            Some(Shape::Map(map)) => map.atomic || members(left).is_none() && members(right).is_none(),
            Some(Shape::List(list)) => {
                *list.kind == ListType::Atomic || items(left).is_none() && items(right).is_none()
            }
        };
        match shape {
            _ if is_leaf => self.leaf(left, right),
            Some(Shape::Map(map)) => self.map(members(left), members(right), map)?,
            Some(Shape::List(list)) => self.list(items(left), items(right), list)?,
            _ => {}
        }
        Ok(is_leaf)
    }

    fn leaf(&mut self, left: Option<&Value>, right: Option<&Value>) {
        match (left, right) {
            (None, _) => self.result.added.insert(&self.path),
            (_, None) => self.result.removed.insert(&self.path),
            (Some(left), Some(right)) if left != right => self.result.modified.insert(&self.path),
            _ => {}
        }
    }

    fn map(
        &mut self,
        left: Option<&Map<String, Value>>,
        right: Option<&Map<String, Value>>,
        map: MapType<'_>,
    ) -> Result<(), String> {
        let only_new = right
            .into_iter()
            .flatten()
            .filter(|(name, _)| !left.is_some_and(|left| left.contains_key(*name)));
        let names = left.into_iter().flatten().chain(only_new).map(|(name, _)| name);
        for name in names {
            self.path.push(Element::field(name));
            let (_, types) = map.member(name);
            self.node(
                left.and_then(|members| members.get(name)),
                right.and_then(|members| members.get(name)),
                types,
            )?;
            self.path.pop();
        }
        Ok(())
    }

    fn list(
        &mut self,
        left: Option<&[Value]>,
        right: Option<&[Value]>,
        list: ListOf<'_>,
    ) -> Result<(), String> {
        let (left, right) = (by_element(left, list)?, by_element(right, list)?);
        let only_new = right.keys().filter(|element| !left.contains_key(*element));
        for element in left.keys().chain(only_new) {
            let (old, new) = (all(&left, element), all(&right, element));
            self.path.push(element.clone());
            self.item(old, new, list.item)?;
            self.path.pop();
        }
        Ok(())
    }

    /// Compares the items with one key; more than one of them are compared as one value.
    fn item(&mut self, old: &[&Value], new: &[&Value], types: Type<'_>) -> Result<(), String> {
        match (old, new) {
            ([] | [_], [] | [_]) => self.node(old.first().copied(), new.first().copied(), types),
            ([_, _, ..], [_, _, ..]) => {
                if old != new {
                    self.result.modified.insert(&self.path);
                }
                Ok(())
            }
            ([_, _, ..], _) => {
                if let Some(new) = new.first() {
                    self.node(None, Some(new), types)?;
                }
                self.result.removed.insert(&self.path);
                Ok(())
            }
            (_, [_, _, ..]) => {
                if let Some(old) = old.first() {
                    self.node(Some(old), None, types)?;
                }
                self.result.added.insert(&self.path);
                Ok(())
            }
        }
    }
}

fn all<'a, 'v>(items: &'a BTreeMap<Element, Vec<&'v Value>>, element: &Element) -> &'a [&'v Value] {
    items.get(element).map_or(&[], Vec::as_slice)
}

fn by_element<'v>(
    items: Option<&'v [Value]>,
    list: ListOf<'_>,
) -> Result<BTreeMap<Element, Vec<&'v Value>>, String> {
    let mut found: BTreeMap<Element, Vec<&Value>> = BTreeMap::new();
    for (at, item) in items.unwrap_or_default().iter().enumerate() {
        let element = element_of(item, list).map_err(|problem| format!("element {at}: {problem}"))?;
        found.entry(element).or_default().push(item);
    }
    Ok(found)
}

/// The members of an object that has some.
fn members(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object).filter(|members| !members.is_empty())
}

/// The items of a list that has some.
fn items(value: Option<&Value>) -> Option<&[Value]> {
    value.and_then(Value::as_array).map(Vec::as_slice).filter(|items| !items.is_empty())
}
