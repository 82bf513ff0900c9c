//! The part of JSON Schema that the model's schemas use, compiled and checked. Pure.
//!
//! A general engine would bring regular expressions, numbers and formats that no schema of the model has, and compiles
//! longer than the rest of the API. A keyword that is not known here is an error of [`Bounds::compile`], so that no
//! bound of the model is passed over.

use std::collections::BTreeMap;

use fleetmesh_model::Violation;
use fleetmesh_model::schema::EXACTLY_ONE_OF;
use regex_lite::Regex;
use serde_json::{Map, Number, Value};

use super::violation;

/// Keywords that describe and demand nothing.
const ANNOTATIONS: &[&str] = &["$schema", "default", "description", "format", "title"];

/// A compiled schema: what a value has to be. What is absent demands nothing.
#[derive(Debug, Default)]
pub struct Bounds {
    of_type: Option<String>,
    one_of: Option<Vec<Value>>,
    minimum: Option<Number>,
    maximum: Option<Number>,
    length: Range,
    pattern: Option<Regex>,
    items: Option<Box<Bounds>>,
    count: Range,
    properties: BTreeMap<String, Bounds>,
    required: Vec<String>,
    exactly_one_of: Option<Vec<String>>,
    closed: bool,
}

/// How many characters or items there may be, both included.
#[derive(Debug, Default)]
struct Range {
    minimum: Option<u64>,
    maximum: Option<u64>,
}

impl Bounds {
    /// Compiles `schema`.
    ///
    /// # Errors
    /// The schema is no object, or has a keyword that is not known here or is malformed; the message names it.
    pub fn compile(schema: &Value) -> Result<Self, String> {
        let members = schema.as_object().ok_or_else(|| format!("{schema} is no schema"))?;
        let mut bounds = Self::default();
        for (keyword, value) in members {
            bounds.add(keyword, value).map_err(|error| format!("{keyword}: {error}"))?;
        }
        Ok(bounds)
    }

    fn add(&mut self, keyword: &str, value: &Value) -> Result<(), String> {
        match keyword {
            "type" => self.of_type = Some(read(value)?),
            "enum" => self.one_of = Some(read(value)?),
            "minimum" => self.minimum = Some(read(value)?),
            "maximum" => self.maximum = Some(read(value)?),
            "minLength" => self.length.minimum = Some(read(value)?),
            "maxLength" => self.length.maximum = Some(read(value)?),
            "minItems" => self.count.minimum = Some(read(value)?),
            "maxItems" => self.count.maximum = Some(read(value)?),
            "pattern" => {
                let pattern: String = read(value)?;
                self.pattern = Some(Regex::new(&pattern).map_err(|error| error.to_string())?);
            }
            "items" => self.items = Some(Box::new(Self::compile(value)?)),
            "properties" => {
                let properties: Map<String, Value> = read(value)?;
                for (name, schema) in &properties {
                    let bounds = Self::compile(schema).map_err(|error| format!("{name}: {error}"))?;
                    self.properties.insert(name.clone(), bounds);
                }
            }
            "required" => self.required = read(value)?,
            "additionalProperties" => self.closed = !read::<bool>(value)?,
            EXACTLY_ONE_OF => self.exactly_one_of = Some(read(value)?),
            _ if ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-kubernetes-") => {}
            _ => return Err("no such keyword is known here".to_owned()),
        }
        Ok(())
    }

