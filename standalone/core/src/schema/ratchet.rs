//! Which value of the old object a value of the new one continues.

use serde_json::Value;

use super::lists::item_key;
use super::shape::{ListType, Schema};

/// The item of the old list with the key of `item`; only lists of the type map have such a one.
pub(crate) fn old_item<'o>(item: &Value, old: Option<&'o Value>, schema: &Schema) -> Option<&'o Value> {
    let ListType::Map(names) = &schema.list_type else { return None };
    let key = item_key(item, names);
    old?.as_array()?.iter().find(|candidate| item_key(candidate, names) == key)
}
