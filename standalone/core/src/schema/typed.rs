//! Objects whose type the API server has compiled in: what its decoder keeps of the metadata of all objects and of built-in
//! kinds.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::shape::{Additional, JsonType, Schema};
use super::{child, index};

/// Base64 as Go reads it.
const GO_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// A member that the decoder cannot read; the API server answers it with 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypeMismatch {
    /// A member has another JSON type.
    #[error("json: cannot unmarshal {found} into Go struct field {root}.{path} of type {expected}")]
    Member {
        /// The type of the value.
        found: &'static str,
        /// The type that the member is of, for example `ObjectMeta`.
        root: String,
        /// The member, without places in lists and maps.
        path: String,
        /// The type that the member has in Go.
        expected: String,
    },
    /// All of it has another JSON type.
    #[error("json: cannot unmarshal {found} into Go value of type v1.{root}")]
    Whole {
        /// The type of the value.
        found: &'static str,
        /// The type that is decoded.
        root: String,
    },
    /// Bytes are not written in base64.
    #[error("illegal base64 data at input byte {0}")]
    Base64(usize),
}

/// Decodes `value` as the type that `schema` describes: members that it does not know are removed and returned with their paths
/// below `prefix`, nulls and zero values are left out.
pub(super) fn coerce(
    value: &mut Value,
    schema: &Schema,
    root: &str,
    prefix: &str,
) -> Result<Vec<String>, TypeMismatch> {
    let mut decoder = Decoder { root, owner: root.to_owned(), unknown: Vec::new() };
    decoder.node(value, schema, prefix, "")?;
    decoder.unknown.sort_unstable();
    Ok(decoder.unknown)
}

struct Decoder<'r> {
    root: &'r str,
    /// The type that the member is of.
    owner: String,
    unknown: Vec<String>,
}

/// The types of members that are objects of their own, or lists of such; `{}` is the kind.
const TYPES: [(&str, &str); 13] = [
    ("conditions", "{}Condition"),
    ("deprecatedSource", "EventSource"),
    ("imagePullSecrets", "LocalObjectReference"),
    ("involvedObject", "ObjectReference"),
    ("managedFields", "ManagedFieldsEntry"),
    ("metadata", "ObjectMeta"),
    ("ownerReferences", "OwnerReference"),
    ("regarding", "ObjectReference"),
    ("related", "ObjectReference"),
    ("secrets", "ObjectReference"),
    ("series", "EventSeries"),
    ("source", "EventSource"),
    ("spec", "{}Spec"),
];

