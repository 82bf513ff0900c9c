//! What no two servers answer alike: uids, times, ages, resource versions, and tokens that are made of them.

use serde_json::Value;

/// Members whose values are another server's business.
const MEMBERS: [(&str, &str); 4] = [
    ("resourceVersion", "<version>"),
    ("continue", "<token>"),
    ("uid", "<uid>"),
    ("serverAddress", "<address>"),
];

/// `value` without what differs by nature.
pub fn masked(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let mask = MEMBERS.iter().find(|(known, _)| known == name).map(|(_, mask)| *mask);
                let value = match (mask, value) {
                    (Some(mask), Value::String(text)) if !text.is_empty() => mask.into(),
                    (_, Value::Array(cells)) if name == "cells" => cells.iter().map(cell).collect(),
                    (_, Value::Array(entries)) if name == "managedFields" => in_order(entries),
                    _ => masked(value),
                };
                // Who manages an owner reference is a member with a uid in its name.
                (text_of(name), value)
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::String(text) => text_of(text).into(),
        other => other.clone(),
    }
}

/// Entries of `managedFields`, in an order of their own: an API server orders them by times of whole seconds.
fn in_order(entries: &[Value]) -> Value {
    let mut entries: Vec<Value> = entries.iter().map(masked).collect();
    entries.sort_by_cached_key(Value::to_string);
    entries.into()
}

/// A cell of a table. The age of an object depends on when the request came, which a busy machine delays by seconds.
fn cell(value: &Value) -> Value {
    match value {
        Value::String(text) if is_age(text) => "<age>".into(),
        other => masked(other),
    }
}

/// Whether `text` is an age as a table has it: numbers, each with its unit, as in `1s` and `2m3s`.
pub fn is_age(text: &str) -> bool {
    let mut numbers = text.split_inclusive(['s', 'm', 'h', 'd', 'y']).map(|part| &part[..part.len() - 1]);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|letter| letter.is_ascii_digit());
    text.ends_with(['s', 'm', 'h', 'd', 'y']) && numbers.all(is_number)
}

/// A text, with uids, times and resource versions in it masked.
pub fn text_of(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if let Some(length) = uid(rest) {
            out.push_str("<uid>");
            rest = &rest[length..];
        } else if let Some(length) = time(rest) {
            out.push_str("<time>");
            rest = &rest[length..];
        } else if let Some(length) = version(&out, rest) {
            out.push_str("<version>");
            rest = &rest[length..];
        } else {
            out.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    out
}

/// How many bytes of the beginning of `text` are a uid.
fn uid(text: &str) -> Option<usize> {
    let head = text.get(..36)?.as_bytes();
    let fits = |(at, letter): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *letter == b'-',
        _ => letter.is_ascii_hexdigit(),
    };
    head.iter().enumerate().all(fits).then_some(36)
}

/// How many bytes of the beginning of `text` are a time.
fn time(text: &str) -> Option<usize> {
    let head = text.get(..19)?.as_bytes();
    let fits = |(at, letter): (usize, &u8)| match at {
        4 | 7 => *letter == b'-',
        10 => *letter == b'T',
        13 | 16 => *letter == b':',
        _ => letter.is_ascii_digit(),
    };
    if !head.iter().enumerate().all(fits) {
        return None;
    }
    let rest = &text[19..];
    let fraction = rest.bytes().take_while(|letter| *letter == b'.' || letter.is_ascii_digit()).count();
    rest[fraction..].starts_with('Z').then_some(19 + fraction + 1)
}

/// How many bytes of the beginning of `text` are a resource version, which what is before it says: a member of an object in a
/// message, or the words about a precondition.
fn version(before: &str, text: &str) -> Option<usize> {
    let member = before.trim_end_matches(['\\', '"', ':', ' ']);
    let is_named = member.len() < before.len()
        && (member.ends_with("resourceVersion") || member.ends_with("Resource Version"))
        || before.ends_with("ResourceVersion in record (");
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    (is_named && length > 0).then_some(length)
}

#[test]
fn uids_times_and_versions_are_masked_wherever_they_are() {
    use serde_json::json;
    let value = json!({
        "metadata": {"uid": "x", "resourceVersion": "7", "creationTimestamp": "2024-01-01T00:00:00Z"},
        "message": "was 6dd2f3a0-0b0e-4a7e-9d0b-0123456789ab at 2024-01-01T00:00:00.123456Z, é",
        "object": r#"{\"resourceVersion\":\"77\",\"n\":\"7\"} and {"resourceVersion":"8"}"#,
        "precondition": "the ResourceVersion in record (90) is not (1)",
        "printed": "resourceVersion: \"7\"\n  Resource Version:  77",
        "items": [{"uid": ""}],
        "k:{\"uid\":\"6dd2f3a0-0b0e-4a7e-9d0b-0123456789ab\"}": {},
        "serverAddress": "127.0.0.1:6443",
        "managedFields": [{"manager": "b"}, {"manager": "a"}],
        "rows": [{"cells": ["1s", "2m13s", "3d", "s", "mesh", "v1s", "", 7, null]}],
    });
    let expected = json!({
        "metadata": {"uid": "<uid>", "resourceVersion": "<version>", "creationTimestamp": "<time>"},
        "message": "was <uid> at <time>, é",
        "object": r#"{\"resourceVersion\":\"<version>\",\"n\":\"7\"} and {"resourceVersion":"<version>"}"#,
        "precondition": "the ResourceVersion in record (<version>) is not (1)",
        "printed": "resourceVersion: \"<version>\"\n  Resource Version:  <version>",
        "items": [{"uid": ""}],
        "k:{\"uid\":\"<uid>\"}": {},
        "serverAddress": "<address>",
        "managedFields": [{"manager": "a"}, {"manager": "b"}],
        "rows": [{"cells": ["<age>", "<age>", "<age>", "s", "mesh", "v1s", "", 7, null]}],
    });
    assert_eq!(masked(&value), expected);
}
