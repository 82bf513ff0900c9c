//! Bounds of numbers.

use serde_json::{Number, Value};

use super::decode::canonical;
use super::failure::invalid;
use super::shape::{JsonType, Schema};
use crate::go;
use crate::status::FieldError;

/// What of `number` is out of the bounds of `schema`; `path` is the field in the messages.
pub(crate) fn errors(number: &Number, schema: &Schema, path: &str, field: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let Some(error) = out_of_format(number, schema, path) {
        errors.push(error);
    }
    let value = Value::Number(number.clone());
    let mut wrong = |what: String| {
        errors.push(invalid(field, value.clone(), format!("{path} in body should be {what}")));
    };
    let bounds = &schema.bounds;
    if let Some(factor) = bounds.multiple_of.filter(|factor| !is_multiple(number, *factor)) {
        wrong(format!("a multiple of {}", go::float(factor)));
    }
    if let Some(minimum) = bounds.minimum {
        let exclusive = bounds.exclusive_minimum;
        let words = if exclusive { "greater than" } else { "greater than or equal to" };
        let (below, printed) = beyond(number, minimum, exclusive, -1.0);
        if below {
            wrong(format!("{words} {printed}"));
        }
    }
    if let Some(maximum) = bounds.maximum {
        let exclusive = bounds.exclusive_maximum;
        let words = if exclusive { "less than" } else { "less than or equal to" };
        let (above, printed) = beyond(number, maximum, exclusive, 1.0);
        if above {
            wrong(format!("{words} {printed}"));
        }
    }
    errors
}

/// Whether `number` is beyond `bound` in the direction of `sign`, and the bound as the message has it: whole numbers are
/// compared with a whole bound.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the API server truncates the bound of a whole number, too"
)]
fn beyond(number: &Number, bound: f64, exclusive: bool, sign: f64) -> (bool, String) {
    if let Some(whole) = number.as_i64() {
        let bound = bound as i64;
        let further = if sign > 0.0 { whole > bound } else { whole < bound };
        return (further || exclusive && whole == bound, bound.to_string());
    }
    let float = number.as_f64().unwrap_or(f64::NAN);
    let further = (float - bound) * sign > 0.0;
    #[expect(clippy::float_cmp, reason = "an exclusive bound is the very number")]
    (further || exclusive && float == bound, go::float(bound))
}

fn is_multiple(number: &Number, factor: f64) -> bool {
    let quotient = number.as_f64().unwrap_or(f64::NAN) / factor;
    quotient.is_finite() && (quotient.fract().abs() < 1e-9 || 1.0 - quotient.fract().abs() < 1e-9)
}

/// The API server reports this for the whole object, not for the field.
fn out_of_format(number: &Number, schema: &Schema, path: &str) -> Option<FieldError> {
    let format = schema.format.as_deref();
    let whole = canonical(number).and_then(|number| number.as_i64());
    let fits = match (schema.json_type, format) {
        (Some(JsonType::Integer), Some("int32")) => whole.is_some_and(|whole| i32::try_from(whole).is_ok()),
        (Some(JsonType::Integer), _) => whole.is_some(),
        (_, Some("float")) => number.as_f64().is_some_and(|float| float.abs() <= f64::from(f32::MAX)),
        _ => true,
    };
    if fits {
        return None;
    }
    let name = schema.json_type.map_or("", JsonType::name);
    let kind = format.map_or_else(|| "(default format)".to_owned(), |format| format!("with format {format}"));
    let detail = format!("Checked value must be of type {name} {kind} in {path}");
    Some(invalid("", Value::String(String::new()), detail))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn messages(schema: Value, number: Value) -> Vec<String> {
        let schema = Schema::parse(&schema).unwrap();
        let Value::Number(number) = number else { panic!("a number") };
        errors(&number, &schema, "spec.n", "spec.n").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn whole_numbers_have_whole_bounds() {
        let schema = json!({"type": "integer", "format": "int32", "minimum": 1.0, "maximum": 65535});
        assert_eq!(
            messages(schema.clone(), json!(0)),
            ["spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1"]
        );
        assert_eq!(
            messages(schema.clone(), json!(70000)),
            ["spec.n: Invalid value: 70000: spec.n in body should be less than or equal to 65535"]
        );
        assert!(messages(schema.clone(), json!(1)).is_empty() && messages(schema, json!(65535)).is_empty());
    }

    #[test]
    fn floats_and_exclusive_bounds() {
        let schema = json!({"type": "number", "exclusiveMaximum": true, "maximum": 0.5, "multipleOf": 0.25});
        assert_eq!(
            messages(schema.clone(), json!(0.5)),
            ["spec.n: Invalid value: 0.5: spec.n in body should be less than 0.5"]
        );
        assert_eq!(
            messages(schema, json!(0.3)),
            ["spec.n: Invalid value: 0.3: spec.n in body should be a multiple of 0.25"]
        );
    }

    #[test]
    fn formats_bound_whole_numbers() {
        assert_eq!(
            messages(json!({"type": "integer", "format": "int32"}), json!(3_000_000_000_u64)),
            ["<nil>: Invalid value: \"\": Checked value must be of type integer with format int32 in spec.n"]
        );
        assert_eq!(
            messages(json!({"type": "integer"}), json!(0.5)),
            ["<nil>: Invalid value: \"\": Checked value must be of type integer (default format) in spec.n"]
        );
    }
}
