//! What a ConfigMap, a Secret and a Lease may have, beside types: the rules and the words of Kubernetes' own validation.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::BuiltinKind;
use crate::go;
use crate::status::{FieldError, FieldErrorKind};
use crate::store::{metadata, names};

/// The most that the values of a ConfigMap or a Secret may have together, in bytes.
const LARGEST: usize = 1 << 20;
/// The longest key, in bytes.
const LONGEST_KEY: usize = 253;
const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
/// The annotation with the account that a token is of.
const ACCOUNT: &str = "kubernetes.io/service-account.name";

impl BuiltinKind {
    /// What is wrong with the data of an object that is to be stored.
    #[must_use]
    pub fn data_errors(self, object: &Value) -> Vec<FieldError> {
        match self {
            Self::ConfigMap => config_map(object),
            Self::Secret => secret(object),
            Self::Lease => lease(object),
            _ => Vec::new(),
        }
    }
}

fn members<'a>(object: &'a Value, member: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(member).and_then(Value::as_object).into_iter().flatten()
}

fn at_key(member: &str, key: &str) -> String {
    format!("{member}[{key}]")
}

fn config_map(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let binary = object.get("binaryData").and_then(Value::as_object);
    let mut size = 0;
    for (key, value) in members(object, "data") {
        errors.extend(key_errors("data", key));
        if binary.is_some_and(|binary| binary.contains_key(key)) {
            let why = "duplicate of key present in binaryData";
            errors.push(invalid_key("data", key, why));
        }
        size += value.as_str().map_or(0, str::len);
    }
    for (key, value) in members(object, "binaryData") {
        errors.extend(key_errors("binaryData", key));
        size += decoded(value).len();
    }
    if size > LARGEST {
        // Of the whole object, which is a path without a member.
        errors.push(too_large("[]"));
    }
    errors
}

fn secret(object: &Value) -> Vec<FieldError> {
    let mut errors: Vec<FieldError> =
        members(object, "data").flat_map(|(key, _)| key_errors("data", key)).collect();
    if members(object, "data").map(|(_, value)| decoded(value).len()).sum::<usize>() > LARGEST {
        errors.push(too_large("data"));
    }
    let empty = Map::new();
    let data = object.get("data").and_then(Value::as_object).unwrap_or(&empty);
    let required = |keys: &[&str]| keys.iter().map(|key| missing(at_key("data", key))).collect::<Vec<_>>();
    let lacks = |key: &&str| !data.contains_key(*key);
    match object.get("type").and_then(Value::as_str).unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let account = metadata::get(object, "annotations").and_then(|all| all.get(ACCOUNT)?.as_str());
            if account.is_none_or(str::is_empty) {
                errors.push(missing(at_key("metadata.annotations", ACCOUNT)));
            }
        }
        "kubernetes.io/dockercfg" => errors.extend(json_errors(data, ".dockercfg")),
        "kubernetes.io/dockerconfigjson" => errors.extend(json_errors(data, ".dockerconfigjson")),
        "kubernetes.io/basic-auth" if ["username", "password"].iter().all(lacks) => {
            errors.extend(required(&["username", "password"]));
        }
        "kubernetes.io/ssh-auth" if data.get("ssh-privatekey").is_none_or(|key| key == "") => {
            errors.extend(required(&["ssh-privatekey"]));
        }
        "kubernetes.io/tls" => {
            let missing: Vec<&str> = ["tls.crt", "tls.key"].into_iter().filter(|key| lacks(key)).collect();
            errors.extend(required(&missing));
        }
        _ => {}
    }
    errors
}

fn lease(object: &Value) -> Vec<FieldError> {
    let number = |member: &str| object.get("spec").and_then(|spec| spec.get(member)).and_then(Value::as_i64);
    let rules = [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ];
    let wrong = rules.into_iter().filter_map(|(member, least, why)| {
        let value = number(member).filter(|value| *value < least)?;
        Some(FieldError::new(FieldErrorKind::Invalid, format!("spec.{member}"), Some(value.into()), why))
    });
    wrong.collect()
}

/// What is wrong with a key of a ConfigMap or a Secret, which becomes the name of a file.
fn key_errors(member: &str, key: &str) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    if key.len() > LONGEST_KEY {
        wrong.push(names::longer(LONGEST_KEY));
    }
    let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || b"-._".contains(&letter);
    if key.is_empty() || !key.bytes().all(is_letter) {
        wrong.push(KEY.to_owned());
    }
    match key {
        "." => wrong.push("must not be '.'".to_owned()),
        ".." => wrong.push("must not be '..'".to_owned()),
        _ if key.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong.into_iter().map(|why| invalid_key(member, key, &why)).collect()
}

fn invalid_key(member: &str, key: &str, why: &str) -> FieldError {
    FieldError::new(FieldErrorKind::Invalid, at_key(member, key), Some(key.into()), why)
}

