use serde_json::json;

use super::*;

#[test]
fn a_status_has_the_members_that_clients_read() {
    let status = Status::not_found("fleetmesh.dev", "meshes", "apps");
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "meshes.fleetmesh.dev \"apps\" not found", "reason": "NotFound",
        "details": {"name": "apps", "group": "fleetmesh.dev", "kind": "meshes"}, "code": 404,
    });
    assert_eq!(status.to_value(), expected);
    assert_eq!(Status::not_found("", "secrets", "a").message, "secrets \"a\" not found");
}

#[test]
fn what_is_wrong_with_members_is_in_the_message_and_in_causes() {
    let port = FieldError::new(
        FieldErrorKind::Invalid,
        "spec.port",
        Some(json!(0)),
        "should be greater than or equal to 1",
    );
    let name =
        FieldError::new(FieldErrorKind::Required, "metadata.name", Some(json!("")), "name is required");
    let one = Status::invalid("fleetmesh.dev", "Mesh", "apps", std::slice::from_ref(&port));
    assert_eq!(
        one.message,
        "Mesh.fleetmesh.dev \"apps\" is invalid: spec.port: Invalid value: 0: should be greater than or equal to 1"
    );
    let several = Status::invalid("", "Secret", "", &[port.clone(), name, port]);
    assert_eq!(
        several.message,
        "Secret \"\" is invalid: [spec.port: Invalid value: 0: should be greater than or equal to 1, metadata.name: Required value: name is required]"
    );
    let causes = several.details.expect("details").causes;
    assert_eq!((causes.len(), causes[1].reason.as_str()), (3, "FieldValueRequired"));
}

#[test]
fn text_is_quoted_as_go_quotes_it() {
    assert_eq!(quoted("a\"b\\c\nd\u{1}é\u{7f}"), "\"a\\\"b\\\\c\\nd\\x01é\\x7f\"");
}
