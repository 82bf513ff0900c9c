//! The members of `metadata`, read and written in an object that is JSON.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The finalizer that lets what an object owns go before itself.
pub const FOREGROUND: &str = "foregroundDeletion";

/// The finalizer that lets what an object owns stay without it.
pub const ORPHAN: &str = "orphan";

/// An owner, as an object names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its uid.
    pub uid: String,
    /// Whether it waits for this one when it is deleted in the foreground.
    pub blocks: bool,
}

/// A member of `metadata`.
pub fn get<'a>(object: &'a Value, member: &str) -> Option<&'a Value> {
    object.get("metadata").and_then(|metadata| metadata.get(member)).filter(|value| !value.is_null())
}

/// A member of `metadata` that is text; empty when there is none.
pub fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    get(object, member).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata`, which is made if it is not there.
pub fn of(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let object = object.as_object_mut()?;
    let metadata = object.entry("metadata").or_insert_with(|| Map::new().into());
    if metadata.is_null() {
        *metadata = Map::new().into();
    }
    metadata.as_object_mut()
}

/// Sets a member of `metadata`.
pub fn set(object: &mut Value, member: &str, value: Value) {
    if let Some(metadata) = of(object) {
        metadata.insert(member.to_owned(), value);
    }
}

/// Removes a member of `metadata`.
pub fn unset(object: &mut Value, member: &str) {
    if let Some(metadata) = of(object) {
        metadata.remove(member);
    }
}

/// Gives `object` the member that `from` has, or none.
pub fn keep(object: &mut Value, from: &Value, member: &str) {
    match get(from, member) {
        Some(value) => set(object, member, value.clone()),
        None => unset(object, member),
    }
}

/// The generation; 0 when the kind has none.
pub fn generation(object: &Value) -> u64 {
    get(object, "generation").and_then(Value::as_u64).unwrap_or_default()
}

/// Whether the object is being deleted.
pub fn is_deleting(object: &Value) -> bool {
    get(object, "deletionTimestamp").is_some()
}

/// The finalizers.
pub fn finalizers(object: &Value) -> Vec<String> {
    let list = get(object, "finalizers").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// Sets the finalizers; without any there is no such member.
pub fn set_finalizers(object: &mut Value, finalizers: &[String]) {
    if finalizers.is_empty() {
        unset(object, "finalizers");
    } else {
        set(object, "finalizers", finalizers.into());
    }
}

/// The labels.
pub fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = get(object, "labels").and_then(Value::as_object).into_iter().flatten();
    labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// The owners.
pub fn owners(object: &Value) -> Vec<Owner> {
    let list = get(object, "ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let text =
        |one: &Value, member: &str| one.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let owner = |one: &Value| Owner {
        api_version: text(one, "apiVersion"),
        kind: text(one, "kind"),
        uid: text(one, "uid"),
        blocks: one.get("blockOwnerDeletion").and_then(Value::as_bool).unwrap_or_default(),
    };
    list.map(owner).filter(|owner| !owner.uid.is_empty()).collect()
}
