//! What names, labels, annotations and finalizers may be, in the words of apimachinery's validation.

use serde_json::Value;

use super::{metadata, owners};
use crate::status::{FieldError, FieldErrorKind};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const PARTS: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";

/// The longest name of an object, in bytes.
const LONGEST_NAME: usize = 253;
/// The longest label of a DNS name, name part of a label, and value of a label, in bytes.
const LONGEST_LABEL: usize = 63;
/// The most that annotations may have together, in bytes.
const ANNOTATIONS: usize = 256 << 10;

/// Finalizers of Kubernetes itself, which need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", metadata::FOREGROUND, metadata::ORPHAN];

/// The rules that the names of a resource's objects obey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// A name of DNS.
    Subdomain,
    /// One part of such a name.
    Label,
}

fn too_long(longest: usize) -> String {
    format!("must be no more than {longest} bytes")
}

fn is_label_of_dns(text: &str) -> bool {
    let inner = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.bytes().all(|letter| inner(letter) || letter == b'-')
        && text.bytes().next().is_some_and(inner)
        && text.bytes().last().is_some_and(inner)
}

fn is_name_part(text: &str) -> bool {
    text.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter))
        && text.bytes().next().is_some_and(|letter| letter.is_ascii_alphanumeric())
        && text.bytes().last().is_some_and(|letter| letter.is_ascii_alphanumeric())
}

/// The rules about names count in characters, in kube-apiserver's words, those about labels in bytes. Both mean bytes.
pub(crate) fn longer(longest: usize) -> String {
    format!("must be no more than {longest} characters")
}

fn subdomain(text: &str, too_long: fn(usize) -> String) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LONGEST_NAME {
        wrong.push(too_long(LONGEST_NAME));
    }
    if !text.split('.').all(is_label_of_dns) {
        wrong.push(SUBDOMAIN.to_owned());
    }
    wrong
}

/// What is wrong with the name of an object.
pub fn name(rule: NameRule, text: &str) -> Vec<String> {
    match rule {
        NameRule::Subdomain => subdomain(text, longer),
        NameRule::Label => {
            let mut wrong = Vec::new();
            if text.len() > LONGEST_LABEL {
                wrong.push(longer(LONGEST_LABEL));
            }
            if !is_label_of_dns(text) {
                let is_subdomain = text.split('.').all(is_label_of_dns);
                wrong.push(if is_subdomain { "must not contain dots" } else { LABEL }.to_owned());
            }
            wrong
        }
    }
}

/// What is wrong with a name of which nothing is demanded but that it is one part of a path.
pub fn path_part(text: &str) -> Vec<String> {
    match text {
        "." | ".." => vec![format!("may not be '{text}'")],
        _ => ['/', '%']
            .into_iter()
            .filter(|letter| text.contains(*letter))
            .map(|letter| format!("may not contain '{letter}'"))
            .collect(),
    }
}

/// What is wrong with the key of a label or an annotation, or with a finalizer.
pub(crate) fn qualified(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut parts = text.split('/');
    let part = match (parts.next(), parts.next(), parts.next()) {
        (Some(part), None, _) => part,
        (Some(prefix), Some(part), None) => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(subdomain(prefix, too_long).into_iter().map(|why| format!("prefix part {why}")));
            }
            part
        }
        _ => return vec![PARTS.to_owned()],
    };
    if part.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if part.len() > LONGEST_LABEL {
        wrong.push(format!("name part {}", too_long(LONGEST_LABEL)));
    }
    if !is_name_part(part) {
        wrong.push(QUALIFIED.to_owned());
    }
    wrong
}

fn label_value(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LONGEST_LABEL {
        wrong.push(too_long(LONGEST_LABEL));
    }
    if !text.is_empty() && !is_name_part(text) {
        wrong.push(LABEL_VALUE.to_owned());
    }
    wrong
}

fn invalid(field: &str, value: &str, why: String) -> FieldError {
    FieldError::new(FieldErrorKind::Invalid, field, Some(value.into()), why)
}

/// Who looks at the metadata of an object, which kube-apiserver does several times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Whoever stores objects of any kind.
    Any,
    /// The rules of a custom resource.
    Custom,
    /// The rules of one of Kubernetes' own kinds, with those of its names.
    Own(NameRule),
}

/// What is wrong with the metadata of an object that is to be stored.
pub fn metadata_errors(object: &Value, look: Look) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let text = metadata::text(object, "name");
    let rule = match look {
        Look::Any => None,
        Look::Custom => Some(NameRule::Subdomain),
        Look::Own(rule) => Some(rule),
    };
    if text.is_empty() {
        let why = "name or generateName is required";
        errors.push(FieldError::new(FieldErrorKind::Required, "metadata.name", None, why));
    } else if let Some(rule) = rule {
        errors.extend(name(rule, text).into_iter().map(|why| invalid("metadata.name", text, why)));
    }
    errors.extend(labels_and_annotations(object));
    errors.extend(owners::errors(object));
    let finalizers = metadata::finalizers(object);
    let wrong = |finalizer: &String| {
        let wrong = qualified(finalizer).into_iter();
        wrong.map(|why| invalid("metadata.finalizers", finalizer, why)).collect::<Vec<_>>()
    };
    errors.extend(finalizers.iter().flat_map(wrong));
    if matches!(look, Look::Own(_)) {
        for (at, finalizer) in finalizers.iter().enumerate().filter(|(_, one)| is_unqualified(one)) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(invalid(&format!("metadata.finalizers[{at}]"), finalizer, why.to_owned()));
        }
    }
    errors
}

/// Whether a finalizer has no domain and is none of Kubernetes itself.
fn is_unqualified(finalizer: &str) -> bool {
    !finalizer.contains('/') && !STANDARD_FINALIZERS.contains(&finalizer)
}

/// What is said of the finalizers that `new` has and `old` had not, where any may be: a name without a domain or a path may be
/// another's, too.
pub fn finalizer_warnings(old: Option<&Value>, new: &Value) -> Vec<String> {
    let had = old.map(metadata::finalizers).unwrap_or_default();
    let mut added = metadata::finalizers(new);
    added.retain(|finalizer| is_unqualified(finalizer) && !had.contains(finalizer));
    added.sort();
    added.dedup();
    let warning = |finalizer: &String| {
        let path = if finalizer.contains('.') { " including a path (/)" } else { "" };
        format!(
            "metadata.finalizers: {}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with other finalizer writers",
            crate::go::quote(finalizer)
        )
    };
    added.iter().map(warning).collect()
}

/// What is wrong with labels and annotations.
pub fn labels_and_annotations(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (key, value) in members(object, "labels") {
        errors.extend(qualified(key).into_iter().map(|why| invalid("metadata.labels", key, why)));
        errors.extend(label_value(value).into_iter().map(|why| invalid("metadata.labels", value, why)));
    }
    let mut size = 0;
    for (key, value) in members(object, "annotations") {
        size += key.len() + value.len();
        let wrong = qualified(&key.to_lowercase());
        errors.extend(wrong.into_iter().map(|why| invalid("metadata.annotations", key, why)));
    }
    if size > ANNOTATIONS {
        let why = format!("may not be more than {ANNOTATIONS} bytes");
        errors.push(FieldError::new(FieldErrorKind::TooLong, "metadata.annotations", None, why));
    }
    errors
}

fn members<'a>(object: &'a Value, member: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let members = metadata::get(object, member).and_then(Value::as_object).into_iter().flatten();
    members.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
}
