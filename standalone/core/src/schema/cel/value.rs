//! JSON as rules see it, by its schema.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use kube_cel::cel::Value as Cel;
use kube_cel::cel::objects::{Key, Map};
use serde_json::{Number, Value};

use crate::schema::shape::{JsonType, Schema};

/// Names that rules cannot use for members as they are.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The schema of a whole object as its rules see it: of the metadata, only the names.
pub(super) fn with_metadata(schema: &Schema) -> Schema {
    let string = || Arc::new(Schema { json_type: Some(JsonType::String), ..Schema::default() });
    let names = BTreeMap::from([("name".to_owned(), string()), ("generateName".to_owned(), string())]);
    let metadata = Schema { json_type: Some(JsonType::Object), properties: names, ..Schema::default() };
    let mut root = schema.clone();
    root.properties.insert("apiVersion".to_owned(), string());
    root.properties.insert("kind".to_owned(), string());
    root.properties.insert("metadata".to_owned(), Arc::new(metadata));
    root
}

/// A value by its schema. Members that the schema does not declare are not there for rules.
pub(super) fn to_cel(value: &Value, schema: Option<&Schema>) -> Cel {
    let json_type = schema.and_then(|schema| schema.json_type);
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => to_number(number, json_type == Some(JsonType::Number)),
        Value::String(text) => to_text(text, schema.and_then(|schema| schema.format.as_deref())),
        Value::Array(items) => {
            let each = schema.and_then(|schema| schema.items.as_deref());
            Cel::List(Arc::new(items.iter().map(|item| to_cel(item, each)).collect()))
        }
        Value::Object(members) => {
            let mut map = HashMap::with_capacity(members.len());
            for (name, member) in members {
                if let Some((name, next)) = seen(name, schema) {
                    map.insert(Key::String(Arc::new(name)), to_cel(member, next));
                }
            }
            Cel::Map(Map { map: Arc::new(map) })
        }
    }
}

/// The name by which rules see a member, and its schema.
fn seen<'s>(name: &str, schema: Option<&'s Schema>) -> Option<(String, Option<&'s Schema>)> {
    let Some(schema) = schema else { return Some((name.to_owned(), None)) };
    if let Some(property) = schema.properties.get(name) {
        return Some((escaped(name)?, Some(property)));
    }
    schema.additional.schema().map(|each| (name.to_owned(), Some(each)))
}

fn to_number(number: &Number, float: bool) -> Cel {
    match (number.as_i64(), number.as_u64()) {
        _ if float => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        (Some(whole), _) => Cel::Int(whole),
        (None, Some(large)) => Cel::UInt(large),
        (None, None) => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
    }
}

fn to_text(text: &str, format: Option<&str>) -> Cel {
    let plain = || Cel::String(Arc::new(text.to_owned()));
    match format {
        Some("date-time") => {
            chrono::DateTime::parse_from_rfc3339(text).map_or_else(|_| plain(), Cel::Timestamp)
        }
        Some("byte") => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_or_else(|_| plain(), |bytes| Cel::Bytes(Arc::new(bytes))),
        _ => plain(),
    }
}

/// The name of a member in an expression; none for names that no expression can use.
fn escaped(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let first = name.chars().next()?;
    let usable = |character: char| character.is_ascii_alphanumeric() || "_.-/".contains(character);
    if first.is_ascii_digit() || !name.chars().all(usable) {
        return None;
    }
    let escaped = name.replace("__", "__underscores__");
    Some(escaped.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_names_as_the_api_server() {
        for (name, expected) in [
            ("meshName", Some("meshName")),
            ("my_field", Some("my_field")),
            ("namespace", Some("__namespace__")),
            ("a.b-c/d", Some("a__dot__b__dash__c__slash__d")),
            ("a__b", Some("a__underscores__b")),
            ("1a", None),
            ("a b", None),
        ] {
            assert_eq!(escaped(name).as_deref(), expected);
        }
    }
}
