//! JSON schemas of the model, made strict and compiled. No schema refers to anything outside itself. Pure.

use fleetmesh_model::tag::Tag;
use fleetmesh_model::{Kind, Spec, Violation};
use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::bounds::Bounds;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema(Bounds);

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
        Bounds::compile(&schema).map(Self)
    }

    /// Everything in `json` that the schema forbids; paths begin with `root`.
    pub fn violations(&self, root: &str, json: &Value) -> Vec<Violation> {
        let mut found = Vec::new();
        self.0.check(root, json, &mut found);
        found
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
