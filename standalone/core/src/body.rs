//! The object in the body of a request, and what is said of a body that is none, in kube-apiserver's words.

use std::fmt::Display;

use serde_json::{Map, Value};

use crate::go::{self, syntax_error};
use crate::protobuf;
use crate::resource::Resource;
use crate::schema::{BuiltinKind, Decoded, decode};
use crate::status::Status;

/// As much of a body as a message repeats, in bytes.
const SUMMARY: usize = 30;
/// What is read first: the type of the object, as Go prints the type of what it is read into.
const TYPE_META: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
/// How errors about that begin.
const NO_TYPE: &str = "couldn't get version/kind; json parse error:";

/// The message about a body that is no object of `kind`; `why` says what is wrong with it.
pub fn unrecognized(kind: &str, why: impl Display, body: &[u8]) -> String {
    format!("the object provided is unrecognized (must be of type {kind}): {why} ({})", summary(body))
}

/// The beginning of a body, as text if it may be JSON, else in hexadecimal.
fn summary(body: &[u8]) -> String {
    let start = body.get(..SUMMARY).unwrap_or(body);
    let more = if body.len() > SUMMARY { " ..." } else { "" };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(start)),
        Some(_) => format!("{}{more}", start.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

/// The object in a body of JSON, for a request that is about `resource`.
///
/// # Errors
/// 400: it is no JSON, no object, or one of another kind.
pub fn json(body: &[u8], resource: &Resource) -> Result<Decoded, Status> {
    let mut decoded = decode(body).map_err(|error| {
        let why = syntax_error(body).unwrap_or_else(|| error.to_string());
        Status::bad_request(unrecognized(&resource.kind, format!("{NO_TYPE} {why}"), body))
    })?;
    check_type(&mut decoded.value, resource, body)?;
    Ok(decoded)
}

/// Checks what an object in `body` says of its type, of which it may leave out what `resource` says. Other versions of the same kind
/// are found out later.
///
/// # Errors
/// 400: it is no object, or one of another kind.
pub fn check_type(value: &mut Value, resource: &Resource, body: &[u8]) -> Result<(), Status> {
    let unrecognized = |why: String| Status::bad_request(unrecognized(&resource.kind, why, body));
    if value.is_null() && resource.definition().is_none() {
        *value = Value::Object(Map::new());
    }
    if !value.is_object() && !value.is_null() {
        let found = go::kind(value);
        return Err(unrecognized(format!(
            "{NO_TYPE} json: cannot unmarshal {found} into Go value of type {TYPE_META}"
        )));
    }
    let text = |member: &str| match value.get(member) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(other) => Err(unrecognized(format!(
            "{NO_TYPE} json: cannot unmarshal {} into Go struct field .{member} of type string",
            go::kind(other)
        ))),
    };
    let (version, kind) = (text("apiVersion")?, text("kind")?);
    if version.matches('/').count() > 1 {
        return Err(unrecognized(format!("unexpected GroupVersion string: {version}")));
    }
    if resource.definition().is_some() {
        let whole = || String::from_utf8_lossy(body);
        return match kind {
            "" => Err(unrecognized(format!("Object 'Kind' is missing in '{}'", whole()))),
            _ => Ok(()),
        };
    }
    // Definitions have no schema here; `store::definitions` says what may be written of them.
    let own = resource.api_version();
    if BuiltinKind::of(&own, &resource.kind).is_none() {
        return Ok(());
    }
    let or = |said: &str, default: &str| if said.is_empty() { default.to_owned() } else { said.to_owned() };
    let (version, kind) = (or(version, &own), or(kind, &resource.kind));
    match protobuf::mismatch((&version, &kind), (&own, &resource.kind)) {
        None => Ok(()),
        Some(error) => Err(Status::bad_request(error.message(&resource.kind, body))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Resources;

    fn message(plural: &str, body: &str) -> String {
        let resources = Resources::new(&fleetmesh_crds::all());
        let resource = resources.iter().find(|one| one.plural == plural).expect("a resource");
        json(body.as_bytes(), resource)
            .map_or_else(|status| status.message, |decoded| decoded.value.to_string())
    }

    #[test]
    fn what_is_no_object_is_named_with_its_beginning() {
        let unrecognized = "the object provided is unrecognized (must be of type ConfigMap): ";
        for (body, why) in [
            ("", "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
            ("{", "couldn't get version/kind; json parse error: unexpected end of JSON input ({)"),
            (
                "x",
                "couldn't get version/kind; json parse error: invalid character 'x' looking for beginning of value (78)",
            ),
            (
                r#"{"kind": 7}"#,
                "couldn't get version/kind; json parse error: json: cannot unmarshal number into Go struct field .kind of type string ({\"kind\": 7})",
            ),
            (
                r#"{"apiVersion":"a/b/c"}"#,
                "unexpected GroupVersion string: a/b/c ({\"apiVersion\":\"a/b/c\"})",
            ),
        ] {
            assert_eq!(message("configmaps", body), format!("{unrecognized}{why}"));
        }
        let long = format!("{{{}", "a".repeat(40));
        assert!(message("configmaps", &long).ends_with("({aaaaaaaaaaaaaaaaaaaaaaaaaaaaa ...)"));
        assert!(message("meshes", "[]").ends_with("Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" } (5b5d)"));
    }

    #[test]
    fn what_is_of_another_kind_is_named() {
        for (plural, body, expected) in [
            ("configmaps", "null", "{}"),
            ("configmaps", r#"{"metadata":{}}"#, r#"{"metadata":{}}"#),
            (
                "configmaps",
                r#"{"apiVersion":"v1","kind":"Secret"}"#,
                "Secret in version \"v1\" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion",
            ),
            (
                "configmaps",
                r#"{"apiVersion":"v2","kind":"ConfigMap"}"#,
                "ConfigMap in version \"v2\" cannot be handled as a ConfigMap: no kind \"ConfigMap\" is registered for version \"v2\" in scheme \"pkg/runtime/scheme.go:111\"",
            ),
            (
                "meshes",
                r#"{"spec":{}}"#,
                "the object provided is unrecognized (must be of type Mesh): Object 'Kind' is missing in '{\"spec\":{}}' ({\"spec\":{}})",
            ),
            ("meshes", r#"{"kind":"Other"}"#, r#"{"kind":"Other"}"#),
        ] {
            assert_eq!(message(plural, body), expected);
        }
    }
}
