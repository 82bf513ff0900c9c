//! Names in OpenAPI: of documents, schemas and operations.

use crate::resource::Resource;

/// The schema of the subresource `scale`.
pub(super) const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// The path of a version, without a slash in front: also the name of its document.
pub(super) fn group_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// A schema that all groups share.
pub(super) fn meta(kind: &str) -> String {
    format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}")
}

/// The schema of objects of `resource`.
pub(super) fn model(resource: &Resource) -> String {
    named(resource, &resource.kind)
}

/// The schema of their lists.
pub(super) fn list_model(resource: &Resource) -> String {
    named(resource, &resource.list_kind())
}

fn named(resource: &Resource, kind: &str) -> String {
    let (group, version) = (&resource.group, &resource.version);
    if resource.definition().is_some() {
        let reversed: Vec<&str> = group.rsplit('.').collect();
        return format!("{}.{version}.{kind}", reversed.join("."));
    }
    match group.as_str() {
        "apiextensions.k8s.io" => {
            format!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{version}.{kind}")
        }
        _ => format!("io.k8s.api.{}.{version}.{kind}", short_group(group)),
    }
}

/// The group as operations have it.
pub(super) fn short_group(group: &str) -> &str {
    if group.is_empty() { "core" } else { group.strip_suffix(".k8s.io").unwrap_or(group) }
}

/// `text` with its parts joined and each but the first in capitals; the first, too, if `capital`.
pub(super) fn camel(text: &str, capital: bool) -> String {
    let (mut out, mut raise) = (String::new(), capital);
    for character in text.chars() {
        if character.is_alphabetic() || character == '_' || (character.is_ascii_digit() && !out.is_empty()) {
            if raise {
                out.extend(character.to_uppercase())
            } else {
                out.push(character)
            }
            raise = false;
        } else {
            raise = true;
        }
    }
    out
}

/// The article of a kind, with a space behind it; none for a plural.
pub(super) fn article(kind: &str) -> &'static str {
    match kind.chars().next().map(|first| first.to_ascii_lowercase()) {
        _ if kind.ends_with('s') && !kind.ends_with("ss") => "",
        Some('a' | 'e' | 'i' | 'o' | 'u') => "an ",
        _ => "a ",
    }
}
