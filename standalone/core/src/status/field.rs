//! What is wrong with a member, in the words of apimachinery's `field` package.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::StatusCause;
use crate::go;

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// What it names is not there.
    NotFound,
    /// It is missing.
    Required,
    /// It is there more than once.
    Duplicate,
    /// Its value breaks a rule.
    Invalid,
    /// Its value is none of a list.
    NotSupported,
    /// It may not be there.
    Forbidden,
    /// It has too many bytes.
    TooLong,
    /// It has too many items.
    TooMany,
    /// It is of another type.
    TypeInvalid,
    /// It could not be checked.
    Internal,
}

impl FieldErrorKind {
    /// In words, as messages begin.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Internal => "Internal error",
        }
    }

    /// The reason of the cause.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::Internal => "InternalError",
        }
    }

    /// Whether messages repeat the value.
    fn shows_value(self) -> bool {
        !matches!(self, Self::Required | Self::Forbidden | Self::TooLong | Self::Internal)
    }
}

/// What is wrong with a member.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// The kind of thing.
    pub kind: FieldErrorKind,
    /// The path of the member, such as `spec.listeners[0].portMapping.port`.
    pub field: String,
    /// The value that is wrong; `None` leaves it out of the message.
    pub value: Option<Value>,
    /// More in words, or empty.
    pub detail: String,
}

impl FieldError {
    /// An error about `field`, of which `detail` says more.
    pub fn new(
        kind: FieldErrorKind,
        field: impl Into<String>,
        value: Option<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self { kind, field: field.into(), value, detail: detail.into() }
    }

    /// Without the member: what causes say.
    pub fn body(&self) -> String {
        let mut text = self.kind.words().to_owned();
        if let Some(value) = self.value.as_ref().filter(|_| self.kind.shows_value()) {
            text = format!("{text}: {}", go::value(value));
        }
        if self.detail.is_empty() { text } else { format!("{text}: {}", self.detail) }
    }

    /// As a cause of a `Status`.
    pub fn cause(&self) -> StatusCause {
        StatusCause { reason: self.kind.reason().to_owned(), message: self.body(), field: self.field.clone() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Several errors as one text, each once; nothing of none.
pub(super) fn together(errors: &[FieldError]) -> Option<String> {
    let mut seen = BTreeSet::new();
    let texts = errors.iter().map(ToString::to_string).filter(|text| seen.insert(text.clone()));
    let texts: Vec<String> = texts.collect();
    match texts.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(format!("[{}]", several.join(", "))),
    }
}
