//! What people get wrong most often, with the member and how it is written: what the API says of it are the words of a decoder.
//! Nothing of a Secret is repeated.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::Manifest;
use crate::status::quoted;

/// As many are named.
const SHOWN: usize = 5;

/// A mistake, and the way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The member; none when several are in the message.
    pub(super) field: Option<String>,
    pub(super) message: String,
}

/// The mistake in `manifest`, which the API refused by `status`; none when it is another one.
pub(super) fn find(manifest: &Manifest, status: &Value) -> Option<Mistake> {
    let mut found = no_namespace(manifest, status).map_or_else(|| members(manifest), |one| vec![one]);
    if found.len() < 2 {
        return found.pop().map(|(field, message)| Mistake { field: Some(field), message });
    }
    let more = found.len().saturating_sub(SHOWN);
    let shown: Vec<String> =
        found.iter().take(SHOWN).map(|(field, message)| format!("{field}: {message}")).collect();
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Some(Mistake { field: None, message: shown.join("; ") + &more })
}

fn no_namespace(manifest: &Manifest, status: &Value) -> Option<(String, String)> {
    let namespace = manifest.name.namespace.as_str();
    let details = &status["details"];
    let is_it =
        status["reason"] == "NotFound" && details["kind"] == "namespaces" && details["name"] == namespace;
    let message = || {
        let shown = quoted(namespace);
        format!(
            "there is no namespace {shown}: add a manifest of it (kind: Namespace) to the directory, or make it by kubectl create namespace {namespace}"
        )
    };
    is_it.then(|| ("metadata.namespace".to_owned(), message()))
}

/// The members of maps with texts whose values are none.
fn members(manifest: &Manifest) -> Vec<(String, String)> {
    let object = &manifest.object;
    let kind = if manifest.name.group.is_empty() { manifest.name.kind.as_str() } else { "" };
    let is_secret = manifest.name.is_secret();
    let mut found = Vec::new();
    let mut look = |path: &str, map: &Value, fault: &dyn Fn(&Value) -> Option<String>| {
        let members = map.as_object().into_iter().flat_map(Map::iter);
        found.extend(members.filter_map(|(name, value)| Some((format!("{path}[{name}]"), fault(value)?))));
    };
    let text = |value: &Value| not_text(value, is_secret);
    for member in ["labels", "annotations"] {
        look(&format!("metadata.{member}"), &object["metadata"][member], &text);
    }
    match kind {
        "ConfigMap" => {
            look("data", &object["data"], &text);
            look("binaryData", &object["binaryData"], &|value| not_base64(value, "data"));
        }
        "Secret" => {
            look("data", &object["data"], &|value| not_base64(value, "stringData"));
            look("stringData", &object["stringData"], &text);
        }
        _ => {}
    }
    found
}

fn what(value: &Value) -> Option<&'static str> {
    match value {
        Value::Null | Value::String(_) => None,
        Value::Bool(_) => Some("a boolean, as yes, no, on and off are"),
        Value::Number(_) => Some("a number"),
        Value::Array(_) => Some("a list"),
        Value::Object(_) => Some("a map"),
    }
}

fn not_text(value: &Value, is_secret: bool) -> Option<String> {
    let what = what(value)?;
    let shown =
        if is_secret || value.is_array() || value.is_object() { "it".to_owned() } else { value.to_string() };
    let way = if value.is_array() || value.is_object() {
        "write it as a text, for example after |"
    } else {
        "put it in quotes"
    };
    Some(format!("{shown} is {what}, and it has to be a text: {way}"))
}

fn not_base64(value: &Value, plain: &str) -> Option<String> {
    let way = format!("encode it (base64 -w0), or write it as it is, in quotes, into {plain}");
    let Value::String(text) = value else {
        return what(value).map(|what| format!("it is {what}, and it has to be base64: {way}"));
    };
    let text: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    let is_read = base64::engine::general_purpose::STANDARD.decode(text).is_ok();
    (!is_read).then(|| format!("it is no base64: {way}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifests::{Problem, read};
    use crate::resource::Resources;

    fn refused(object: Value, status: &Value) -> String {
        let found = read("x.yaml", vec![object], &Resources::new(&fleetmesh_crds::all()));
        let manifest = found.into_iter().next().expect("one").expect("a manifest");
        Problem::refused(&manifest, status).to_string()
    }

    #[test]
    fn what_is_no_text_is_named_with_its_value_and_has_to_be_quoted() {
        let object = |data: Value, labels: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": labels}, "data": data});
        let status = json!({"reason": "BadRequest", "message": "cannot restore slice from map"});
        assert_eq!(
            refused(object(json!({"fine": "1", "none": null, "port": 8080}), json!({})), &status),
            "x.yaml, document 1 (ConfigMap default/a), data[port]: 8080 is a number, and it has to be a text: put it in quotes"
        );
        assert_eq!(
            refused(object(json!({"tls": {"mode": "on"}}), json!({"version": 1.5})), &status),
            "x.yaml, document 1 (ConfigMap default/a): metadata.labels[version]: 1.5 is a number, and it has to be a text: put it in \
             quotes; data[tls]: it is a map, and it has to be a text: write it as a text, for example after |"
        );
        let many: Map<String, Value> = (0..9).map(|number| (format!("k{number}"), true.into())).collect();
        assert!(refused(object(many.into(), json!({})), &status).ends_with("in quotes; and 4 more"));
        let other = refused(object(json!({"a": "b"}), json!({})), &status);
        assert!(other.ends_with(": cannot restore slice from map"), "{other}");
    }

    #[test]
    fn of_a_secret_the_member_is_named_and_no_value() {
        let status = json!({"reason": "BadRequest", "message": "illegal base64 data: hunter2"});
        let secret = |data: Value, texts: Value| {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data, "stringData": texts});
            refused(secret, &status)
        };
        let said = secret(json!({"fine": "YQ==\n", "password": "hunter2"}), json!({}));
        assert_eq!(
            said,
            "x.yaml, document 1 (Secret default/s), data[password]: it is no base64: encode it (base64 -w0), or write it as it is, in \
             quotes, into stringData"
        );
        let said = secret(json!({}), json!({"pin": 4711}));
        assert_eq!(
            said,
            "x.yaml, document 1 (Secret default/s), stringData[pin]: it is a number, and it has to be a text: put it in quotes"
        );
        let said = secret(json!({"pin": 4711}), json!({}));
        assert!(
            said.contains("data[pin]: it is a number, and it has to be base64") && !said.contains("4711"),
            "{said}"
        );
    }

    #[test]
    fn a_namespace_that_is_not_there_is_said_with_the_way_out() {
        let status = json!({
            "reason": "NotFound", "message": "namespaces \"shop\" not found", "details": {"name": "shop", "kind": "namespaces"},
        });
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "shop"}, "data": {"a": 1}});
        assert_eq!(
            refused(object, &status),
            "x.yaml, document 1 (ConfigMap shop/a), metadata.namespace: there is no namespace \"shop\": add a manifest of it (kind: \
             Namespace) to the directory, or make it by kubectl create namespace shop"
        );
    }
}
