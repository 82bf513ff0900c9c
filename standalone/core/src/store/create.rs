//! Adding an object.

use serde_json::Value;

use super::check;
use super::names::NameRule;
use super::state::{Key, NAMESPACES, State};
use super::{Decision, EventKind, Fresh, Guard, Write, metadata};
use crate::resource::Resource;
use crate::status::{FieldError, FieldErrorKind, Status, StatusCause};

/// The most letters of a generated name before its end.
const LONGEST_BASE: usize = 58;

/// What the names of a resource's objects may be.
pub fn name_rule(resource: &Resource) -> NameRule {
    if resource.store == NAMESPACES { NameRule::Label } else { NameRule::Subdomain }
}

/// Checks what a body says of its kind and place against the path that it was sent to, and gives it the namespace of the path.
///
/// # Errors
/// 400: it is for another path.
pub fn place(
    resource: &Resource,
    namespace: &str,
    name: Option<&str>,
    object: &mut Value,
) -> Result<(), Status> {
    if resource.definition().is_none()
        && let Some(members) = object.as_object_mut()
    {
        // The path says what a kind of Kubernetes itself is.
        let is_absent = |value: Option<&Value>| value.is_none_or(|value| value.as_str() == Some(""));
        for (member, value) in [("apiVersion", resource.api_version()), ("kind", resource.kind.clone())] {
            if is_absent(members.get(member)) {
                members.insert(member.to_owned(), value.into());
            }
        }
    }
    let text = |member: &str| object.get(member).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    if !object.is_object() {
        return Err(Status::bad_request("the body of the request is no object"));
    }
    if version != resource.api_version() {
        return Err(Status::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            resource.api_version()
        )));
    }
    if kind != resource.kind && resource.definition().is_some() && !kind.is_empty() {
        let why = format!("must be {}", resource.kind);
        let error = FieldError::new(FieldErrorKind::Invalid, "kind", Some(kind.as_str().into()), why);
        let name = metadata::text(object, "name");
        return Err(Status::invalid(&resource.group, &kind, name, &[error]));
    }
    if kind != resource.kind {
        return Err(Status::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {}",
            resource.version, resource.kind
        )));
    }
    let said = metadata::text(object, "namespace").to_owned();
    if resource.namespaced {
        if said.is_empty() {
            metadata::set(object, "namespace", namespace.into());
        } else if said != namespace {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    } else {
        metadata::unset(object, "namespace");
    }
    let said = metadata::text(object, "name").to_owned();
    match name {
        Some(name) if said.is_empty() => metadata::set(object, "name", name.into()),
        Some(name) if said != name => {
            return Err(Status::bad_request(format!(
                "the name of the object ({said}) does not match the name on the URL ({name})"
            )));
        }
        _ => {}
    }
    Ok(())
}

/// Gives an object that is to be created what every new object has. What a client may not choose is taken from it.
pub fn prepare(resource: &Resource, object: &mut Value, fresh: &Fresh) {
    let base = metadata::text(object, "generateName").to_owned();
    if metadata::text(object, "name").is_empty() && !base.is_empty() {
        let base: String = base.chars().take(LONGEST_BASE).collect();
        metadata::set(object, "name", format!("{base}{}", fresh.suffix).into());
    }
    for member in
        ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation", "resourceVersion"]
    {
        metadata::unset(object, member);
    }
    metadata::set(object, "uid", fresh.uid.as_str().into());
    metadata::set(object, "creationTimestamp", fresh.time().into());
    if has_generation(resource) {
        metadata::set(object, "generation", 1.into());
    }
    if resource.has_status
        && let Some(object) = object.as_object_mut()
    {
        object.remove("status");
    }
    if resource.store == NAMESPACES {
        prepare_namespace(object);
    }
}

/// Whether objects of the resource count the changes of their specs.
pub fn has_generation(resource: &Resource) -> bool {
    resource.definition().is_some() || resource.kind == "CustomResourceDefinition"
}

/// What every namespace has.
fn prepare_namespace(object: &mut Value) {
    let name = metadata::text(object, "name").to_owned();
    let mut labels = metadata::get(object, "labels").cloned().unwrap_or_else(|| serde_json::json!({}));
    labels["kubernetes.io/metadata.name"] = name.into();
    metadata::set(object, "labels", labels);
    object["spec"] = serde_json::json!({ "finalizers": ["kubernetes"] });
    object["status"] = serde_json::json!({ "phase": "Active" });
}

/// Decides to add `object`, which is [placed](place), [prepared](prepare) and valid.
///
/// # Errors
/// 404 and 403 when its namespace is not there or is being deleted, 409 when the name is taken, 422 for its metadata.
pub fn decide(resource: &Resource, state: &State, object: Value) -> Result<Decision, Status> {
    let (namespace, name) = (metadata::text(&object, "namespace"), metadata::text(&object, "name"));
    let errors = check::created(resource, &object);
    if !errors.is_empty() {
        return Err(Status::invalid(&resource.group, &resource.kind, name, &errors));
    }
    let key = Key::new(&resource.store, namespace, name);
    let mut guards = vec![Guard::Absent(key.clone())];
    if resource.namespaced {
        active(resource, state, namespace, name)?;
        guards.push(Guard::Active(namespace.to_owned()));
    }
    if state.get(&key).is_some() {
        return Err(Status::already_exists(&resource.group, &resource.plural, name));
    }
    Ok(Decision::Write(Write { key, kind: EventKind::Added, object }, guards))
}

/// Whether `namespace` takes a new object.
fn active(resource: &Resource, state: &State, namespace: &str, name: &str) -> Result<(), Status> {
    match state.get(&Key::new(NAMESPACES, "", namespace)) {
        None => Err(Status::not_found("", NAMESPACES, namespace)),
        Some(found) if found.is_deleting => {
            let why = format!(
                "unable to create new content in namespace {namespace} because it is being terminated"
            );
            let cause = StatusCause {
                reason: "NamespaceTerminating".to_owned(),
                message: format!("namespace {namespace} is being terminated"),
                field: "metadata.namespace".to_owned(),
            };
            let status = Status::forbidden(&resource.group, &resource.plural, name, &why);
            Err(status.caused_by(vec![cause]))
        }
        Some(_) => Ok(()),
    }
}

/// What a body may not have that asks for a new object.
///
/// # Errors
/// 500, as kube-apiserver answers it.
pub fn check_new(object: &Value) -> Result<(), Status> {
    if metadata::text(object, "resourceVersion").is_empty() {
        return Ok(());
    }
    Err(Status::unexplained("resourceVersion should not be set on objects to be created"))
}
