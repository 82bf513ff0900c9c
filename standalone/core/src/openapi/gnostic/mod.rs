//! `/openapi/v2` in the protobuf of gnostic (<https://github.com/google/gnostic-models>, `openapiv2/OpenAPIv2.proto`), which Argo
//! CD and older kubectls ask for.
//!
//! The messages have the members of the document's JSON under the same names, so one function writes all of them by the tables
//! of [`schema`]. What the messages hold as `Any` is text in YAML; here it is JSON, which is YAML, too.

mod schema;

use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::Value;

use schema::{Field, Kind, Message};

/// The media type of the answer.
pub const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The media types by which it is asked for; the older one is no media type to strict readers.
pub const ACCEPTED: [&str; 2] = [MEDIA_TYPE, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"];

/// `document`, OpenAPI in version 2, as a message `openapi.v2.Document`.
pub fn encode(document: &Value) -> Vec<u8> {
    message(Message::Document, document)
}

/// The bytes of a message, its fields in the order of their numbers.
fn message(kind: Message, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    match kind {
        Message::Any => text(&mut out, 2, &value.to_string()),
        Message::Texts => {
            items(value).for_each(|item| repeated_text(&mut out, 1, item.as_str().unwrap_or_default()))
        }
        Message::Items => {
            items(value).for_each(|item| submessage(&mut out, 1, &message(Message::Schema, item)))
        }
        // Of one of several the value is written even where it is false.
        Message::AdditionalProperties if value.is_boolean() => {
            encode_key(2, WireType::Varint, &mut out);
            encode_varint(u64::from(*value == Value::Bool(true)), &mut out);
        }
        _ => match kind.oneof(value) {
            Some((number, inner)) => submessage(&mut out, number, &message(inner, value)),
            None => kind.fields().iter().for_each(|field| self::field(&mut out, field, value)),
        },
    }
    out
}

fn field(out: &mut Vec<u8>, field: &Field, owner: &Value) {
    let number = field.number;
    // These stand for all members that no other field has, so they have no member of their own.
    if let Kind::Rest(rest) = field.kind {
        for (name, value) in owner.as_object().into_iter().flatten().filter(|(name, _)| rest.takes(name)) {
            submessage(out, number, &named(name, rest.of, value));
        }
        return;
    }
    let Some(value) = owner.get(field.name).filter(|value| !value.is_null()) else { return };
    match field.kind {
        Kind::Text => text(out, number, value.as_str().unwrap_or_default()),
        Kind::Flag => integer(out, number, value.as_bool().map_or(0, i64::from)),
        Kind::Integer => integer(out, number, value.as_i64().unwrap_or_default()),
        Kind::Double => double(out, number, value.as_f64().unwrap_or_default()),
        Kind::Texts => {
            items(value).for_each(|item| repeated_text(out, number, item.as_str().unwrap_or_default()));
        }
        Kind::One(kind) => submessage(out, number, &message(kind, value)),
        Kind::Many(kind) => items(value).for_each(|item| submessage(out, number, &message(kind, item))),
        Kind::Rest(_) => {}
    }
}

/// The items of an array; a value that is none stands for an array of itself, as the type of a schema may.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

/// A message of a name and a value.
fn named(name: &str, kind: Message, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, 1, name);
    submessage(&mut out, 2, &message(kind, value));
    out
}

/// A field that is not written when empty.
fn text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        repeated_text(out, number, text);
    }
}

fn repeated_text(out: &mut Vec<u8>, number: u32, text: &str) {
    submessage(out, number, text.as_bytes());
}

fn submessage(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn integer(out: &mut Vec<u8>, number: u32, value: i64) {
    if value != 0 {
        encode_key(number, WireType::Varint, out);
        encode_varint(value.cast_unsigned(), out);
    }
}

fn double(out: &mut Vec<u8>, number: u32, value: f64) {
    if value != 0.0 {
        encode_key(number, WireType::SixtyFourBit, out);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
