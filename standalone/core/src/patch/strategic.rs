//! Strategic merge patch: lists are merged by item where the kind's type says so, and directives say what else happens.

use serde_json::{Map, Value};

use super::PatchError;
use super::order::{in_order, is_present};
use crate::go;
use crate::schema::{PatchStrategy, Schema};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

/// Applies a strategic merge patch to an object of a built-in kind, whose schema says how its lists merge.
///
/// # Errors
/// `BadRequest` for a patch that is no object or whose directives are not written as such, `Internal` for what does not fit the
/// kind, as the API server answers it.
pub fn strategic_merge_patch(object: &Value, patch: &Value, schema: &Schema) -> Result<Value, PatchError> {
    let (Value::Object(members), Value::Object(patch)) = (object, patch) else {
        return Err(PatchError::BadRequest(format!(
            "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
            crate::go::kind(patch)
        )));
    };
    merge_members(members.clone(), patch.clone(), Some(schema)).map(Value::Object)
}

type Members = Map<String, Value>;

fn merge_members(
    mut original: Members,
    mut patch: Members,
    schema: Option<&Schema>,
) -> Result<Members, PatchError> {
    match patch.get(DIRECTIVE).map(Value::as_str) {
        None => {}
        Some(Some("replace")) => {
            patch.remove(DIRECTIVE);
            return Ok(patch);
        }
        Some(Some("delete")) => return Ok(Members::new()),
        Some(_) => return Err(bad_directive(&patch)),
    }
    retain_keys(&mut original, &mut patch)?;
    set_orders(&mut original, &mut patch, schema)?;
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(DELETE_FROM) {
            delete_from(&mut original, list, &value)?;
        } else if value.is_null() {
            original.remove(&name);
        } else {
            let old = original.remove(&name);
            if let Some(merged) = merge_value(old, value, &name, schema)? {
                original.insert(name, merged);
            }
        }
    }
    Ok(original)
}

/// What becomes of one member; none when it goes.
fn merge_value(
    old: Option<Value>,
    patch: Value,
    name: &str,
    schema: Option<&Schema>,
) -> Result<Option<Value>, PatchError> {
    match (old, patch) {
        (Some(Value::Object(old)), Value::Object(patch)) => {
            let next = declared(schema, name)?;
            if next.is_some_and(|schema| schema.patch.replace) {
                return Ok(Some(Value::Object(patch)));
            }
            merge_members(old, patch, next).map(Value::Object).map(Some)
        }
        (Some(Value::Array(old)), Value::Array(patch)) => {
            let next = declared(schema, name)?;
            match next.filter(|schema| schema.patch.merge) {
                Some(list) => merge_items(old, patch, list).map(Value::Array).map(Some),
                None => Ok(Some(Value::Array(patch))),
            }
        }
        (_, patch) => Ok(without_directives(without_nulls(patch))),
    }
}

/// The schema of a member; none below values of any type.
fn declared<'s>(schema: Option<&'s Schema>, name: &str) -> Result<Option<&'s Schema>, PatchError> {
    let Some(schema) = schema.filter(|schema| !schema.properties.is_empty()) else {
        return Ok(schema.and_then(|schema| schema.additional.schema()));
    };
    let found = schema.member(name);
    found.map(Some).ok_or_else(|| {
        PatchError::Internal(format!("unable to find api field in struct for the json field {name:?}"))
    })
}

fn merge_items(old: Vec<Value>, patch: Vec<Value>, list: &Schema) -> Result<Vec<Value>, PatchError> {
    if old.is_empty() && patch.is_empty() {
        return Ok(old);
    }
    let Some(key) = merge_key(&old, &patch, &list.patch)? else {
        let mut merged = old.clone();
        for value in &patch {
            if !merged.contains(value) {
                merged.push(value.clone());
            }
        }
        return Ok(in_order(merged, &patch, &old, None));
    };
    let (mut merged, rest) = special_items(old.clone(), patch.clone(), key)?;
    for item in rest {
        let of_item = key_of(&item, key)?.clone();
        let place = merged.iter().position(|candidate| candidate.get(key) == Some(&of_item));
        match place {
            Some(at) => {
                let (Value::Object(old), Value::Object(patch)) = (merged[at].clone(), item) else { continue };
                merged[at] = Value::Object(merge_members(old, patch, list.items.as_deref())?);
            }
            None => merged.push(item),
        }
    }
    for item in &merged {
        key_of(item, key)?;
    }
    Ok(in_order(merged, &patch, &old, Some(key)))
}

/// The key of a list's items; none for scalars.
fn merge_key<'s>(
    old: &[Value],
    patch: &[Value],
    strategy: &'s PatchStrategy,
) -> Result<Option<&'s str>, PatchError> {
    let objects = old.iter().chain(patch).filter(|item| item.is_object()).count();
    if old.iter().chain(patch).any(Value::is_array) {
        return Err(PatchError::Unprocessable("lists of lists are not supported".to_owned()));
    }
    if objects == 0 {
        return Ok(None);
    }
    if objects < old.len() + patch.len() {
        return Err(PatchError::Internal("list element types are not identical".to_owned()));
    }
    let key = strategy.merge_key.as_deref();
    key.map(Some).ok_or_else(|| PatchError::Internal("cannot merge lists without merge key".to_owned()))
}

