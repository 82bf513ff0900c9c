//! JSON schemas of the model, made strict and compiled. No schema refers to anything outside itself. Pure.

use fleetmesh_model::schema::EXACTLY_ONE_OF;
use fleetmesh_model::tag::Tag;
use fleetmesh_model::{Kind, Spec, Violation};
use jsonschema::{Keyword, ValidationError};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::violation;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema(jsonschema::Validator);

impl Schema {
    /// The schema of the spec of `kind`.
    pub fn of_spec(kind: Kind) -> Result<Self, String> {
        Self::compile(Spec::schema(kind, generator()).to_value())
    }

    /// The schema of `T`.
    pub fn of<T: JsonSchema>() -> Result<Self, String> {
        Self::compile(generate::<T>())
    }

    /// The schema of a list of tag keys: that of the key of a [`Tag`], at most 50 of them.
    pub fn of_tag_keys() -> Result<Self, String> {
        let key = generate::<Tag>()["properties"]["key"].take();
        Self::compile(json!({ "type": "array", "maxItems": 50, "items": key }))
    }

    fn compile(mut schema: Value) -> Result<Self, String> {
        tighten(&mut schema);
        let options = jsonschema::options().with_keyword(EXACTLY_ONE_OF, |_, value, _| {
            Ok(Box::new(ExactlyOneOf::new(value)?) as Box<dyn for<'i> Keyword<'i>>)
        });
        options.build(&schema).map(Self).map_err(|error| error.to_string())
    }

    /// Everything in `json` that the schema forbids; paths begin with `root`.
    pub fn violations(&self, root: &str, json: &Value) -> Vec<Violation> {
        self.0.iter_errors(json).flat_map(|error| violation::of_schema(root, &error)).collect()
    }
}

fn generate<T: JsonSchema>() -> Value {
    generator().into_root_schema_for::<T>().to_value()
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator()
}

/// Closes what serde would let pass or read differently: unknown members, null (which [`super::canonical`] removed)
/// and integers beyond their type.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(tighten),
        Value::Object(members) => {
            unwrap_nullable(members);
            let closed = members.contains_key("properties") && !members.contains_key("additionalProperties");
            if closed {
                members.insert("additionalProperties".into(), json!(false));
            }
            match members.get("format").and_then(Value::as_str) {
                Some("int32") => bound(members, i32::MIN.into(), i32::MAX.into()),
                Some("int64") => bound(members, i64::MIN, i64::MAX),
                _ => {}
            }
            members.values_mut().for_each(tighten);
        }
        _ => {}
    }
}

fn bound(members: &mut Map<String, Value>, minimum: i64, maximum: i64) {
    members.entry("minimum").or_insert(minimum.into());
    members.entry("maximum").or_insert(maximum.into());
}

/// `X or null` becomes `X`, so that a violation is X's own and not "under none of the schemas".
fn unwrap_nullable(members: &mut Map<String, Value>) {
    let null = json!("null");
    if let Some(Value::Array(variants)) = members.get_mut("anyOf") {
        variants.retain(|variant| variant.get("type") != Some(&null));
        if let [Value::Object(only)] = variants.as_mut_slice() {
            let only = std::mem::take(only);
            members.remove("anyOf");
            members.extend(only);
        }
    }
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|kind| *kind != null);
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(values)) = members.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// The keyword by which a union demands exactly one of its members.
struct ExactlyOneOf(Vec<String>);

impl ExactlyOneOf {
    fn new(value: &Value) -> Result<Self, ValidationError<'static>> {
        let names = serde_json::from_value(value.clone());
        names.map(Self).map_err(|_| ValidationError::schema("a list of member names is expected"))
    }

    /// The members that are set; nothing for what is no object, which `type` reports.
    fn set<'a>(&self, instance: &'a Value) -> Option<Vec<&'a str>> {
        let members = instance.as_object()?;
        Some(members.keys().map(String::as_str).filter(|name| self.0.iter().any(|of| of == name)).collect())
    }
}

impl<'i> Keyword<'i> for ExactlyOneOf {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        let Some(set) = self.set(instance) else { return Ok(()) };
        let found = match set.as_slice() {
            [_] => return Ok(()),
            [] => "none of them".to_owned(),
            some => some.join(" and "),
        };
        let demand = match self.0.as_slice() {
            [only] => format!("{only} must be set"),
            names => format!("exactly one of {} must be set", names.join(", ")),
        };
        Err(ValidationError::custom(format!("{demand} (found {found})")))
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        self.set(instance).is_none_or(|set| set.len() == 1)
    }
}
