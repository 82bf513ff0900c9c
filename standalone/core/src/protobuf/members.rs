//! Messages as JSON, written as Go's encoder writes the types that they are generated from.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::Cause;

/// A message whose JSON form is known.
pub(super) trait ToJson {
    /// The message as the API server would write it.
    fn to_json(self) -> Result<Value, Cause>;
}

/// The members of an object, one after the other. The names of the methods say what becomes of a value that is not there: Go's
/// protobuf writes the empty string for a string that is not set, so that an empty one counts as not there.
#[derive(Debug, Default)]
pub(super) struct Members {
    written: Map<String, Value>,
    error: Option<Cause>,
}

impl Members {
    /// The object, or what was wrong with the first member that could not be written.
    pub(super) fn finish(self) -> Result<Value, Cause> {
        self.error.map_or(Ok(Value::Object(self.written)), Err)
    }

    fn put(mut self, name: &str, value: Value) -> Self {
        self.written.insert(name.to_owned(), value);
        self
    }

    fn attempt(mut self, name: &str, value: Result<Value, Cause>) -> Self {
        match value {
            Ok(value) => self.put(name, value),
            Err(error) => {
                self.error.get_or_insert(error);
                self
            }
        }
    }

    /// A string (`omitempty`): absent when empty.
    pub(super) fn text(self, name: &str, value: Option<String>) -> Self {
        match value.filter(|text| !text.is_empty()) {
            Some(text) => self.put(name, text.into()),
            None => self,
        }
    }

    /// A string that is always written.
    pub(super) fn required(self, name: &str, value: Option<String>) -> Self {
        self.put(name, value.unwrap_or_default().into())
    }

    /// A number (`omitempty`): absent when 0.
    pub(super) fn number(self, name: &str, value: Option<i64>) -> Self {
        match value.filter(|number| *number != 0) {
            Some(number) => self.put(name, number.into()),
            None => self,
        }
    }

    /// A boolean (`omitempty`): absent when false.
    pub(super) fn flag(self, name: &str, value: Option<bool>) -> Self {
        if value.unwrap_or_default() { self.put(name, true.into()) } else { self }
    }

    /// A pointer to a scalar: written whenever it was set, 0, false and the empty string included.
    pub(super) fn pointer(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.put(name, value.into()),
            None => self,
        }
    }

    /// Strings (`omitempty`): absent when there are none.
    pub(super) fn texts(self, name: &str, values: Vec<String>) -> Self {
        if values.is_empty() { self } else { self.put(name, values.into()) }
    }

    /// A map of strings (`omitempty`): absent when empty.
    pub(super) fn text_map(self, name: &str, values: BTreeMap<String, String>) -> Self {
        if values.is_empty() {
            return self;
        }
        let values: Map<String, Value> = values.into_iter().map(|(key, value)| (key, value.into())).collect();
        self.put(name, values.into())
    }

    /// A map of bytes (`omitempty`), each in base64: absent when empty.
    pub(super) fn bytes_map(self, name: &str, values: BTreeMap<String, Vec<u8>>) -> Self {
        let encoded = values.into_iter().map(|(key, value)| (key, BASE64_STANDARD.encode(value)));
        self.text_map(name, encoded.collect())
    }

    /// A pointer to a message: absent when it was not set.
    pub(super) fn message(self, name: &str, value: Option<impl ToJson>) -> Self {
        match value {
            Some(value) => self.attempt(name, value.to_json()),
            None => self,
        }
    }

    /// A message that is held as a value: always written, as of nothing when it was not set.
    pub(super) fn object(self, name: &str, value: Option<impl ToJson + Default>) -> Self {
        self.attempt(name, value.unwrap_or_default().to_json())
    }

    /// Messages (`omitempty`): absent when there are none.
    pub(super) fn list(self, name: &str, values: Vec<impl ToJson>) -> Self {
        if values.is_empty() { self } else { self.required_list(name, values) }
    }

    /// Messages that are always written; `null` stands for none, as Go writes a slice that was never made.
    pub(super) fn required_list(self, name: &str, values: Vec<impl ToJson>) -> Self {
        if values.is_empty() {
            return self.put(name, Value::Null);
        }
        let values: Result<Vec<Value>, Cause> = values.into_iter().map(ToJson::to_json).collect();
        self.attempt(name, values.map(Value::Array))
    }

    /// Strings that are always written; `null` stands for none.
    pub(super) fn required_texts(self, name: &str, values: Vec<String>) -> Self {
        let value = if values.is_empty() { Value::Null } else { values.into() };
        self.put(name, value)
    }
}
