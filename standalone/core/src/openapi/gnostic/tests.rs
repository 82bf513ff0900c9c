use prost::encoding::{WireType, decode_key, decode_varint};
use serde_json::{Value, json};

use super::encode;
use super::schema::{Kind, Message};

/// A field as it stands in a message: its number and its bytes, or the number that it holds.
type Part<'a> = (u32, Result<&'a [u8], u64>);

fn parts(mut bytes: &[u8]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (number, wire) = decode_key(&mut bytes).expect("a key");
        let value = match wire {
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut bytes).expect("a length")).expect("a length");
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Ok(value)
            }
            WireType::Varint => Err(decode_varint(&mut bytes).expect("a number")),
            WireType::SixtyFourBit => {
                let (value, rest) = bytes.split_first_chunk::<8>().expect("eight bytes");
                bytes = rest;
                Err(u64::from_le_bytes(*value))
            }
            other => panic!("no field is of the type {other:?}"),
        };
        parts.push((number, value));
    }
    parts
}

/// What a field holds, if that is a message; in pairs it has a name beside it.
enum Inner {
    Message(Message),
    Pair(Message),
}

fn inner(kind: Message, number: u32) -> Option<Inner> {
    let one = match (kind, number) {
        (Message::ParametersItem, 1) => Message::Parameter,
        (Message::ParametersItem | Message::ResponseValue, 2) => Message::Reference,
        (Message::Parameter, 1) => Message::BodyParameter,
        (Message::Parameter, 2) => Message::NonBodyParameter,
        (Message::NonBodyParameter, 1) => Message::HeaderParameter,
        (Message::NonBodyParameter, 3) => Message::QueryParameter,
        (Message::NonBodyParameter, 4) => Message::PathParameter,
        (Message::ResponseValue, 1) => Message::Response,
        (Message::SchemaItem | Message::AdditionalProperties | Message::Items, 1) => Message::Schema,
        (Message::SecurityDefinition, 2) => Message::ApiKey,
        _ => {
            return kind.fields().iter().find(|field| field.number == number).and_then(|field| {
                match field.kind {
                    Kind::One(one) | Kind::Many(one) => Some(Inner::Message(one)),
                    Kind::Rest(rest) => Some(Inner::Pair(rest.of)),
                    _ => None,
                }
            });
        }
    };
    Some(Inner::Message(one))
}

/// That two messages say the same: byte for byte, but for the way in which text in YAML is written.
fn assert_same(kind: Message, ours: &[u8], theirs: &[u8], path: &str) {
    if kind == Message::Any {
        // gnostic takes the quotes off `on`, which is a string to it as to YAML 1.2.
        let strict = || serde_saphyr::options! { strict_booleans: true };
        let text = |bytes| match parts(bytes).as_slice() {
            [(2, Ok(text))] => serde_saphyr::from_slice_with_options::<Value>(text, strict()).expect("YAML"),
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(text(ours), text(theirs), "{path}");
        return;
    }
    let (ours, theirs) = (parts(ours), parts(theirs));
    let numbers = |parts: &[Part<'_>]| parts.iter().map(|part| part.0).collect::<Vec<_>>();
    assert_eq!(numbers(&ours), numbers(&theirs), "{path}");
    for ((number, ours), (_, theirs)) in ours.into_iter().zip(theirs) {
        let path = format!("{path}/{number}");
        match (inner(kind, number), ours, theirs) {
            (Some(Inner::Message(kind)), Ok(ours), Ok(theirs)) => assert_same(kind, ours, theirs, &path),
            (Some(Inner::Pair(kind)), Ok(ours), Ok(theirs)) => {
                let (ours, theirs) = (parts(ours), parts(theirs));
                assert_eq!(ours[0], theirs[0], "{path}");
                let name = String::from_utf8_lossy(ours[0].1.expect("a name"));
                let value = |parts: &[Part<'_>]| {
                    parts.get(1).map_or_else(Vec::new, |part| part.1.expect("bytes").to_vec())
                };
                assert_same(kind, &value(&ours), &value(&theirs), &format!("{path}({name})"));
            }
            (_, ours, theirs) => assert_eq!(ours, theirs, "{path}"),
        }
    }
}

/// A part of kube-apiserver's own document, and what gnostic's library makes of it.
#[test]
fn a_document_is_what_gnostic_makes_of_it() {
    let document = serde_json::from_str(include_str!("data/document.json")).expect("JSON");
    let theirs = include_bytes!("data/document.pb");
    assert_same(Message::Document, &encode(&document), theirs, "");
}

#[test]
fn what_has_several_forms_is_written_in_its_own() {
    let schema = |schema: Value| encode(&json!({ "definitions": { "a": schema } }));
    let prefix = |bytes: &[u8]| {
        let definitions = parts(bytes)[0].1.expect("definitions").to_vec();
        let pair = parts(&definitions)[0].1.expect("a pair").to_vec();
        parts(&pair).get(1).map_or_else(Vec::new, |part| part.1.expect("a schema").to_vec())
    };
    assert_eq!(prefix(&schema(json!({ "type": "object" }))), b"\xb2\x01\x08\x0a\x06object");
    assert_eq!(prefix(&schema(json!({ "type": ["a", "b"] }))), b"\xb2\x01\x06\x0a\x01a\x0a\x01b");
    assert_eq!(prefix(&schema(json!({ "additionalProperties": false }))), b"\xaa\x01\x02\x10\x00");
    assert_eq!(
        prefix(&schema(json!({ "additionalProperties": { "format": "x" } }))),
        b"\xaa\x01\x05\x0a\x03\x12\x01x"
    );
    assert_eq!(prefix(&schema(json!({ "minimum": 0.5 }))), b"\x49\x00\x00\x00\x00\x00\x00\xe0\x3f");
    assert_eq!(prefix(&schema(json!({ "maxLength": -1, "uniqueItems": true }))).len(), 14);
    assert_eq!(prefix(&schema(json!({ "items": { "$ref": "r" } }))), b"\xba\x01\x05\x0a\x03\x0a\x01r");
    assert_eq!(prefix(&schema(json!({ "x-e": 7 }))), b"\xfa\x01\x0a\x0a\x03x-e\x12\x03\x12\x017");
}
