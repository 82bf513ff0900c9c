//! Errors of fields, and the paths that they name.

use serde_json::Value;

use crate::status::{FieldError, FieldErrorKind};

impl FieldErrorKind {
    /// Whether rules in CEL are not evaluated when a field is wrong in this way: they could fail for that reason alone.
    #[must_use]
    pub fn blocks_rules(self) -> bool {
        matches!(
            self,
            Self::NotSupported | Self::Required | Self::TooLong | Self::TooMany | Self::TypeInvalid
        )
    }
}

/// An error about `field`, which is empty for the whole object.
pub(crate) fn error(
    kind: FieldErrorKind,
    field: &str,
    value: Option<Value>,
    detail: impl Into<String>,
) -> FieldError {
    let field = if field.is_empty() { "<nil>" } else { field };
    FieldError::new(kind, field, value, detail)
}

/// A value that breaks a rule, a bound or a pattern.
pub(crate) fn invalid(field: &str, value: Value, detail: impl Into<String>) -> FieldError {
    error(FieldErrorKind::Invalid, field, Some(value), detail)
}

/// The path of a property below `parent`.
pub(crate) fn child(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

/// The path of a map's entry below `parent`.
pub(crate) fn key(parent: &str, name: &str) -> String {
    format!("{parent}[{name}]")
}

/// The path of a list's item below `parent`.
pub(crate) fn index(parent: &str, at: usize) -> String {
    format!("{parent}[{at}]")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn says_it_as_the_api_server_does() {
        let error_of = |kind, field, value| error(kind, field, value, "").to_string();
        assert_eq!(
            error_of(FieldErrorKind::Duplicate, "spec.a[1]", Some(json!({"b": 1, "a": "<"}))),
            "spec.a[1]: Duplicate value: {\"a\":\"\\u003c\",\"b\":1}"
        );
        assert_eq!(error_of(FieldErrorKind::Invalid, "", Some(Value::Null)), "<nil>: Invalid value: null");
        assert_eq!(error_of(FieldErrorKind::Invalid, "a", Some(json!(1e6))), "a: Invalid value: 1e+06");
    }
}
