//! JSON, with the members that occur twice.

use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{child, index};

/// A decoded body.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The value; of a member that occurs twice, the last.
    pub value: Value,
    /// The paths of members that occur twice, in the order of the body; each once.
    pub duplicates: Vec<String>,
}

/// Decodes JSON as the API server does: whole floats are integers, integers beyond 64 bits are floats.
///
/// # Errors
/// The body is no JSON, or nested more than 128 levels.
pub fn decode(body: &[u8]) -> Result<Decoded, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let mut duplicates = Vec::new();
    let value = Node { path: String::new(), duplicates: &mut duplicates }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Decoded { value, duplicates })
}

/// A number as the API server keeps it.
pub(crate) fn canonical(number: &Number) -> Option<Number> {
    if number.is_i64() {
        return Some(number.clone());
    }
    let float = number.as_f64()?;
    /// 2⁶³, from which on no float is an i64.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if float.fract() == 0.0 && (-LIMIT..LIMIT).contains(&float) {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and within the limits")]
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

struct Node<'d> {
    path: String,
    duplicates: &'d mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        canonical(&number.into()).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        let number = Number::from_f64(number).and_then(|number| canonical(&number));
        number.map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let path = index(&self.path, items.len());
            let node = Node { path, duplicates: &mut *self.duplicates };
            let Some(item) = sequence.next_element_seed(node)? else { return Ok(Value::Array(items)) };
            items.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let path = child(&self.path, &name);
            if members.contains_key(&name) && !self.duplicates.contains(&path) {
                self.duplicates.push(path.clone());
            }
            let member = map.next_value_seed(Node { path, duplicates: &mut *self.duplicates })?;
            members.insert(name, member);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_what_occurs_twice() {
        let decoded = decode(br#"{"a":1,"b":[{"c":1,"c":2}],"a":{"d":1},"a":3}"#).unwrap();
        assert_eq!(decoded.value, json!({"a": 3, "b": [{"c": 2}]}));
        assert_eq!(decoded.duplicates, ["b[0].c", "a"]);
    }

    #[test]
    fn numbers_are_those_of_the_api_server() {
        let decoded =
            decode(b"[1.0, 1e3, 0.5, -2.0, 18446744073709551615, 1e300, 9223372036854775807]").unwrap();
        assert_eq!(
            decoded.value.to_string(),
            "[1,1000,0.5,-2,1.8446744073709552e+19,1e+300,9223372036854775807]"
        );
    }

    #[test]
    fn rejects_what_is_no_json() {
        for body in [&b""[..], b"{", b"{} {}", b"{\"a\":}", b"nul", &[b'['; 4000]] {
            assert!(decode(body).is_err());
        }
    }
}
