//! Types, bounds, allowed values and required members.
//!
//! The order and the words are the API server's. Where an update leaves a value as it was, its errors are left out: the API
//! server calls that ratcheting.

use serde_json::{Map, Value};

use super::failure::{child, error, index, invalid};
use super::shape::{Additional, JsonType, Schema};
use super::{format, number, ratchet};
use crate::status::{FieldError, FieldErrorKind};

/// What of a new `value` breaks `schema`. `field` is the path of `value` in its object: empty for the object itself, `status`
/// for a status alone, of which the messages then name the path within it.
#[must_use]
pub fn validate(value: &Value, schema: &Schema, field: &str) -> Vec<FieldError> {
    check(value, None, schema, &Place { field: field.to_owned(), path: String::new() })
}

/// What of `value` breaks `schema` that did not break it in `old` already.
#[must_use]
pub fn validate_update(value: &Value, old: &Value, schema: &Schema, field: &str) -> Vec<FieldError> {
    check(value, Some(old), schema, &Place { field: field.to_owned(), path: String::new() })
}

/// Where a value is: in its object, and in the part of it that is validated.
struct Place {
    field: String,
    path: String,
}

impl Place {
    fn child(&self, name: &str) -> Self {
        Self { field: child(&self.field, name), path: child(&self.path, name) }
    }

    /// Members of maps have a path with a dot in front where the map is the object itself.
    fn map_key(&self, name: &str) -> Self {
        Self { field: child(&self.field, name), path: format!("{}.{name}", self.path) }
    }

    fn index(&self, at: usize) -> Self {
        Self { field: index(&self.field, at), path: index(&self.path, at) }
    }

    fn invalid(&self, value: Value, what: &str) -> FieldError {
        invalid(&self.field, value, format!("{} in body {what}", self.path))
    }
}

fn check(value: &Value, old: Option<&Value>, schema: &Schema, place: &Place) -> Vec<FieldError> {
    if old.is_some_and(|old| old == value) {
        return Vec::new();
    }
    let mut errors = Vec::new();
    errors.extend(wrong_type(value, schema, place));
    if !value.is_null() {
        combined(value, schema, place, &mut errors);
        match value {
            Value::String(text) => string(text, schema, place, &mut errors),
            Value::Number(number) => {
                errors.extend(number::errors(number, schema, &place.path, &place.field));
            }
            Value::Array(items) => list(items, old, schema, place, &mut errors),
            _ => {}
        }
    }
    errors.extend(not_allowed(value, schema, place));
    if let Value::Object(members) = value {
        object(members, old, schema, place, &mut errors);
    }
    errors
}

fn wrong_type(value: &Value, schema: &Schema, place: &Place) -> Option<FieldError> {
    let types = type_names(schema);
    let (found, found_format) = found_type(value);
    if types.is_empty() && schema.format.is_none() || value.is_null() && (schema.nullable || types.is_empty())
    {
        return None;
    }
    let (expected, found) = if value.is_null() {
        (types.join(","), found)
    } else {
        let fits = types.contains(&found)
            || found == "integer" && types.contains(&"number")
            || is_whole(value, &types);
        let numeric = types.contains(&"number") || types.contains(&"integer");
        let textual = value.is_string() || value.is_array();
        match &schema.format {
            Some(format) if !textual && !fits => (format.clone(), found_format),
            Some(_) if !numeric && textual => return None,
            _ if fits => return None,
            _ => (types.join(","), found),
        }
    };
    let detail = format!("{} in body must be of type {expected}: \"{found}\"", place.path);
    let value = Some(Value::String(found.to_owned()));
    Some(error(FieldErrorKind::TypeInvalid, &place.field, value, detail))
}

fn type_names(schema: &Schema) -> Vec<&'static str> {
    if schema.int_or_string {
        return vec!["integer", "string"];
    }
    schema.json_type.iter().map(|json_type| json_type.name()).collect()
}

/// The type of a value and its format, as schemas name them.
fn found_type(value: &Value) -> (&'static str, &'static str) {
    match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::Number(number) if number.is_i64() => ("integer", "int64"),
        Value::Number(_) => ("number", "float64"),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
    }
}

/// A float without a fraction is a whole number.
fn is_whole(value: &Value, types: &[&str]) -> bool {
    types.contains(&"integer") && value.as_f64().is_some_and(|float| float.fract() == 0.0)
}

fn string(text: &str, schema: &Schema, place: &Place, errors: &mut Vec<FieldError>) {
    let bounds = &schema.bounds;
    let length = text.chars().count();
    let value = || Value::String(text.to_owned());
    let too_long = bounds.max_length.filter(|most| length > *most);
    let too_short = bounds.min_length.filter(|least| length < *least);
    if let Some(most) = too_long {
        let unit = if most == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {most} {unit}");
        errors.push(error(FieldErrorKind::TooLong, &place.field, None, detail));
    } else if let Some(least) = too_short {
        errors.push(place.invalid(value(), &format!("should be at least {least} chars long")));
    } else if let Some(pattern) = bounds.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
        errors.push(place.invalid(value(), &format!("should match '{}'", pattern.source)));
    }
    if let Some(format) = schema.format.as_deref().filter(|format| !format::holds(format, text)) {
        let detail = format!("{} in body must be of type {format}: {}", place.path, crate::go::quote(text));
        errors.push(error(FieldErrorKind::TypeInvalid, &place.field, Some(value()), detail));
    }
}