    /// Records in `found` everything in `json`, which stands at `path`, that is out of bounds.
    pub fn check(&self, path: &str, json: &Value, found: &mut Vec<Violation>) {
        let mut add = |message: String| found.push(Violation::new(path, message));
        if let Some(of_type) = self.of_type.as_ref().filter(|of_type| !is(json, of_type)) {
            add(format!("{} is not of type {of_type:?}", violation::quoted(json)));
        }
        if let Some(options) = self.one_of.as_ref().filter(|options| !options.contains(json)) {
            let options: Vec<String> = options.iter().map(ToString::to_string).collect();
            add(format!("{} is not one of {}", violation::quoted(json), options.join(", ")));
        }
        match json {
            Value::Number(number) => self.check_number(number).for_each(add),
            Value::String(text) => self.check_text(text, json).for_each(add),
            Value::Array(items) => {
                self.count.check(items.len(), json, "item", ["has less than", "has more than"]).for_each(add);
                for (index, item) in items.iter().enumerate() {
                    if let Some(bounds) = &self.items {
                        bounds.check(&format!("{path}[{index}]"), item, found);
                    }
                }
            }
            Value::Object(members) => self.check_members(path, members, found),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn check_number(&self, number: &Number) -> impl Iterator<Item = String> {
        let below = self.minimum.as_ref().filter(|minimum| less(number, minimum));
        let above = self.maximum.as_ref().filter(|maximum| less(maximum, number));
        let below = below.map(|minimum| format!("{number} is less than the minimum of {minimum}"));
        below
            .into_iter()
            .chain(above.map(|maximum| format!("{number} is greater than the maximum of {maximum}")))
    }

    fn check_text(&self, text: &str, json: &Value) -> impl Iterator<Item = String> {
        let pattern = self.pattern.as_ref().filter(|pattern| !pattern.is_match(text));
        let unlike =
            pattern.map(|pattern| format!("{} does not match \"{pattern}\"", violation::quoted(json)));
        let words = ["is shorter than", "is longer than"];
        self.length.check(text.chars().count(), json, "character", words).chain(unlike)
    }

    fn check_members(&self, path: &str, members: &Map<String, Value>, found: &mut Vec<Violation>) {
        let missing = self.required.iter().filter(|name| !members.contains_key(*name));
        found.extend(missing.map(|name| Violation::new(format!("{path}.{name}"), "is required")));
        if let Some(message) = self.exactly_one_of.as_ref().and_then(|names| exactly_one(names, members)) {
            found.push(Violation::new(path, message));
        }
        for (name, value) in members {
            let path = format!("{path}.{name}");
            match self.properties.get(name) {
                Some(bounds) => bounds.check(&path, value, found),
                None if self.closed => {
                    found.push(Violation::new(path, "there is no such member; check its name"));
                }
                None => {}
            }
        }
    }
}

impl Range {
    /// What is wrong with `count` things of the name `unit` in `json`, in the words for too few and too many.
    fn check(
        &self,
        count: usize,
        json: &Value,
        unit: &str,
        words: [&str; 2],
    ) -> impl Iterator<Item = String> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let broken = [
            self.minimum.filter(|minimum| count < *minimum),
            self.maximum.filter(|maximum| *maximum < count),
        ];
        broken.into_iter().zip(words).filter_map(move |(bound, words)| {
            let bound = bound?;
            let plural = if bound == 1 { "" } else { "s" };
            Some(format!("{} {words} {bound} {unit}{plural}", violation::quoted(json)))
        })
    }
}

/// Whether `json` is of a type as JSON Schema calls it. A whole number with a point was made an integer before.
fn is(json: &Value, of_type: &str) -> bool {
    match json {
        Value::Null => of_type == "null",
        Value::Bool(_) => of_type == "boolean",
        Value::Number(number) => of_type == "number" || (of_type == "integer" && !number.is_f64()),
        Value::String(_) => of_type == "string",
        Value::Array(_) => of_type == "array",
        Value::Object(_) => of_type == "object",
    }
}

/// Whether one number is less than another; exact for integers.
fn less(one: &Number, other: &Number) -> bool {
    match (one.as_i128(), other.as_i128()) {
        (Some(one), Some(other)) => one < other,
        _ => one.as_f64() < other.as_f64(),
    }
}

/// Why `members` are not those of a union of `names`, if so.
fn exactly_one(names: &[String], members: &Map<String, Value>) -> Option<String> {
    let set: Vec<&str> =
        members.keys().map(String::as_str).filter(|name| names.iter().any(|of| of == name)).collect();
    let found = match set.as_slice() {
        [_] => return None,
        [] => "none of them".to_owned(),
        some => some.join(" and "),
    };
    let demand = match names {
        [only] => format!("{only} must be set"),
        names => format!("exactly one of {} must be set", names.join(", ")),
    };
    Some(format!("{demand} (found {found})"))
}

/// The value of a keyword.
fn read<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_keyword_that_is_not_known_does_not_compile() {
        for (schema, named) in [
            (json!({"multipleOf": 2}), "multipleOf: no such keyword is known here"),
            (json!({"properties": {"a": {"oneOf": []}}}), "properties: a: oneOf: no such keyword"),
            (json!({"type": ["string", "null"]}), "type: invalid type"),
            (json!({"pattern": "("}), "pattern: "),
            (json!(true), "true is no schema"),
        ] {
            let error = Bounds::compile(&schema).expect_err("compiled");
            assert!(error.starts_with(named), "{error}");
        }
    }

    #[test]
    fn each_bound_includes_what_stands_on_it() {
        let cases = [
            (json!({"minimum": 1}), json!(1), json!(0), "0 is less than the minimum of 1"),
            (
                json!({"maximum": i64::MAX}),
                json!(i64::MAX),
                json!(u64::MAX),
                "is greater than the maximum of",
            ),
            (json!({"minimum": 1}), json!(1.5), json!(0.5), "0.5 is less than the minimum of 1"),
            (json!({"minLength": 1}), json!("é"), json!(""), "\"\" is shorter than 1 character"),
            (json!({"maxLength": 2}), json!("éé"), json!("ééé"), "\"ééé\" is longer than 2 characters"),
            (json!({"minItems": 1}), json!([1]), json!([]), "[] has less than 1 item"),
            (json!({"maxItems": 1}), json!([1]), json!([1, 2]), "[1,2] has more than 1 item"),
            (json!({"pattern": "^/"}), json!("/a"), json!("a/"), "\"a/\" does not match \"^/\""),
            (json!({"enum": ["a", "b"]}), json!("b"), json!("c"), "\"c\" is not one of \"a\", \"b\""),
            (json!({"type": "integer"}), json!(7), json!(7.5), "7.5 is not of type \"integer\""),
            (json!({"type": "boolean"}), json!(true), json!("true"), "\"true\" is not of type \"boolean\""),
        ];
        for (schema, within, beyond, message) in cases {
            let bounds = Bounds::compile(&schema).expect("compiles");
            let (mut good, mut bad) = (Vec::new(), Vec::new());
            bounds.check("it", &within, &mut good);
            bounds.check("it", &beyond, &mut bad);
            assert_eq!(good, Vec::new(), "{schema} {within}");
            let [bad] = bad.as_slice() else { panic!("{schema} {beyond}: {bad:?}") };
            assert!(bad.path == "it" && bad.message.contains(message), "{bad}");
        }
    }
}
