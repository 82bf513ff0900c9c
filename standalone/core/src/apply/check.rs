//! Whether an object is of its type, in the words of the API server.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::element::Element;
use super::item::element_of;
use super::types::{ListOf, MapType, ScalarType, Shape, Type};
use crate::go;
use crate::schema::ListType;

/// Checks an object. `may_repeat` allows lists with the same key twice: live objects may have come to have such.
///
/// # Errors
/// What is wrong, one line for each field.
pub(crate) fn check(value: &Value, types: Type<'_>, may_repeat: bool) -> Result<(), String> {
    let mut walk = Walk { path: String::new(), may_repeat, errors: Vec::new() };
    walk.node(value, types);
    match walk.errors.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        several => {
            let lines = several.iter().map(|error| format!("\n  {error}"));
            Err(std::iter::once("errors:".to_owned()).chain(lines).collect())
        }
    }
}

struct Walk {
    path: String,
    may_repeat: bool,
    errors: Vec<String>,
}

impl Walk {
    fn error(&mut self, message: &str) {
        let path = &self.path;
        self.errors.push(if path.is_empty() { message.to_owned() } else { format!("{path}: {message}") });
    }

    fn below(&mut self, element: &Element, visit: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        self.path.push_str(&element.to_string());
        visit(self);
        self.path.truncate(length);
    }

    fn node(&mut self, value: &Value, types: Type<'_>) {
        match (types.shape(Some(value)), value) {
            (None, _) => self.error("schema error: invalid atom: inlined"),
            (Some(Shape::Scalar(scalar)), _) => {
                if let Some(message) = wrong_scalar(value, scalar) {
                    self.error(&message);
                }
            }
            (Some(Shape::Map(_) | Shape::List(_)), Value::Null) => {}
            (Some(Shape::Map(map)), Value::Object(members)) => self.members(members, map),
            (Some(Shape::List(list)), Value::Array(items)) => self.items(items, list),
            (Some(Shape::Map(_)), _) => self.error(&format!("expected map, got &{{{}}}", go::printed(value))),
            (Some(Shape::List(_)), _) => {
                self.error(&format!("expected list, got &{{{}}}", go::printed(value)))
            }
        }
    }

    fn members(&mut self, members: &Map<String, Value>, map: MapType<'_>) {
        for (name, member) in members {
            let (_, types) = map.member(name);
            let unknown = matches!(types, Type::Unknown);
            self.below(&Element::field(name), |walk| {
                if unknown {
                    walk.error("field not declared in schema");
                } else {
                    walk.node(member, types);
                }
            });
            if unknown {
                return;
            }
        }
    }

    fn items(&mut self, items: &[Value], list: ListOf<'_>) {
        let mut seen = BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let element = if *list.kind == ListType::Atomic {
                Element::Index(i64::try_from(at).unwrap_or(i64::MAX))
            } else {
                match element_of(item, list) {
                    Ok(element) => element,
                    Err(problem) => return self.error(&format!("element {at}: {problem}")),
                }
            };
            if !seen.insert(element.clone()) && !self.may_repeat {
                self.error(&format!("duplicate entries for key {element}"));
            }
            self.below(&element, |walk| walk.node(item, list.item));
        }
    }
}

fn wrong_scalar(value: &Value, scalar: ScalarType) -> Option<String> {
    match (scalar, value) {
        (_, Value::Null)
        | (ScalarType::Numeric, Value::Number(_))
        | (ScalarType::Text, Value::String(_))
        | (ScalarType::Flag, Value::Bool(_))
        | (ScalarType::Any, Value::Number(_) | Value::String(_) | Value::Bool(_)) => None,
        (ScalarType::Numeric, _) => Some(format!("expected numeric (int or float), got {}", go_type(value))),
        (ScalarType::Text, _) => {
            Some(format!("expected string, got &value.valueUnstructured{{Value:{}}}", go::literal(value)))
        }
        (ScalarType::Flag, _) => Some(format!("expected boolean, got &{{{}}}", go::printed(value))),
        (ScalarType::Any, _) => Some(format!("expected any scalar, got &{{{}}}", go::printed(value))),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}
