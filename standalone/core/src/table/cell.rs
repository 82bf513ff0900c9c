//! Values as cells, written as Go prints them.

use serde_json::Value;

/// Any value as text: what is made of parts as JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.to_string(),
            None => number.as_f64().map(float).unwrap_or_default(),
        },
        Value::Bool(flag) => flag.to_string(),
        Value::Array(_) | Value::Object(_) => escaped(&value.to_string()),
    }
}

/// A number without its fraction; null for what is none.
pub(super) fn integer(value: &Value) -> Value {
    let number = || value.as_f64().map(f64::trunc).filter(|number| number.abs() < 9.2e18);
    match value.as_i64() {
        Some(integer) => integer.into(),
        None => number()
            .and_then(|number| format!("{number:.0}").parse::<i64>().ok())
            .map_or(Value::Null, Value::from),
    }
}

/// A number; null for what is none. A whole one is written without a fraction.
pub(super) fn number(value: &Value) -> Value {
    let whole = value.as_f64().is_some_and(|number| number.fract() == 0.0);
    match value {
        Value::Number(_) if whole => match integer(value) {
            Value::Null => value.clone(),
            integer => integer,
        },
        Value::Number(_) => value.clone(),
        _ => Value::Null,
    }
}

/// Go's `%v`: the shortest digits, with an exponent of at least two digits below 10^-4 and from 10^21 on.
fn float(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-4..1e21).contains(&size) {
        return number.to_string();
    }
    let written = format!("{number:e}");
    match written.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => written,
    }
}

/// Go's encoder writes JSON that is safe inside HTML.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{float, integer, number, text};

    #[test]
    fn text_is_what_go_prints() {
        let cases = [
            (json!(null), "<no value>"),
            (json!("a\"b"), "a\"b"),
            (json!(-3), "-3"),
            (json!(2.5), "2.5"),
            (json!(true), "true"),
            (json!(["a", 1]), "[\"a\",1]"),
            (json!({ "b": 1, "a": "<x>&" }), "{\"a\":\"\\u003cx\\u003e\\u0026\",\"b\":1}"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(&value), expected);
        }
        assert_eq!(float(1e21), "1e+21");
        assert_eq!(float(1.5e-7), "1.5e-07");
        assert_eq!(float(100_000_000.0), "100000000");
    }

    #[test]
    fn numbers_are_cut_to_integers_and_whole_ones_have_no_fraction() {
        assert_eq!(integer(&json!(-2.9)), json!(-2));
        assert_eq!(integer(&json!(7)), json!(7));
        assert_eq!(integer(&json!("7")), json!(null));
        assert_eq!(number(&json!(3.0)), json!(3));
        assert_eq!(number(&json!(3.5)), json!(3.5));
        assert_eq!(number(&json!(true)), json!(null));
    }
}