fn list(items: &[Value], old: Option<&Value>, schema: &Schema, place: &Place, errors: &mut Vec<FieldError>) {
    if let Some(each) = schema.items.as_deref() {
        for (at, item) in items.iter().enumerate() {
            let old = ratchet::old_item(item, old, schema);
            errors.extend(check(item, old, each, &place.index(at)));
        }
    }
    let bounds = &schema.bounds;
    let count = items.len();
    if let Some(least) = bounds.min_items.filter(|least| count < *least) {
        errors.push(place.invalid(count.into(), &format!("should have at least {least} items")));
    }
    if let Some(most) = bounds.max_items.filter(|most| count > *most) {
        errors.push(too_many(count, most, place));
    }
    let repeated = || items.iter().enumerate().any(|(at, item)| items[..at].contains(item));
    if bounds.unique_items && repeated() {
        errors.push(place.invalid(Value::String(String::new()), "shouldn't contain duplicates"));
    }
}

fn too_many(count: usize, most: usize, place: &Place) -> FieldError {
    let unit = if most == 1 { "item" } else { "items" };
    let detail = format!("must have at most {most} {unit}");
    error(FieldErrorKind::TooMany, &place.field, Some(count.into()), detail)
}

fn not_allowed(value: &Value, schema: &Schema, place: &Place) -> Option<FieldError> {
    if schema.allowed.is_empty() || schema.allowed.iter().any(|allowed| same(allowed, value)) {
        return None;
    }
    let names: Vec<String> = schema
        .allowed
        .iter()
        .map(|allowed| allowed.as_str().map_or_else(|| crate::go::json(allowed), str::to_owned))
        .map(|name| crate::go::quote(&name))
        .collect();
    let detail = format!("supported values: {}", names.join(", "));
    Some(error(FieldErrorKind::NotSupported, &place.field, Some(value.clone()), detail))
}

fn same(left: &Value, right: &Value) -> bool {
    left == right || left.is_number() && right.is_number() && left.as_f64() == right.as_f64()
}

fn object(
    members: &Map<String, Value>,
    old: Option<&Value>,
    schema: &Schema,
    place: &Place,
    errors: &mut Vec<FieldError>,
) {
    let bounds = &schema.bounds;
    let count = members.len();
    if let Some(least) = bounds.min_properties.filter(|least| count < *least) {
        errors.push(place.invalid(count.into(), &format!("should have at least {least} properties")));
    }
    if let Some(most) = bounds.max_properties.filter(|most| count > *most) {
        errors.push(too_many(count, most, place));
    }
    let others = members.iter().filter(|(name, _)| !schema.properties.contains_key(*name));
    for (name, member) in others {
        match &schema.additional {
            Additional::Forbidden => {
                let detail = format!("{}.{name} in body is a forbidden property", place.path);
                errors.push(invalid(&place.field, Value::String(name.clone()), detail));
            }
            Additional::Each(each) => {
                errors.extend(check(member, old_member(old, name), each, &place.map_key(name)));
            }
            Additional::Any | Additional::Unsaid => {}
        }
    }
    for (name, property) in &schema.properties {
        let Some(member) = members.get(name) else { continue };
        errors.extend(check(member, old_member(old, name), property, &place.child(name)));
    }
    for name in schema.required.iter().filter(|name| !members.contains_key(*name)) {
        let field = child(&place.field, name);
        errors.push(error(FieldErrorKind::Required, &field, None, ""));
    }
}

fn old_member<'o>(old: Option<&'o Value>, name: &str) -> Option<&'o Value> {
    old.and_then(|old| old.get(name))
}

fn combined(value: &Value, schema: &Schema, place: &Place, errors: &mut Vec<FieldError>) {
    let whole = |what: String| invalid("", Value::String(String::new()), what);
    let name = crate::go::quote(&place.path);
    let results = |schemas: &[Schema]| -> Vec<Vec<FieldError>> {
        schemas.iter().map(|one| check(value, None, one, place)).collect()
    };
    let any = results(&schema.combined.any_of);
    if !any.is_empty() && any.iter().all(|errors| !errors.is_empty()) {
        errors.push(whole(format!("{name} must validate at least one schema (anyOf)")));
        errors.extend(any.into_iter().next().unwrap_or_default());
    }
    let one = results(&schema.combined.one_of);
    let valid = one.iter().filter(|errors| errors.is_empty()).count();
    if !one.is_empty() && valid != 1 {
        let found = if valid == 0 {
            "Found none valid".to_owned()
        } else {
            format!("Found {valid} valid alternatives")
        };
        errors.push(whole(format!("{name} must validate one and only one schema (oneOf). {found}")));
        if valid == 0 {
            errors.extend(one.into_iter().next().unwrap_or_default());
        }
    }
    let all = results(&schema.combined.all_of);
    if all.iter().any(|errors| !errors.is_empty()) {
        let none = if all.iter().all(|errors| !errors.is_empty()) { ". None validated" } else { "" };
        errors.extend(all.into_iter().flatten());
        errors.push(whole(format!("{name} must validate all the schemas (allOf){none}")));
    }
    if schema.combined.not.as_deref().is_some_and(|not| check(value, None, not, place).is_empty()) {
        errors.push(whole(format!("{name} must not validate the schema (not)")));
    }
}

impl JsonType {
    /// Whether `value` is of this type, with whole numbers being numbers.
    #[must_use]
    pub fn is_of(self, value: &Value) -> bool {
        let (found, _) = found_type(value);
        found == self.name() || found == "integer" && self == Self::Number
    }
}

#[cfg(test)]
mod tests;
