//! JSON as kubectl writes it: four blanks, members in order, and escapes for what HTML would take for its own.

use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Number, Value};

/// `value` with the members of every object in order.
pub fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(&String, &Value)> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            let members: Map<String, Value> =
                members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.into()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Number(number) => whole(number).map_or_else(|| value.clone(), Value::from),
        other => other.clone(),
    }
}

/// A number without a fraction, which is written without a point.
fn whole(number: &Number) -> Option<i64> {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
    format!("{float}").parse().ok()
}

/// `value` over several lines, with a line break at the end.
///
/// # Errors
/// None that is known: a value has nothing that JSON could not have.
pub fn pretty(value: &Value) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    serde::Serialize::serialize(&sorted(value), &mut serializer)?;
    let mut text = String::with_capacity(bytes.len() + 1);
    for letter in String::from_utf8_lossy(&bytes).chars() {
        match letter {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(letter)));
            }
            _ => text.push(letter),
        }
    }
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn members_are_in_order_and_signs_of_html_are_escaped() {
        let value = json!({"b": [1, {}], "a": {"text": "<x> & \"y\"", "none": [], "one": 1.0, "half": 0.5}});
        let expected = "{\n    \"a\": {\n        \"half\": 0.5,\n        \"none\": [],\n        \"one\": 1,\n        \"text\": \"\\u003cx\\u003e \\u0026 \\\"y\\\"\"\n    },\n    \"b\": [\n        1,\n        {}\n    ]\n}\n";
        assert_eq!(super::pretty(&value).unwrap(), expected);
    }
}
