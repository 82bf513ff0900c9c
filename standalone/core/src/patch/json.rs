//! JSON patch.

use serde_json::{Map, Value};

use super::PatchError;

/// Operations that one patch has at most.
pub const MAX_OPERATIONS: usize = 10_000;

/// Bytes of JSON that the copies of one patch add at most: a copy of copies doubles with each operation.
pub const MAX_COPIED: usize = 3 * 1024 * 1024;

/// Levels that an object has at most after a patch, as it has in a body.
const MAX_DEPTH: usize = 128;

/// Applies a JSON patch.
///
/// # Errors
/// `BadRequest` for what is no patch, `TooManyOperations`, and `Unprocessable` for an operation that does not apply.
pub fn json_patch(object: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = patch.as_array().ok_or_else(|| undecodable(patch))?;
    let operations: Vec<&Map<String, Value>> = operations
        .iter()
        .map(|operation| operation.as_object().ok_or_else(|| undecodable_operation(operation)))
        .collect::<Result<_, _>>()?;
    if operations.len() > MAX_OPERATIONS {
        return Err(PatchError::TooManyOperations(operations.len()));
    }
    let mut document = object.clone();
    let mut copied = 0;
    for operation in operations {
        apply(&mut document, operation, &mut copied).map_err(PatchError::Unprocessable)?;
    }
    Ok(document)
}

/// The members of operations that JSON patch does not know, in the words of strict validation.
#[must_use]
pub fn unknown_members(patch: &Value) -> Vec<String> {
    let known = |name: &str| ["op", "path", "from", "value"].contains(&name);
    let mut unknown = Vec::new();
    for (at, operation) in patch.as_array().into_iter().flatten().enumerate() {
        let names = operation.as_object().into_iter().flatten().map(|(name, _)| name);
        let of_operation = names.filter(|name| !known(name));
        unknown.extend(of_operation.map(|name| format!("json patch unknown field \"[{at}].{name}\"")));
    }
    unknown
}

fn undecodable(patch: &Value) -> PatchError {
    PatchError::BadRequest(format!(
        "error decoding patch: json: cannot unmarshal {} into Go value of type []handlers.jsonPatchOp",
        crate::go::kind(patch)
    ))
}

fn undecodable_operation(operation: &Value) -> PatchError {
    PatchError::BadRequest(format!(
        "error decoding patch: json: cannot unmarshal {} into Go value of type handlers.jsonPatchOp",
        crate::go::kind(operation)
    ))
}

fn apply(document: &mut Value, operation: &Map<String, Value>, copied: &mut usize) -> Result<(), String> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let path = || text("path").ok_or("operation missing path field: missing value".to_owned());
    let from = || text("from").ok_or("operation, missing from field: missing value".to_owned());
    let value = || operation.get("value").cloned().unwrap_or_default();
    match text("op").unwrap_or("unknown") {
        "add" => add(document, path()?, value(), "add"),
        "remove" => remove(document, path()?, "remove").map(|_| ()),
        "replace" => replace(document, path()?, value()),
        "move" => {
            let moved = remove(document, from()?, "move")?;
            add(document, path()?, moved, "move")
        }
        "copy" => {
            let copy = get(document, from()?, "copy")?.cloned().unwrap_or_default();
            *copied = copied.saturating_add(copy.to_string().len());
            if *copied > MAX_COPIED {
                return Err(format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit \
                     {MAX_COPIED}"
                ));
            }
            add(document, path()?, copy, "copy")
        }
        "test" => test(document, path()?, operation.get("value")),
        other => Err(format!("Unexpected kind: {other}")),
    }
}

