//! Values as Go prints them: messages of the API server and of kubectl have them in its own spelling.

mod base64;
mod syntax;

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

pub use base64::base64_error;
pub use syntax::syntax_error;

/// The type of a value in errors of `encoding/json`.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A value in a field error: quoted, plain or JSON, by its type.
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => self::number(number),
        Value::Null | Value::Array(_) | Value::Object(_) => json(value),
    }
}

/// `%v` of an int64 or a float64.
pub fn number(number: &Number) -> String {
    match (number.as_i64(), number.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(float)) => self::float(float),
        (None, None) => number.to_string(),
    }
}

/// `%v` of a float64: the shortest digits, with an exponent below -4 and from 6 on.
pub fn float(float: f64) -> String {
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let Ok(exponent) = exponent.parse::<i32>() else { return scientific };
    if (-4..6).contains(&exponent) {
        return format!("{float}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// `%q`: double quotes, with escapes for what is not printable.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        quote_into(&mut quoted, character);
    }
    quoted.push('"');
    quoted
}

fn quote_into(quoted: &mut String, character: char) {
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        _ => "",
    };
    if !short.is_empty() {
        quoted.push_str(short);
        return;
    }
    let code = u32::from(character);
    let _ = match code {
        _ if printable(character) => {
            quoted.push(character);
            Ok(())
        }
        0..0x80 => write!(quoted, "\\x{code:02x}"),
        0x80..0x1_0000 => write!(quoted, "\\u{code:04x}"),
        _ => write!(quoted, "\\U{code:08x}"),
    };
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space; formatting characters and private use are not.
fn printable(character: char) -> bool {
    let hidden = matches!(character,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    character == ' ' || !(character.is_control() || character.is_whitespace() || hidden)
}

/// `json.Marshal`: members in order, and `<`, `>`, `&` and the line separators escaped.
pub fn json(value: &Value) -> String {
    let plain = sorted(value).to_string();
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

/// The same value with every object's members in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            let ordered: Map<String, Value> =
                names.into_iter().map(|name| (name.clone(), sorted(&members[name]))).collect();
            Value::Object(ordered)
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        _ => value.clone(),
    }
}

/// `%v` of a value.
pub fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => self::number(number),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(printed).collect::<Vec<_>>().join(" "))
        }
        Value::Object(members) => {
            let members =
                ordered(members).into_iter().map(|(name, value)| format!("{name}:{}", printed(value)));
            format!("map[{}]", members.collect::<Vec<_>>().join(" "))
        }
    }
}

/// `%#v` of a value.
pub fn literal(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quote(text),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => self::number(number),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(literal).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let members = ordered(members)
                .into_iter()
                .map(|(name, value)| format!("{}:{}", quote(name), literal(value)));
            format!("map[string]interface {{}}{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

fn ordered(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    members
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotes_what_is_not_printable() {
        assert_eq!(quote("a\"b\\c\n\u{1}\u{7f}é\u{200b}\u{a0}"), r#""a\"b\\c\n\x01\x7fé\u200b\u00a0""#);
    }

    #[test]
    fn prints_floats_with_the_shortest_digits() {
        for (float, printed) in [
            (0.5, "0.5"),
            (100.0, "100"),
            (123_456.0, "123456"),
            (1_000_000.0, "1e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e21, "1.5e+21"),
            (-2.5e-7, "-2.5e-07"),
        ] {
            assert_eq!(super::float(float), printed);
        }
    }

    #[test]
    fn writes_json_with_members_in_order() {
        assert_eq!(json(&json!({"b": [1, null], "a": "x&y"})), r#"{"a":"x\u0026y","b":[1,null]}"#);
    }
}
