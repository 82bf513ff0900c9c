//! Removing an object.

use std::sync::Arc;

use serde_json::Value;

use super::metadata::{self, FOREGROUND, ORPHAN};
use super::state::{NAMESPACES, Stored};
use super::update::is_finished;
use super::{Decision, EventKind, Fresh, Guard, Write};
use crate::resource::Resource;
use crate::status::{FieldError, FieldErrorKind, Status};

/// What becomes of what an object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Propagation {
    /// It is deleted afterwards.
    #[default]
    Background,
    /// It is deleted before.
    Foreground,
    /// It stays, without the owner.
    Orphan,
}

/// `DeleteOptions`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeleteOptions {
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only the object at this resource version.
    pub resource_version: Option<String>,
    /// What becomes of what it owns, if the request says so.
    pub propagation: Option<Propagation>,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// The options that a body has.
    ///
    /// # Errors
    /// 400 or 422: a member has no meaning.
    pub fn read(body: &Value) -> Result<Self, Status> {
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let orphan = body.get("orphanDependents").and_then(Value::as_bool);
        let policy = text("/propagationPolicy");
        if let (Some(policy), Some(_)) = (&policy, orphan) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            let policy = Some(policy.as_str().into());
            let error = FieldError::new(FieldErrorKind::Invalid, "propagationPolicy", policy, why);
            return Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", &[error]));
        }
        let propagation = match (policy.as_deref(), orphan) {
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (None, None) => None,
            (Some(other), _) => {
                let error = FieldError::new(
                    FieldErrorKind::NotSupported,
                    "propagationPolicy",
                    Some(other.into()),
                    "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
                );
                return Err(Status::invalid("meta.k8s.io", "DeleteOptions", "", &[error]));
            }
        };
        Ok(Self {
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
            propagation,
            dry_run: body.get("dryRun").and_then(Value::as_array).is_some_and(|list| !list.is_empty()),
        })
    }
}

/// Decides to delete an object: what a finalizer keeps is only marked.
///
/// # Errors
/// 409 when it is not the one that the options mean, 403 for a namespace that has to stay.
pub fn decide(
    resource: &Resource,
    stored: &Arc<Stored>,
    options: &DeleteOptions,
    fresh: &Fresh,
) -> Result<Decision, Status> {
    check(resource, stored, options)?;
    let mut object = stored.value();
    let mut finalizers = metadata::finalizers(&object);
    match options.propagation {
        None => {}
        Some(propagation) => {
            finalizers.retain(|one| one != FOREGROUND && one != ORPHAN);
            match propagation {
                Propagation::Background => {}
                Propagation::Foreground => finalizers.push(FOREGROUND.to_owned()),
                Propagation::Orphan => finalizers.push(ORPHAN.to_owned()),
            }
        }
    }
    let are_new = finalizers != metadata::finalizers(&object);
    metadata::set_finalizers(&mut object, &finalizers);
    let guards = vec![Guard::At(stored.key.clone(), stored.revision)];
    let write = |kind, object| Write { key: stored.key.clone(), kind, object };
    if is_finished(&object) {
        return Ok(Decision::Write(write(EventKind::Deleted, object), guards));
    }
    if stored.is_deleting && !are_new {
        return Ok(Decision::Unchanged(Arc::clone(stored)));
    }
    if !stored.is_deleting {
        mark(&mut object, fresh);
    }
    Ok(Decision::Write(write(EventKind::Modified, object), guards))
}

/// Marks an object as being deleted.
fn mark(object: &mut Value, fresh: &Fresh) {
    metadata::set(object, "deletionTimestamp", fresh.time().into());
    if object.get("kind").is_some_and(|kind| kind == "Namespace") {
        object["status"]["phase"] = "Terminating".into();
    } else {
        metadata::set(object, "deletionGracePeriodSeconds", 0.into());
    }
    let generation = metadata::generation(object);
    if generation > 0 {
        metadata::set(object, "generation", (generation + 1).into());
    }
}

/// Namespaces that are always there.
const KEPT: [&str; 3] = ["default", "kube-system", "kube-public"];

fn check(resource: &Resource, stored: &Stored, options: &DeleteOptions) -> Result<(), Status> {
    let (group, plural, name) = (&resource.group, &resource.plural, &stored.key.name);
    if stored.key.store == NAMESPACES && KEPT.contains(&name.as_str()) {
        return Err(Status::forbidden(group, plural, name, "this namespace may not be deleted"));
    }
    let conflict = |what: &str, wanted: &str, is: &str, how: &str| {
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). \
             The object might have been {how}"
        );
        Status::conflict(group, &resource.kind, name, &why)
    };
    if let Some(uid) = options.uid.as_ref().filter(|uid| **uid != stored.uid) {
        return Err(conflict("UID", uid, &stored.uid, "deleted and then recreated"));
    }
    let revision = stored.revision.to_string();
    if let Some(version) = options.resource_version.as_ref().filter(|version| **version != revision) {
        return Err(conflict("ResourceVersion", version, &revision, "modified"));
    }
    Ok(())
}
