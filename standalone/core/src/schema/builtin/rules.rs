//! What Kubernetes' own kinds demand of an update beside their types.

use serde_json::Value;

use super::BuiltinKind;
use crate::status::{FieldError, FieldErrorKind};

impl BuiltinKind {
    /// What is wrong with `new`, which is to replace `old`: the type of a secret never changes, and data that is immutable stays
    /// as it is, and immutable.
    #[must_use]
    pub fn update_errors(self, old: &Value, new: &Value) -> Vec<FieldError> {
        let data: &[&str] = match self {
            Self::ConfigMap => &["data", "binaryData"],
            Self::Secret => &["data"],
            _ => return Vec::new(),
        };
        let mut errors = Vec::new();
        if self == Self::Secret && old.get("type") != new.get("type") {
            let value = new.get("type").cloned();
            errors.push(FieldError::new(FieldErrorKind::Invalid, "type", value, "field is immutable"));
        }
        let is_immutable = |object: &Value| object.get("immutable").and_then(Value::as_bool) == Some(true);
        if is_immutable(old) {
            let changed = |member: &&&str| old.get(**member) != new.get(**member);
            let members = (!is_immutable(new)).then_some(&"immutable").into_iter();
            errors.extend(members.chain(data.iter().filter(changed)).map(|member| {
                let why = "field is immutable when `immutable` is set";
                FieldError::new(FieldErrorKind::Forbidden, *member, None, why)
            }));
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_immutable_stays_so() {
        let fields = |kind: BuiltinKind, old: &Value, new: &Value| {
            kind.update_errors(old, new).into_iter().map(|error| error.field).collect::<Vec<_>>()
        };
        let old = json!({"immutable": true, "data": {"a": "1"}, "type": "Opaque"});
        let new = json!({"data": {"a": "2"}, "binaryData": {"b": ""}, "type": "other"});
        assert_eq!(fields(BuiltinKind::ConfigMap, &old, &new), ["immutable", "data", "binaryData"]);
        assert_eq!(fields(BuiltinKind::Secret, &old, &new), ["type", "immutable", "data"]);
        assert_eq!(fields(BuiltinKind::Secret, &new, &old), ["type"]);
        assert_eq!(fields(BuiltinKind::ServiceAccount, &old, &new), [""; 0]);
        let mut labelled = old.clone();
        labelled["metadata"] = json!({"labels": {"a": "b"}});
        assert_eq!(fields(BuiltinKind::ConfigMap, &old, &labelled), [""; 0]);
        assert_eq!(
            BuiltinKind::ConfigMap.update_errors(&old, &new)[0].to_string(),
            "immutable: Forbidden: field is immutable when `immutable` is set"
        );
    }
}
