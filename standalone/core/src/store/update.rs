//! Replacing an object, or a part of it.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::check::{self, FIXED};
use super::create::has_generation;
use super::state::{NAMESPACES, Stored};
use super::{Decision, EventKind, Guard, Write, metadata};
use crate::resource::Resource;
use crate::status::{FieldError, FieldErrorKind, Status};

/// What client-go takes as the word to read and try again.
const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// Which part of an object a request writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All but the status, if there is a subresource for it.
    Main,
    /// The status.
    Status,
    /// The finalizers in the spec of a namespace.
    Finalizers,
    /// The number of what it stands for.
    Scale,
}

/// Members of `metadata` that only the API itself writes.
const OURS: [&str; 5] =
    ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"];

/// Checks that an object which is to replace another is the same one. A patch may say what it likes: it is found out later.
///
/// # Errors
/// 409 when it is of another uid.
pub fn check_uid(resource: &Resource, old: &Stored, new: &Value) -> Result<(), Status> {
    let uid = metadata::text(new, "uid");
    if uid.is_empty() || uid == old.uid {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
        storage_key(resource, old),
        old.uid
    );
    Err(Status::conflict(&resource.group, &resource.plural, &old.key.name, &why))
}

/// Where kube-apiserver would keep the object, which its message names.
fn storage_key(resource: &Resource, stored: &Stored) -> String {
    let Resource { group, plural, .. } = resource;
    let is_separate = resource.definition().is_some() || resource.kind == "CustomResourceDefinition";
    let folder = if is_separate { format!("{group}/{plural}") } else { plural.clone() };
    let namespace = match stored.key.namespace.as_str() {
        "" => String::new(),
        namespace => format!("{namespace}/"),
    };
    format!("/registry/{folder}/{namespace}{}", stored.key.name)
}

/// Checks that an update is of the object as it is.
///
/// # Errors
/// 409 when it is of another resource version, 422 when it has to say the version and does not.
pub fn check_current(resource: &Resource, old: &Stored, new: &Value) -> Result<(), Status> {
    let (group, plural, name) = (&resource.group, &resource.plural, &old.key.name);
    match metadata::text(new, "resourceVersion") {
        "" | "0" if may_be_unconditional(resource) => Ok(()),
        "" | "0" => {
            let error = FieldError::new(
                FieldErrorKind::Invalid,
                "metadata.resourceVersion",
                Some(0.into()),
                "must be specified for an update",
            );
            Err(Status::invalid(group, plural, name, &[error]))
        }
        version if version == old.revision.to_string() => Ok(()),
        version if version.parse::<u64>().is_err() => {
            let error = FieldError::new(
                FieldErrorKind::Invalid,
                "metadata.resourceVersion",
                Some(version.into()),
                "must be a valid resource version",
            );
            Err(Status::invalid(group, &resource.kind, name, &[error]))
        }
        _ => Err(Status::conflict(group, plural, name, MODIFIED)),
    }
}

/// Custom resources are replaced only by who has read them.
fn may_be_unconditional(resource: &Resource) -> bool {
    resource.definition().is_none() && resource.kind != "CustomResourceDefinition" && resource.kind != "Lease"
}

/// Gives `new` what an update of `part` leaves as it is in `old`.
pub fn prepare(resource: &Resource, old: &Value, new: &mut Value, part: Part) {
    match part {
        Part::Status => keep_all_but_status(resource, old, new),
        _ if resource.has_status => keep_member(new, old, "status"),
        _ => {}
    }
    // An absent one is taken from the object, another is an error.
    for member in FIXED {
        if metadata::text(new, member).is_empty() {
            metadata::keep(new, old, member);
        }
    }
    for member in OURS {
        metadata::keep(new, old, member);
    }
    metadata::keep(new, old, "resourceVersion");
    if resource.store == NAMESPACES {
        if part != Part::Finalizers && part != Part::Status {
            keep_member(new, old, "spec");
        }
        let mut labels = metadata::get(new, "labels").cloned().unwrap_or_else(|| Map::new().into());
        if let Some(labels) = labels.as_object_mut() {
            labels.insert("kubernetes.io/metadata.name".into(), metadata::text(old, "name").into());
        }
        metadata::set(new, "labels", labels);
    }
    if has_generation(resource) && differs(resource, old, new) {
        metadata::set(new, "generation", (metadata::generation(old) + 1).into());
    }
}

fn keep_member(new: &mut Value, old: &Value, member: &str) {
    let Some(new) = new.as_object_mut() else { return };
    match old.get(member) {
        Some(value) => new.insert(member.to_owned(), value.clone()),
        None => new.remove(member),
    };
}

/// A status is written without anything beside it; of a namespace its metadata, too.
fn keep_all_but_status(resource: &Resource, old: &Value, new: &mut Value) {
    let status = new.get("status").cloned();
    let managed = metadata::get(new, "managedFields").cloned();
    if resource.definition().is_some() {
        *new = old.clone();
    } else {
        keep_member(new, old, "spec");
    }
    if let Some(new) = new.as_object_mut() {
        match status {
            Some(status) => new.insert("status".into(), status),
            None => new.remove("status"),
        };
    }
    if let Some(managed) = managed {
        metadata::set(new, "managedFields", managed);
    }
}

/// Whether more than the metadata and the status changes.
fn differs(resource: &Resource, old: &Value, new: &Value) -> bool {
    let rest = |object: &Value| {
        let mut object = object.clone();
        if let Some(members) = object.as_object_mut() {
            members.remove("metadata");
            if resource.has_status {
                members.remove("status");
            }
        }
        object
    };
    rest(old) != rest(new)
}

/// Decides to replace `old` by `new`, which is [prepared](prepare) and valid.
///
/// # Errors
/// 422 for its metadata.
pub fn decide(
    resource: &Resource,
    stored: &Arc<Stored>,
    old: &Value,
    new: Value,
) -> Result<Decision, Status> {
    let name = &stored.key.name;
    let errors = check::updated(resource, old, &new);
    if !errors.is_empty() {
        return Err(Status::invalid(&resource.group, &resource.kind, name, &errors));
    }
    if same(old, &new) {
        return Ok(Decision::Unchanged(Arc::clone(stored)));
    }
    // The last finalizer of an object that is being deleted is what kept it.
    let is_over = metadata::is_deleting(&new) && is_finished(&new);
    let kind = if is_over { EventKind::Deleted } else { EventKind::Modified };
    let guards = vec![Guard::At(stored.key.clone(), stored.revision)];
    Ok(Decision::Write(Write { key: stored.key.clone(), kind, object: new }, guards))
}

/// Whether nothing keeps an object that is being deleted.
pub fn is_finished(object: &Value) -> bool {
    let spec = object
        .get("kind")
        .filter(|kind| *kind == "Namespace")
        .and_then(|_| object.pointer("/spec/finalizers"));
    let kept = spec.and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    !kept && metadata::finalizers(object).is_empty()
}

/// Whether both are the same, but for when who set what.
fn same(old: &Value, new: &Value) -> bool {
    let without_times = |object: &Value| {
        let mut object = object.clone();
        let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("time");
            }
        }
        object
    };
    old == new || without_times(old) == without_times(new)
}
