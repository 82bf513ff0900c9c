//! What is wrong with an object that is to be stored, beside what its schema says: in kube-apiserver's order, and as often as it
//! looks.

use serde_json::Value;

use super::create::name_rule;
use super::names::{self, Look, metadata_errors};
use super::{metadata, owners};
use crate::resource::Resource;
use crate::schema::BuiltinKind;
use crate::status::{FieldError, FieldErrorKind};

/// Members of `metadata` that no update changes.
pub(super) const FIXED: [&str; 3] = ["name", "namespace", "uid"];

/// What is wrong with a new object.
pub fn created(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut errors = match own_kind(resource) {
        None if resource.definition().is_some() => metadata_errors(object, Look::Custom),
        // What `events.k8s.io` demands of names is looked at with its other rules.
        Some(BuiltinKind::Event | BuiltinKind::EventsEvent) => {
            let name = metadata::text(object, "name");
            let wrong = names::path_part(name)
                .into_iter()
                .map(|why| FieldError::new(FieldErrorKind::Invalid, "metadata.name", Some(name.into()), why));
            wrong.chain(metadata_errors(object, Look::Any)).collect()
        }
        _ => metadata_errors(object, Look::Own(name_rule(resource))),
    };
    errors.extend(own_kind(resource).map(|kind| kind.data_errors(object)).unwrap_or_default());
    errors
}

/// Which of Kubernetes' own kinds the objects of a resource are.
fn own_kind(resource: &Resource) -> Option<BuiltinKind> {
    let is_own = resource.definition().is_none();
    is_own.then(|| BuiltinKind::of(&resource.api_version(), &resource.kind)).flatten()
}

/// What is wrong with `new`, which is to replace `old`: first for all kinds, then for the kind. For custom resources, what the
/// schema finds comes behind.
pub fn updated(resource: &Resource, old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors = metadata_errors(new, Look::Any);
    errors.extend(changes(old, new));
    match own_kind(resource) {
        Some(BuiltinKind::Event | BuiltinKind::EventsEvent) => {}
        Some(BuiltinKind::Namespace) => {
            errors.extend(created(resource, new));
            errors.extend(changes(old, new));
        }
        Some(kind @ (BuiltinKind::ConfigMap | BuiltinKind::Secret | BuiltinKind::ServiceAccount)) => {
            errors.extend(changes(old, new));
            errors.extend(kind.update_errors(old, new));
            errors.extend(created(resource, new));
        }
        kind => {
            errors.extend(changes(old, new));
            errors.extend(kind.map(|kind| kind.data_errors(new)).unwrap_or_default());
        }
    }
    errors
}

/// What an update may not change of the metadata.
fn changes(old: &Value, new: &Value) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> = added_finalizers(old, new).into_iter().collect();
    errors.extend(FIXED.into_iter().filter_map(|member| changed(old, new, member)));
    errors.extend(names::labels_and_annotations(new));
    errors.extend(owners::errors(new));
    errors
}

fn changed(old: &Value, new: &Value, member: &str) -> Option<FieldError> {
    let (was, is) = (metadata::text(old, member), metadata::text(new, member));
    (was != is).then(|| {
        let field = format!("metadata.{member}");
        FieldError::new(FieldErrorKind::Invalid, field, Some(is.into()), "field is immutable")
    })
}

/// Nobody may hold up a deletion that has begun.
fn added_finalizers(old: &Value, new: &Value) -> Option<FieldError> {
    if !metadata::is_deleting(old) {
        return None;
    }
    let had = metadata::finalizers(old);
    let mut added = metadata::finalizers(new);
    added.retain(|finalizer| !had.contains(finalizer));
    (!added.is_empty()).then(|| {
        let list: Vec<String> = added.iter().map(|one| crate::status::quoted(one)).collect();
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            list.join(", ")
        );
        FieldError::new(FieldErrorKind::Forbidden, "metadata.finalizers", None, why)
    })
}
