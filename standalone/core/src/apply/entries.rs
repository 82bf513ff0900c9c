//! The entries of an object's `managedFields`.

use serde_json::{Map, Value, json};

use super::managed::{Managed, Operation, Owner};

/// Managers of updates that an object has at most; the oldest beyond that become one.
const MAX_UPDATE_MANAGERS: usize = 10;

/// Puts back the times of managed fields when nothing else changed: such a write leaves the object as it was.
pub fn keep_times(new: &mut Value, old: &Value) {
    let entries = |object: &Value| object.pointer("/metadata/managedFields").cloned();
    let (Some(ours), Some(theirs)) = (entries(new), entries(old)) else { return };
    let timeless = |entries: &Value| {
        let mut entries = entries.clone();
        for entry in entries.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
        entries
    };
    if ours == theirs || timeless(&ours) != timeless(&theirs) || without_managed(new) != without_managed(old)
    {
        return;
    }
    if let Some(fields) = new.pointer_mut("/metadata/managedFields") {
        *fields = theirs;
    }
}

/// Makes one manager of the oldest updates of a version when there are too many.
pub(super) fn cap(managed: &mut Managed) {
    let mut updates: Vec<(Option<String>, Owner)> = managed
        .owners
        .iter()
        .filter(|(owner, _)| owner.operation == Operation::Update)
        .map(|(owner, owned)| (owned.time.clone(), owner.clone()))
        .collect();
    updates.sort_unstable();
    let mut count = updates.len();
    let mut first: Option<Owner> = None;
    for (time, owner) in updates {
        if count <= MAX_UPDATE_MANAGERS {
            return;
        }
        let Some(kept) = &first else {
            first = Some(owner);
            continue;
        };
        let bucket =
            Owner { manager: "ancient-changes".to_owned(), subresource: String::new(), ..owner.clone() };
        if !managed.owners.contains_key(&bucket)
            && let Some(owned) = managed.owners.remove(kept)
        {
            managed.owners.insert(bucket.clone(), owned);
        }
        let Some(old) = managed.owners.remove(&owner) else { continue };
        if let Some(owned) = managed.owners.get_mut(&bucket) {
            owned.fields = owned.fields.union(&old.fields);
            owned.time = time;
        }
        count -= 1;
    }
}

/// Whether a caller drops the entries.
pub(super) fn is_reset(entries: &Value) -> bool {
    match entries.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([only]) => only.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// The object without entries.
pub(super) fn without_managed(object: &Value) -> Value {
    let mut object = object.clone();
    set_managed(&mut object, Vec::new());
    object
}

/// Writes the entries of an object; none are no member.
pub(super) fn set_managed(object: &mut Value, entries: Vec<Value>) {
    let Some(object) = object.as_object_mut() else { return };
    if entries.is_empty() {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        return;
    }
    let metadata = object.entry("metadata").or_insert_with(|| json!({}));
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.insert("managedFields".to_owned(), Value::Array(entries));
    }
}