impl Decoder<'_> {
    /// Decodes a member, whose own members are of another type.
    fn within(
        &mut self,
        name: &str,
        decode: impl FnOnce(&mut Self) -> Result<(), TypeMismatch>,
    ) -> Result<(), TypeMismatch> {
        let known = TYPES.iter().find(|(member, _)| *member == name);
        let Some((_, owner)) = known else { return decode(self) };
        let outer = std::mem::replace(&mut self.owner, owner.replace("{}", self.root));
        let result = decode(self);
        self.owner = outer;
        result
    }

    fn node(
        &mut self,
        value: &mut Value,
        schema: &Schema,
        path: &str,
        member: &str,
    ) -> Result<(), TypeMismatch> {
        if schema.preserve_unknown || schema.json_type.is_none() {
            return Ok(());
        }
        if !schema.json_type.is_some_and(|json_type| json_type.is_of(value)) {
            return Err(self.mismatch(value, schema, member));
        }
        if let (Value::String(text), Some("byte")) = (&mut *value, schema.format.as_deref()) {
            rewrite_base64(text)?;
        }
        match value {
            Value::Object(members) => {
                let mut failed = Ok(());
                members.retain(|name, next| {
                    if failed.is_err() {
                        return true;
                    }
                    let at = child(path, name);
                    match self.member(next, schema, name, &at, &child(member, name)) {
                        Ok(kept) => kept,
                        Err(mismatch) => {
                            failed = Err(mismatch);
                            true
                        }
                    }
                });
                failed
            }
            Value::Array(items) => {
                let Some(each) = schema.items.as_deref() else { return Ok(()) };
                for (at, item) in items.iter_mut().enumerate() {
                    fill_null(item, each);
                    self.node(item, each, &index(path, at), member)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Decodes a member, and returns whether it stays.
    fn member(
        &mut self,
        value: &mut Value,
        schema: &Schema,
        name: &str,
        path: &str,
        member: &str,
    ) -> Result<bool, TypeMismatch> {
        if let Some(property) = schema.properties.get(name) {
            if value.is_null() {
                return Ok(false);
            }
            if !property.json_type.is_some_and(|json_type| json_type.is_of(value)) {
                return self.node(value, property, path, member).map(|()| true);
            }
            self.within(name, |decoder| decoder.node(value, property, path, member))?;
            let kept = property.nullable || schema.required.iter().any(|required| required == name);
            return Ok(kept || !is_zero(value, property));
        }
        let Additional::Each(each) = &schema.additional else {
            self.unknown.push(path.to_owned());
            return Ok(false);
        };
        fill_null(value, each);
        let map = member.strip_suffix(&format!(".{name}")).unwrap_or_default();
        self.node(value, each, path, map)?;
        Ok(true)
    }

    fn mismatch(&self, value: &Value, schema: &Schema, member: &str) -> TypeMismatch {
        let found = crate::go::kind(value);
        if member.is_empty() {
            return TypeMismatch::Whole { found, root: self.root.to_owned() };
        }
        TypeMismatch::Member {
            found,
            root: self.owner.clone(),
            path: member.to_owned(),
            expected: go_type(schema),
        }
    }
}

/// Bytes as Go's decoder takes them and its encoder writes them: without line breaks, and with nothing in the bits that no byte has.
///
/// # Errors
/// Where the decoder stops.
fn rewrite_base64(text: &mut String) -> Result<(), TypeMismatch> {
    let digits = || text.bytes().enumerate().filter(|(_, byte)| !matches!(byte, b'\r' | b'\n'));
    let plain: String = digits().map(|(_, byte)| char::from(byte)).collect();
    if let Ok(bytes) = GO_BASE64.decode(&plain) {
        *text = GO_BASE64.encode(bytes);
        return Ok(());
    }
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let wrong = digits().find(|(_, byte)| !is_digit(*byte)).map_or(text.len() / 4 * 4, |(at, _)| at);
    Err(TypeMismatch::Base64(wrong))
}

/// Null in a list or a map is the zero value of its items.
fn fill_null(value: &mut Value, schema: &Schema) {
    if !value.is_null() {
        return;
    }
    *value = match schema.json_type {
        Some(JsonType::String) => Value::String(String::new()),
        Some(JsonType::Object) => Value::Object(serde_json::Map::new()),
        _ => return,
    };
}

/// Whether Go's encoder leaves the value out: empty and zero ones, but not structs.
fn is_zero(value: &Value, schema: &Schema) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty() && schema.properties.is_empty(),
    }
}

fn go_type(schema: &Schema) -> String {
    match schema.json_type {
        Some(JsonType::String) if schema.format.as_deref() == Some("byte") => "[]uint8".to_owned(),
        Some(JsonType::String) => "string".to_owned(),
        Some(JsonType::Boolean) => "bool".to_owned(),
        Some(JsonType::Integer) => schema.format.as_deref().unwrap_or("int64").to_owned(),
        Some(JsonType::Number) => "float64".to_owned(),
        Some(JsonType::Array) => format!("[]{}", schema.items.as_deref().map(go_type).unwrap_or_default()),
        Some(JsonType::Object) => schema
            .additional
            .schema()
            .map_or_else(|| "struct".to_owned(), |each| format!("map[string]{}", go_type(each))),
        None => "interface {}".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::object_metadata;

    #[test]
    fn keeps_what_the_decoder_keeps() {
        let mut metadata = json!({"name": "a", "labels": {}, "annotations": {"k": null, "v": ""}, "finalizers": [],
            "generation": 0, "creationTimestamp": null, "deletionGracePeriodSeconds": 0, "clusterName": "x",
            "ownerReferences": [{"name": "", "controller": false, "extra": 1}]});
        let unknown = coerce(&mut metadata, object_metadata(), "ObjectMeta", "metadata").unwrap();
        assert_eq!(unknown, ["metadata.clusterName", "metadata.ownerReferences[0].extra"]);
        assert_eq!(
            metadata,
            json!({"name": "a", "annotations": {"k": "", "v": ""}, "deletionGracePeriodSeconds": 0,
                "ownerReferences": [{"name": "", "controller": false}]})
        );
    }

    #[test]
    fn says_what_it_cannot_read() {
        let mismatch = |mut metadata: Value| {
            coerce(&mut metadata, object_metadata(), "ObjectMeta", "metadata").unwrap_err().to_string()
        };
        assert_eq!(
            mismatch(json!({"name": 1})),
            "json: cannot unmarshal number into Go struct field ObjectMeta.name of type string"
        );
        assert_eq!(
            mismatch(json!({"labels": {"a": true}})),
            "json: cannot unmarshal bool into Go struct field ObjectMeta.labels of type string"
        );
        assert_eq!(
            mismatch(json!({"ownerReferences": [{"name": 1}]})),
            "json: cannot unmarshal number into Go struct field OwnerReference.ownerReferences.name of type string"
        );
        assert_eq!(
            mismatch(json!({"ownerReferences": 1})),
            "json: cannot unmarshal number into Go struct field ObjectMeta.ownerReferences of type []struct"
        );
        assert_eq!(mismatch(json!("x")), "json: cannot unmarshal string into Go value of type v1.ObjectMeta");
        assert_eq!(
            mismatch(json!({"labels": []})),
            "json: cannot unmarshal array into Go struct field ObjectMeta.labels of type map[string]string"
        );
    }
}
