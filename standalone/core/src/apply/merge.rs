//! An applied configuration on top of a live object.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::element::Element;
use super::item::element_of;
use super::types::{ListOf, MapType, Shape, Type};
use crate::schema::ListType;

/// Merges `config` into `live`: values of the configuration win, items of lists that the configuration has come in its order.
///
/// # Errors
/// An item of a list has no key, or the configuration has a key twice.
pub(crate) fn merge(live: &Value, config: &Value, types: Type<'_>) -> Result<Value, String> {
    node(Some(live), Some(config), types).map(Option::unwrap_or_default)
}

fn node(live: Option<&Value>, config: Option<&Value>, types: Type<'_>) -> Result<Option<Value>, String> {
    let leaf = || Ok(config.or(live).cloned());
    match types.shape(config.or(live)) {
        Some(Shape::Map(map)) if !map.atomic => {
            match (live.and_then(Value::as_object), config.and_then(Value::as_object)) {
                (None, None) => leaf(),
                (Some(one), None) | (None, Some(one)) if one.is_empty() => leaf(),
                (Some(live), Some(config)) if live.is_empty() && config.is_empty() => leaf(),
                (live, config) => members(live, config, map).map(Some),
            }
        }
        Some(Shape::List(list)) if *list.kind != ListType::Atomic => {
            let items = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
            let (live_items, config_items) = (items(live), items(config));
            if live_items.is_empty() && config_items.is_empty() {
                return leaf();
            }
            merged_items(&live_items, &config_items, list).map(Some)
        }
        Some(_) => leaf(),
        None => Err("field not declared in schema".to_owned()),
    }
}

fn members(
    live: Option<&Map<String, Value>>,
    config: Option<&Map<String, Value>>,
    map: MapType<'_>,
) -> Result<Value, String> {
    let mut merged = Map::new();
    let names: BTreeSet<&String> = live.into_iter().chain(config).flat_map(Map::keys).collect();
    for name in names {
        let of =
            |members: Option<&'_ Map<String, Value>>| members.and_then(|members| members.get(name)).cloned();
        let (live, config) = (of(live), of(config));
        let (_, types) = map.member(name);
        if let Some(value) = node(live.as_ref(), config.as_ref(), types)? {
            merged.insert(name.clone(), value);
        }
    }
    Ok(Value::Object(merged))
}

/// The items of both lists. Those of the configuration keep its order; those of the live list alone stay as near as possible to
/// where they were.
fn merged_items(live: &[Value], config: &[Value], list: ListOf<'_>) -> Result<Value, String> {
    let config = Items::of(config, list, false)?;
    let live = Items::of(live, list, true)?;
    let mut shared = config.order.iter().filter(|element| live.by_element.contains_key(*element)).peekable();
    let mut placed: BTreeSet<&Element> = BTreeSet::new();
    let mut merged = Vec::with_capacity(live.order.len().max(config.order.len()));
    let (mut at_live, mut at_config) = (0, 0);
    while at_live < live.order.len() || at_config < config.order.len() {
        let (own, wanted) = (live.order.get(at_live), config.order.get(at_config));
        if let (Some(own), Some(wanted)) = (own, wanted) {
            if own == wanted {
                merged.extend(node(live.get(own), config.get(own), list.item)?);
                placed.insert(own);
                at_live += 1;
                at_config += 1;
                shared.next();
                continue;
            }
            let comes_later = shared.peek().is_some_and(|next| *next != own);
            if config.by_element.contains_key(own) && comes_later {
                at_live += 1;
                continue;
            }
        }
        if let Some(own) = own {
            if !config.by_element.contains_key(own) {
                merged.extend(node(live.items.get(at_live), None, list.item)?);
                at_live += 1;
                continue;
            }
            if placed.contains(own) {
                at_live += 1;
            }
        }
        if let Some(wanted) = wanted {
            merged.extend(node(live.get(wanted), config.get(wanted), list.item)?);
            placed.insert(wanted);
            at_config += 1;
            shared.next_if(|next| *next == wanted);
        }
    }
    Ok(Value::Array(merged))
}

struct Items<'v> {
    items: &'v [Value],
    order: Vec<Element>,
    /// The item of each key; null where there are several.
    by_element: BTreeMap<Element, &'v Value>,
}

impl<'v> Items<'v> {
    fn of(items: &'v [Value], list: ListOf<'_>, may_repeat: bool) -> Result<Self, String> {
        let mut order = Vec::with_capacity(items.len());
        let mut by_element = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            let element = element_of(item, list).map_err(|problem| format!("element {at}: {problem}"))?;
            let repeated = by_element.insert(element.clone(), item).is_some();
            if repeated && !may_repeat {
                return Err(format!("duplicate entries for key {element}"));
            }
            if repeated {
                by_element.insert(element.clone(), &Value::Null);
            }
            order.push(element);
        }
        Ok(Self { items, order, by_element })
    }

    fn get(&self, element: &Element) -> Option<&'v Value> {
        self.by_element.get(element).copied()
    }
}