fn add(document: &mut Value, path: &str, value: Value, name: &str) -> Result<(), String> {
    check_depth(name, path, &value)?;
    let (parent, key) = parent_of(document, path).ok_or_else(|| no_path(name, path))?;
    match parent {
        Value::Object(members) => {
            members.insert(key, value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let at = index(&key, items.len() + 1).map_err(|problem| in_path(name, path, &problem))?;
            items.insert(at, value);
        }
        _ => return Err(no_path(name, path)),
    }
    Ok(())
}

/// What is deeper cannot be read again.
fn check_depth(name: &str, path: &str, value: &Value) -> Result<(), String> {
    if path.split('/').count() + depth(value) <= MAX_DEPTH {
        return Ok(());
    }
    Err(in_path(name, path, &format!("the result has more than {MAX_DEPTH} levels")))
}

/// The levels of a value, of which a scalar has one.
fn depth(value: &Value) -> usize {
    let below = match value {
        Value::Object(members) => members.values().map(depth).max(),
        Value::Array(items) => items.iter().map(depth).max(),
        _ => None,
    };
    below.unwrap_or_default() + 1
}

fn remove(document: &mut Value, path: &str, name: &str) -> Result<Value, String> {
    let (parent, key) = parent_of(document, path).ok_or_else(|| no_path(name, path))?;
    let removed = match parent {
        Value::Object(members) => members
            .remove(&key)
            .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value")),
        Value::Array(items) => index(&key, items.len()).map(|at| items.remove(at)),
        _ => return Err(no_path(name, path)),
    };
    removed.map_err(|problem| in_path(name, path, &problem))
}

/// Replaces a value. As with the API server, a member of an object need not be there.
fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("replace operation value must be object or array".to_owned());
        }
        *document = value;
        return Ok(());
    }
    check_depth("replace", path, &value)?;
    let (parent, key) = parent_of(document, path).ok_or_else(|| no_path("replace", path))?;
    match parent {
        Value::Object(members) => {
            members.insert(key, value);
        }
        Value::Array(items) => {
            let at = index(&key, items.len()).map_err(|_| {
                format!("replace operation does not apply: doc is missing key: {path}: missing value")
            })?;
            if let Some(item) = items.get_mut(at) {
                *item = value;
            }
        }
        _ => return Err(no_path("replace", path)),
    }
    Ok(())
}

/// Compares a value; an absent one is null.
fn test(document: &mut Value, path: &str, expected: Option<&Value>) -> Result<(), String> {
    let found = if path.is_empty() { Some(&*document) } else { get(document, path, "test")? };
    let null = &Value::Null;
    if found.unwrap_or(null) == expected.unwrap_or(null) {
        return Ok(());
    }
    Err(format!("testing value {path} failed: test failed"))
}

fn get<'d>(document: &'d mut Value, path: &str, name: &str) -> Result<Option<&'d Value>, String> {
    let (parent, key) = parent_of(document, path).ok_or_else(|| no_path(name, path))?;
    match parent {
        Value::Object(members) => Ok(members.get(&key)),
        Value::Array(items) => {
            let at = index(&key, items.len()).map_err(|problem| in_path(name, path, &problem))?;
            Ok(items.get(at))
        }
        _ => Err(no_path(name, path)),
    }
}

fn no_path(name: &str, path: &str) -> String {
    format!("{name} operation does not apply: doc is missing path: \"{path}\": missing value")
}

fn in_path(name: &str, path: &str, problem: &str) -> String {
    format!("error in {name} for path: '{path}': {problem}")
}

/// The object or list that a path ends in, and the last step.
fn parent_of<'d>(document: &'d mut Value, path: &str) -> Option<(&'d mut Value, String)> {
    let (above, last) = path.rsplit_once('/')?;
    let mut parent = document;
    for step in above.split('/').skip(1) {
        let step = unescaped(step);
        parent = match parent {
            Value::Object(members) => members.get_mut(&step)?,
            Value::Array(items) => {
                let at = index(&step, items.len()).ok()?;
                items.get_mut(at)?
            }
            _ => return None,
        };
    }
    Some((parent, unescaped(last)))
}

pub(super) fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// The place that a step names in a list with `length` places; negative ones count from the end.
fn index(step: &str, length: usize) -> Result<usize, String> {
    let at: i64 = step
        .parse()
        .map_err(|_| format!("strconv.Atoi: parsing {}: invalid syntax", crate::go::quote(step)))?;
    let invalid = || format!("Unable to access invalid index: {at}: invalid index referenced");
    let place = if at < 0 {
        length.checked_sub(at.unsigned_abs().try_into().unwrap_or(usize::MAX))
    } else {
        usize::try_from(at).ok()
    };
    place.filter(|place| *place < length).ok_or_else(invalid)
}
