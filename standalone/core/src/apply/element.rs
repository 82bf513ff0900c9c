//! One step of a path in an object, as managed fields have it.

use std::cmp::Ordering;
use std::fmt;

use serde_json::{Map, Number, Value};

use crate::go;

/// A scalar in the key of a list's item.
#[derive(Debug, Clone)]
pub(crate) enum Scalar {
    /// A number; whole and other numbers compare by their value.
    Number(Number),
    /// A string.
    Text(String),
    /// True or false.
    Flag(bool),
    /// Anything else, as JSON: no item of a valid object.
    Other(String),
}

impl Scalar {
    pub(crate) fn of(value: &Value) -> Self {
        match value {
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Bool(flag) => Self::Flag(*flag),
            Value::Null | Value::Array(_) | Value::Object(_) => Self::Other(go::json(value)),
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => go::json(&Value::String(text.clone())),
            Self::Flag(flag) => flag.to_string(),
            Self::Other(json) => json.clone(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Text(_) => 1,
            Self::Flag(_) => 2,
            Self::Other(_) => 3,
        }
    }
}

impl Ord for Scalar {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => left.cmp(&right),
                _ => left.as_f64().unwrap_or(f64::NAN).total_cmp(&right.as_f64().unwrap_or(f64::NAN)),
            },
            (Self::Text(left), Self::Text(right)) | (Self::Other(left), Self::Other(right)) => {
                left.cmp(right)
            }
            (Self::Flag(left), Self::Flag(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Scalar {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scalar {}

impl fmt::Display for Scalar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => formatter.write_str(&go::number(number)),
            Self::Text(text) => formatter.write_str(&go::quote(text)),
            Self::Flag(flag) => write!(formatter, "{flag}"),
            Self::Other(json) => formatter.write_str(json),
        }
    }
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    /// A member of an object.
    Field(String),
    /// The item of a list with these members, in order of their names.
    Key(Vec<(String, Scalar)>),
    /// The item of a set.
    Value(Scalar),
    /// The item at a place.
    Index(i64),
}

impl Element {
    pub(crate) fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    /// As `FieldsV1` has it: `f:name`, `k:{"name":"a"}`, `v:"a"`, `i:0`.
    pub(crate) fn serialized(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(members) => {
                let members: Vec<String> = members
                    .iter()
                    .map(|(name, value)| {
                        format!("{}:{}", go::json(&Value::String(name.clone())), value.json())
                    })
                    .collect();
                format!("k:{{{}}}", members.join(","))
            }
            Self::Value(value) => format!("v:{}", value.json()),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    /// Reads what `FieldsV1` has; none for elements of a kind that is not known, which are ignored.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        let Some((kind, rest)) = text.split_at_checked(2) else {
            return Err("key must be 2 characters long:".to_owned());
        };
        if !kind.ends_with(':') {
            return Err(format!("missing colon: {text}"));
        }
        let json = |error: serde_json::Error| format!("{text}: {error}");
        match kind {
            "f:" => Ok(Some(Self::field(rest))),
            "v:" => {
                let value = serde_json::from_str(rest).map_err(json)?;
                Ok(Some(Self::Value(Scalar::of(&value))))
            }
            "k:" => {
                let members: Map<String, Value> = serde_json::from_str(rest).map_err(json)?;
                Ok(Some(Self::key(members.iter())))
            }
            "i:" => rest.parse().map(|at| Some(Self::Index(at))).map_err(|error| format!("{text}: {error}")),
            _ => Ok(None),
        }
    }

    pub(crate) fn key<'v>(members: impl Iterator<Item = (&'v String, &'v Value)>) -> Self {
        let mut key: Vec<(String, Scalar)> =
            members.map(|(name, value)| (name.clone(), Scalar::of(value))).collect();
        key.sort_unstable();
        Self::Key(key)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(formatter, ".{name}"),
            Self::Key(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(formatter, "[{}]", members.join(","))
            }
            Self::Value(value) => write!(formatter, "[={value}]"),
            Self::Index(at) => write!(formatter, "[{at}]"),
        }
    }
}

/// A path as conflicts name it.
pub(crate) fn path_text(path: &[Element]) -> String {
    path.iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_and_read_as_fields_v1() {
        for (text, shown) in [
            ("f:spec", ".spec"),
            ("f:", "."),
            (r#"k:{"port":80,"protocol":"TCP"}"#, r#"[port=80,protocol="TCP"]"#),
            (r#"v:"a\u003cb""#, r#"[="a<b"]"#),
            ("v:1.5", "[=1.5]"),
            ("v:true", "[=true]"),
            ("i:-1", "[-1]"),
        ] {
            let element = Element::parse(text).unwrap().unwrap();
            assert_eq!(element.serialized(), text);
            assert_eq!(element.to_string(), shown);
        }
        assert_eq!(Element::parse("x:1"), Ok(None));
        for wrong in ["", "f", "fx", "v:", "k:1", "i:a", "k:{"] {
            assert!(Element::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn members_come_before_keys_values_and_places() {
        let texts =
            ["f:a", "f:b", r#"k:{"a":1}"#, r#"k:{"a":"1"}"#, "v:1", "v:1.5", "v:\"a\"", "v:true", "i:0"];
        let elements: Vec<Element> =
            texts.iter().map(|text| Element::parse(text).unwrap().unwrap()).collect();
        assert!(elements.is_sorted());
    }
}
