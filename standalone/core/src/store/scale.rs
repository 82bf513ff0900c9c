//! The subresource `scale`: a view of two numbers of an object.

use serde_json::{Value, json};

use super::metadata;
use super::update::Part;
use crate::resource::{Resource, ScalePaths};
use crate::status::{FieldError, FieldErrorKind, Status};

/// The API version of [`read`]'s answer.
pub const API_VERSION: &str = "autoscaling/v1";

fn pointer(path: &str) -> String {
    path.replace('.', "/")
}

/// The `Scale` of `object`.
pub fn read(paths: &ScalePaths, object: &Value) -> Value {
    let number = |path: &str| object.pointer(&pointer(path)).and_then(Value::as_i64);
    let mut view = json!({
        "kind": "Scale",
        "apiVersion": API_VERSION,
        "metadata": {},
        "spec": {},
        "status": { "replicas": number(&paths.status_replicas).unwrap_or_default() },
    });
    for member in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata::get(object, member) {
            metadata::set(&mut view, member, value.clone());
        }
    }
    if let Some(replicas) = number(&paths.spec_replicas).filter(|replicas| *replicas != 0) {
        view["spec"]["replicas"] = replicas.into();
    }
    let selector = paths.selector.as_deref().and_then(|path| object.pointer(&pointer(path)));
    if let Some(selector) = selector.and_then(Value::as_str) {
        view["status"]["selector"] = selector.into();
    }
    view
}

/// Checks that `object` has a number to read.
///
/// # Errors
/// 500, as kube-apiserver has it: it has none.
pub fn check(paths: &ScalePaths, object: &Value) -> Result<(), Status> {
    match object.pointer(&pointer(&paths.spec_replicas)) {
        Some(_) => Ok(()),
        None => {
            let path = crate::status::quoted(&paths.spec_replicas);
            Err(Status::internal_error(format!("the spec replicas field {path} does not exist")))
        }
    }
}

/// `object` with the number that `scale` wants, and the resource version and uid that it names.
///
/// # Errors
/// 400 when it is no `Scale`.
pub fn write(paths: &ScalePaths, object: &Value, scale: &Value) -> Result<Value, Status> {
    let (kind, version) = (&scale["kind"], &scale["apiVersion"]);
    if kind != "Scale" || version != API_VERSION {
        return Err(Status::bad_request(format!(
            "wrong object passed to Scale update: {version}, Kind={kind}"
        )));
    }
    let replicas = match &scale["spec"]["replicas"] {
        Value::Null => 0,
        number => number.as_i64().ok_or_else(|| Status::bad_request("spec.replicas is no whole number"))?,
    };
    let mut changed = object.clone();
    for member in ["uid", "resourceVersion"] {
        let said = metadata::text(scale, member);
        if !said.is_empty() {
            metadata::set(&mut changed, member, said.into());
        }
    }
    put(&mut changed, &paths.spec_replicas, replicas.into());
    Ok(changed)
}

/// What is wrong with the numbers that the `Scale` of `object` shows, of which a write of the status changes one.
pub fn errors(resource: &Resource, object: &Value, part: Part) -> Vec<FieldError> {
    let Some(paths) = &resource.scale else { return Vec::new() };
    let spec = (part != Part::Status).then_some(&paths.spec_replicas);
    spec.into_iter().chain([&paths.status_replicas]).filter_map(|path| number_error(path, object)).collect()
}

fn number_error(path: &str, object: &Value) -> Option<FieldError> {
    let found = object.pointer(&pointer(path))?;
    let invalid = |number: i64, why: String| {
        Some(FieldError::new(FieldErrorKind::Invalid, path, Some(number.into()), why))
    };
    let Some(number) = found.as_i64() else {
        let (shown, kind) = (crate::go::printed(found), go_type(found));
        return invalid(0, format!("{path} accessor error: {shown} is of the type {kind}, expected int64"));
    };
    if number < 0 {
        return invalid(number, "should be a non-negative integer".to_owned());
    }
    let most = i32::MAX;
    if number > most.into() {
        return invalid(number, format!("should be less than or equal to {most}"));
    }
    None
}

/// The type that a value has in Go.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Sets the member at `path`, with the objects that it lies in.
fn put(object: &mut Value, path: &str, value: Value) {
    let mut at = object;
    for member in path.split('.').filter(|member| !member.is_empty()) {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[member];
    }
    *at = value;
}