/// Carries out the directives among the items of a patch; returns the items that stay and those that are merged.
fn special_items(
    mut old: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut rest = Vec::with_capacity(patch.len());
    let mut replace = false;
    for item in patch {
        let Some(directive) = item.get(DIRECTIVE) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let deleted = key_of(&item, key)?;
                old.retain(|candidate| candidate.get(key) != Some(deleted));
            }
            Some("replace") => replace = true,
            Some("merge") => {
                let problem = "merging lists cannot yet be specified in the patch";
                return Err(PatchError::Internal(problem.to_owned()));
            }
            _ => return Err(bad_directive(item.as_object().unwrap_or(&Members::new()))),
        }
    }
    Ok(if replace { (rest, Vec::new()) } else { (old, rest) })
}

fn key_of<'v>(item: &'v Value, key: &str) -> Result<&'v Value, PatchError> {
    item.get(key).ok_or_else(|| {
        PatchError::Internal(format!("map: {} does not contain declared merge key: {key}", go::printed(item)))
    })
}

/// `$retainKeys`: members that the list does not have go.
fn retain_keys(original: &mut Members, patch: &mut Members) -> Result<(), PatchError> {
    let wrong = || PatchError::BadRequest("invalid patch format of retainKeys".to_owned());
    let Some(retained) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let retained = retained.as_array().ok_or_else(wrong)?;
    let has = |name: &str| retained.iter().any(|one| one.as_str() == Some(name));
    let is_directive = |name: &str| name.starts_with(DELETE_FROM) || name.starts_with(SET_ORDER);
    if patch.iter().any(|(name, value)| !value.is_null() && !is_directive(name) && !has(name)) {
        return Err(wrong());
    }
    original.retain(|name, _| has(name));
    Ok(())
}

/// `$deleteFromPrimitiveList/NAME`: the list without these scalars.
fn delete_from(original: &mut Members, list: &str, values: &Value) -> Result<(), PatchError> {
    let wrong = || PatchError::BadRequest("invalid patch format of primitive list".to_owned());
    let values = values.as_array().ok_or_else(wrong)?;
    if let Some(Value::Array(items)) = original.get_mut(list) {
        items.retain(|item| !values.contains(item));
    }
    Ok(())
}

/// `$setElementOrder/NAME`: the list, merged, in the order that the patch says.
fn set_orders(
    original: &mut Members,
    patch: &mut Members,
    schema: Option<&Schema>,
) -> Result<(), PatchError> {
    let wrong = || PatchError::BadRequest("invalid patch format of setElementOrder list".to_owned());
    let names: Vec<String> = patch.keys().filter(|name| name.starts_with(SET_ORDER)).cloned().collect();
    for directive in names {
        let Some(Value::Array(order)) = patch.remove(&directive) else { return Err(wrong()) };
        let name = directive.strip_prefix(SET_ORDER).unwrap_or_default();
        let list = |members: &mut Members| match members.remove(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(wrong()),
        };
        let (old, new) = (list(original)?, list(patch)?);
        let Some(types) = declared(schema, name)? else { continue };
        let key = types.patch.merge_key.as_deref();
        check_order(new.as_deref().unwrap_or_default(), &order, key)?;
        let merged = match (old.clone(), new) {
            (None, None) => continue,
            (Some(old), None) => old,
            (None, Some(new)) => match without_directives(Value::Array(new)) {
                Some(Value::Array(items)) => items,
                _ => continue,
            },
            (Some(old), Some(new)) if types.patch.merge => merge_items(old, new, types)?,
            (Some(_), Some(new)) => new,
        };
        let ordered = in_order(merged, &order, &old.unwrap_or_default(), key);
        original.insert(name.to_owned(), Value::Array(ordered));
    }
    Ok(())
}

/// The items of a patch are in its own order.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    if order.is_empty() {
        return Ok(());
    }
    let plain: Vec<&Value> = patch.iter().filter(|item| item.get(DIRECTIVE).is_none()).collect();
    let mut rest = plain.iter().peekable();
    for place in order {
        rest.next_if(|item| is_present(item, std::slice::from_ref(place), key));
    }
    if rest.peek().is_some() {
        let problem = "The order in patch list doesn't match $setElementOrder list";
        return Err(PatchError::Internal(problem.to_owned()));
    }
    Ok(())
}

fn bad_directive(patch: &Members) -> PatchError {
    let directive = patch.get(DIRECTIVE).map(go::printed).unwrap_or_default();
    let patch = go::printed(&Value::Object(patch.clone()));
    PatchError::Internal(format!("unknown patch type: {directive} in map: {patch}"))
}

/// The value without members that are null, anywhere in it.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, member)| !member.is_null());
            Value::Object(kept.map(|(name, member)| (name, without_nulls(member))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// The value without objects that have a directive.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(members) if members.contains_key(DIRECTIVE) => None,
        Value::Object(members) => {
            let kept =
                members.into_iter().filter_map(|(name, member)| Some((name, without_directives(member)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}
