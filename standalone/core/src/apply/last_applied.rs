//! The annotation of `kubectl apply` without `--server-side`, whose owner may go over to server-side apply without conflicts.

use serde_json::{Map, Value};

use super::compare::compare;
use super::fields::fields_of;
use super::set::FieldSet;
use super::types::Type;
use crate::go;

/// The field manager of `kubectl apply --server-side`.
pub(crate) const MANAGER: &str = "kubectl";

const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The size of all annotations of an object, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// The fields that the annotation has with the values of the live object: taking those over is no conflict.
pub(crate) fn allowed(live: &Value, types: Type<'_>, api_version: &str) -> FieldSet {
    let of_annotation = || {
        let text = annotations(live)?.get(ANNOTATION)?.as_str()?;
        let last: Value = serde_json::from_str(text).ok()?;
        (last.get("apiVersion")?.as_str()? == api_version).then_some(last)
    };
    let Some(last) = of_annotation() else { return FieldSet::default() };
    let Ok(comparison) = compare(&last, live, types) else { return FieldSet::default() };
    fields_of(&last, types).difference(&comparison.changed()).difference(&comparison.removed)
}

/// Writes the annotation anew where an object has it, so that `kubectl apply` without `--server-side` can go on from there.
pub(crate) fn refresh(object: &mut Value, config: &Value) {
    let has_annotation = annotations(object)
        .and_then(|annotations| annotations.get(ANNOTATION))
        .and_then(Value::as_str)
        .is_some_and(|text| !text.is_empty());
    if !has_annotation {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = annotations_mut(&mut config) {
        annotations.remove(ANNOTATION);
        if annotations.is_empty()
            && let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.remove("annotations");
        }
    }
    let Some(annotations) = annotations_mut(object) else { return };
    annotations.insert(ANNOTATION.to_owned(), format!("{}\n", go::json(&config)).into());
    let size: usize =
        annotations.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
    if size > MAX_ANNOTATIONS {
        annotations.remove(ANNOTATION);
    }
}

fn annotations(object: &Value) -> Option<&Map<String, Value>> {
    object.pointer("/metadata/annotations")?.as_object()
}

fn annotations_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.pointer_mut("/metadata/annotations")?.as_object_mut()
}