fn missing(field: String) -> FieldError {
    FieldError::new(FieldErrorKind::Required, field, None, "")
}

fn too_large(field: &str) -> FieldError {
    let why = format!("may not be more than {LARGEST} bytes");
    FieldError::new(FieldErrorKind::TooLong, field, None, why)
}

/// Bytes of an object, which are in base64 there, as [`crate::schema::typed`] has rewritten it.
fn decoded(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_default();
    base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default()
}

/// What is wrong with a value that has to be an object in JSON. It is not repeated.
fn json_errors(data: &Map<String, Value>, key: &str) -> Option<FieldError> {
    let field = at_key("data", key);
    let Some(value) = data.get(key) else { return Some(missing(field)) };
    let bytes = decoded(value);
    let why = go::syntax_error(&bytes).or_else(|| {
        let found = match serde_json::from_slice(&bytes) {
            Ok(Value::Object(_) | Value::Null) => return None,
            Ok(Value::Array(_)) => "array",
            Ok(Value::String(_)) => "string",
            Ok(Value::Bool(_)) => "bool",
            Ok(Value::Number(_)) => "number",
            // Whatever Go reads and this does not.
            Err(_) => return None,
        };
        Some(format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"))
    })?;
    let hidden = Some("<secret contents redacted>".into());
    Some(FieldError::new(FieldErrorKind::Invalid, field, hidden, why))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(kind: BuiltinKind, object: &Value) -> Vec<String> {
        kind.data_errors(object).into_iter().map(|error| error.field).collect()
    }

    /// `base64` breaks its lines after 76 digits.
    #[test]
    fn bytes_may_be_written_on_several_lines() {
        let broken = "eyJhdXRocyI6\nIHt9fQ==\n";
        let mut object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"},
            "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": broken}});
        BuiltinKind::Secret.normalize(&mut object).expect("base64 as Go reads it");
        assert_eq!(object["data"][".dockerconfigjson"], "eyJhdXRocyI6IHt9fQ==");
        assert_eq!(fields(BuiltinKind::Secret, &object), Vec::<String>::new());
    }

    #[test]
    fn keys_are_names_of_files_in_their_folder() {
        for good in
            ["a", "A.b_c-D9", ".hidden", "...", &"a".repeat(253)].into_iter().filter(|key| *key != "...")
        {
            assert_eq!(key_errors("data", good), []);
        }
        for bad in ["", "a b", "a/b", "ä", ".", "..", "..a", "...", &"a".repeat(254)] {
            assert_eq!(key_errors("data", bad).len(), 1, "{bad}");
        }
        assert_eq!(
            key_errors("data", "..").iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["data[..]: Invalid value: \"..\": must not be '..'"]
        );
        let twice = json!({"data": {"a": "1"}, "binaryData": {"a": "AA==", "b/c": "AA=="}});
        assert_eq!(fields(BuiltinKind::ConfigMap, &twice), ["data[a]", "binaryData[b/c]"]);
        assert_eq!(fields(BuiltinKind::Secret, &json!({"data": {"a": "", "b/c": ""}})), ["data[b/c]"]);
        assert_eq!(fields(BuiltinKind::ServiceAccount, &twice), [""; 0]);
    }

    #[test]
    fn data_is_bounded_in_all() {
        let base64 = |length: usize| base64::engine::general_purpose::STANDARD.encode("x".repeat(length));
        for (more, wrong) in [(0, 0), (1, 1)] {
            let half = LARGEST / 2;
            let map = json!({"data": {"a": "x".repeat(half)}, "binaryData": {"b": base64(half + more)}});
            assert_eq!(fields(BuiltinKind::ConfigMap, &map), vec!["[]"; wrong]);
            let secret = json!({"data": {"a": base64(half), "b": base64(half + more)}});
            assert_eq!(fields(BuiltinKind::Secret, &secret), vec!["data"; wrong]);
        }
        assert_eq!(too_large("data").to_string(), "data: Too long: may not be more than 1048576 bytes");
    }

    #[test]
    fn what_is_wrong_with_a_secret_does_not_show_it() {
        let of = |value: &str| {
            let data = base64::engine::general_purpose::STANDARD.encode(value);
            let secret = json!({"type": "kubernetes.io/dockercfg", "data": {".dockercfg": data}});
            BuiltinKind::Secret.data_errors(&secret).first().map(ToString::to_string)
        };
        assert_eq!((of("{}"), of("null")), (None, None));
        let wrong = |why: &str| {
            Some(format!("data[.dockercfg]: Invalid value: \"<secret contents redacted>\": {why}"))
        };
        assert_eq!(
            of("[\"hunter2\"]"),
            wrong("json: cannot unmarshal array into Go value of type map[string]interface {}")
        );
        assert_eq!(of(""), wrong("unexpected end of JSON input"));
    }
}
