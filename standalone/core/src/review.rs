//! What a review of access has to ask.

use serde_json::Value;

use crate::go;
use crate::status::{FieldError, FieldErrorKind};

/// What is wrong with the question of a `SelfSubjectAccessReview`: it is about a resource or about a path.
pub fn errors(review: &Value) -> Vec<FieldError> {
    let asked = |member: &str| review["spec"].get(member).filter(|value| !value.is_null());
    match (asked("resourceAttributes"), asked("nonResourceAttributes")) {
        (Some(_), Some(path)) => {
            let text = |member: &str| go::quote(path[member].as_str().unwrap_or_default());
            let path = format!("{{\"Path\":{},\"Verb\":{}}}", text("path"), text("verb"));
            let why = format!("{path}: cannot be specified in combination with resourceAttributes");
            vec![FieldError::new(FieldErrorKind::Invalid, "spec.nonResourceAttributes", None, why)]
        }
        (None, None) => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let null = Some(Value::Null);
            vec![FieldError::new(FieldErrorKind::Invalid, "spec.resourceAttributes", null, why)]
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_question_is_about_a_resource_or_about_a_path() {
    use serde_json::json;
    let (resource, path) =
        (json!({"verb": "get", "resource": "secrets"}), json!({"verb": "get", "path": "/x"}));
    let review = |resource: &Value, path: &Value| {
        errors(&json!({"spec": {"resourceAttributes": resource, "nonResourceAttributes": path}}))
    };
    assert_eq!(review(&resource, &Value::Null), []);
    assert_eq!(review(&Value::Null, &path), []);
    assert_eq!(review(&Value::Null, &Value::Null)[0].field, "spec.resourceAttributes");
    assert_eq!(review(&resource, &path)[0].field, "spec.nonResourceAttributes");
    assert_eq!(errors(&json!({})).len(), 1);
}
