//! Converts JSON into the one form that schema and types read alike. Pure.

use serde_json::Value;

/// `json` without members that are null (a client that writes null means absent) and with integers where it has
/// whole floating-point numbers (`80.0` is an integer to JSON Schema, but not to serde).
pub fn canonical(json: Value) -> Value {
    match json {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, canonical(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        Value::Number(number) => match number.as_f64().and_then(whole) {
            Some(integer) if !number.is_i64() && !number.is_u64() => integer.into(),
            _ => Value::Number(number),
        },
        other @ (Value::Null | Value::Bool(_) | Value::String(_)) => other,
    }
}

/// `number` as an integer, when it is one that `f64` holds exactly.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "checked on this line: whole and below 2^53")]
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_absent_and_a_whole_number_an_integer() {
        let found = canonical(json!({"a": null, "b": [{"c": 80.0, "d": 1.5, "e": null}], "f": 1e300}));
        assert_eq!(found, json!({"b": [{"c": 80, "d": 1.5}], "f": 1e300}));
    }
}
