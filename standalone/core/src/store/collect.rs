//! What a change leaves to be done: the contents of a namespace that is deleted, and what owners leave behind.
//!
//! One step at a time: whoever stores them asks again after each.

use std::collections::BTreeSet;

use serde_json::Value;

use super::metadata::{self, FOREGROUND, ORPHAN};
use super::state::{Key, NAMESPACES, State, Stored};
use super::update::is_finished;
use super::{EventKind, Guard, Write};

/// What is to be done to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Delete it, as long as nobody has changed it; its dependents before it, if it says so.
    Delete {
        /// Which.
        key: Key,
        /// Its resource version when that was decided: who has given it another owner since, or made another object of the
        /// name, keeps it.
        revision: u64,
        /// Whether its own dependents go first.
        foreground: bool,
    },
    /// Take a finalizer of the API itself from it.
    Release {
        /// Which.
        key: Key,
        /// The finalizer.
        finalizer: &'static str,
    },
    /// Take an owner from its list, which goes and leaves it.
    Disown {
        /// Which.
        key: Key,
        /// The uid of the owner.
        owner: String,
    },
}

/// What is to be done now. `serves` says whether a kind is served here: nobody here knows whether an owner of another kind is
/// there.
pub fn due(state: &State, serves: impl Fn(&str, &str) -> bool) -> Vec<Due> {
    let mut due = Vec::new();
    for object in state.deleting() {
        if object.key.store == NAMESPACES {
            of_namespace(state, object, &mut due);
        }
        of_owner(state, object, &serves, &mut due);
    }
    let gone = |owner: &metadata::Owner| {
        serves(&owner.api_version, &owner.kind) && state.by_uid(&owner.uid).is_none()
    };
    for (uid, keys) in state.dependents() {
        if state.by_uid(uid).is_some() {
            continue;
        }
        for object in keys.iter().filter_map(|key| state.get(key)).filter(|object| !object.is_deleting) {
            if object.owners.iter().all(gone) {
                due.push(delete(object, false));
            } else if object.owners.iter().any(|owner| owner.uid == uid && gone(owner)) {
                // It has another owner, and forgets this one.
                due.push(Due::Disown { key: object.key.clone(), owner: uid.to_owned() });
            }
        }
    }
    due
}

fn delete(object: &Stored, foreground: bool) -> Due {
    Due::Delete { key: object.key.clone(), revision: object.revision, foreground }
}

/// What lies in a namespace goes before it.
fn of_namespace(state: &State, namespace: &Stored, due: &mut Vec<Due>) {
    let mut is_empty = true;
    for object in state.in_namespace(&namespace.key.name) {
        is_empty = false;
        if !object.is_deleting {
            due.push(delete(object, false));
        }
    }
    if is_empty {
        due.push(Due::Release { key: namespace.key.clone(), finalizer: "kubernetes" });
    }
}

fn of_owner(state: &State, owner: &Stored, serves: &dyn Fn(&str, &str) -> bool, due: &mut Vec<Due>) {
    if has(owner, ORPHAN) {
        let before = due.len();
        due.extend(
            state
                .dependents_of(&owner.uid)
                .map(|object| Due::Disown { key: object.key.clone(), owner: owner.uid.clone() }),
        );
        if due.len() == before {
            due.push(Due::Release { key: owner.key.clone(), finalizer: ORPHAN });
        }
    } else if has(owner, FOREGROUND) {
        // Another owner keeps an object, unless that waits to go, too.
        let keeps = |one: &metadata::Owner| match state.by_uid(&one.uid) {
            Some(other) => !waits(other),
            None => !serves(&one.api_version, &one.kind),
        };
        let mut blocked = false;
        for object in state.dependents_of(&owner.uid) {
            let blocks = object.owners.iter().any(|one| one.uid == owner.uid && one.blocks);
            blocked |= blocks && !waits_for(state, object, &owner.uid);
            if object.is_deleting {
                continue;
            }
            due.push(match object.owners.iter().any(keeps) {
                true => Due::Disown { key: object.key.clone(), owner: owner.uid.clone() },
                false => delete(object, true),
            });
        }
        if !blocked {
            due.push(Due::Release { key: owner.key.clone(), finalizer: FOREGROUND });
        }
    }
}

fn has(object: &Stored, finalizer: &str) -> bool {
    object.finalizers.iter().any(|one| one == finalizer)
}

/// Whether an object waits for what it owns.
fn waits(object: &Stored) -> bool {
    object.is_deleting && has(object, FOREGROUND)
}

/// Whether `object` waits for the object with this uid, at once or by others: then that may not wait for it.
fn waits_for(state: &State, object: &Stored, uid: &str) -> bool {
    let (mut seen, mut next) = (BTreeSet::new(), Vec::new());
    if waits(object) {
        next.push(object.uid.as_str());
    }
    while let Some(owner) = next.pop() {
        for dependent in state.dependents_of(owner) {
            if dependent.uid == uid {
                return true;
            }
            if waits(dependent) && seen.insert(dependent.uid.as_str()) {
                next.push(dependent.uid.as_str());
            }
        }
    }
    false
}

/// The write that takes a finalizer or an owner from an object; nothing when it has none such.
pub fn write(state: &State, due: &Due) -> Option<(Write, Vec<Guard>)> {
    let (key, object) = match due {
        Due::Delete { .. } => return None,
        Due::Release { key, finalizer } => (key, released(&state.get(key)?.value(), finalizer)),
        Due::Disown { key, owner } => (key, disowned(&state.get(key)?.value(), owner)),
    };
    let stored = state.get(key)?;
    let is_over = stored.is_deleting && is_finished(&object);
    let kind = if is_over { EventKind::Deleted } else { EventKind::Modified };
    let guard = Guard::At(key.clone(), stored.revision);
    Some((Write { key: key.clone(), kind, object }, vec![guard]))
}

fn released(object: &Value, finalizer: &str) -> Value {
    let mut object = object.clone();
    let mut finalizers = metadata::finalizers(&object);
    finalizers.retain(|one| one != finalizer);
    metadata::set_finalizers(&mut object, &finalizers);
    if let Some(list) = object.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut) {
        list.retain(|one| one != finalizer);
    }
    object
}

fn disowned(object: &Value, owner: &str) -> Value {
    let mut object = object.clone();
    if let Some(list) = object.pointer_mut("/metadata/ownerReferences").and_then(Value::as_array_mut) {
        list.retain(|one| one["uid"] != owner);
        if list.is_empty() {
            metadata::unset(&mut object, "ownerReferences");
        }
    }
    object
}
