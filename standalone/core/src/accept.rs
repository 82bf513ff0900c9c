//! The header `Accept`: in which form an answer is wanted.
//!
//! Besides a media type it may ask for another kind of object, such as
//! `application/json;as=Table;v=v1;g=meta.k8s.io,application/json`
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>). Answers here are JSON or YAML; a
//! clause that asks for protobuf or CBOR is passed over, as every client that asks for these names JSON behind it.

use crate::resource::Resource;

/// The media types that a `NotAcceptable` to `header` names. kube-apiserver names protobuf, too: here it is left out where it
/// was asked for, as it is not answered.
pub fn media_types(header: &str) -> &'static [&'static str] {
    const ALL: [&str; 3] = ["application/json", "application/yaml", PROTOBUF];
    if header.contains(PROTOBUF) { &ALL[..2] } else { &ALL }
}

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
}

/// The kind of object that is wanted instead of the object itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transform {
    /// Its kind (`as`).
    pub kind: String,
    /// Its API group (`g`).
    pub group: String,
    /// The version of the group (`v`).
    pub version: String,
}

/// What was agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// How it is written.
    pub format: Format,
    /// What kind of object it is, if it is another one.
    pub transform: Option<Transform>,
    /// Whether it is indented (`pretty=1`).
    pub pretty: bool,
}

impl Accepted {
    const ANYTHING: Self = Self { format: Format::Json, transform: None, pretty: false };
}

/// One of the header's alternatives.
#[derive(Debug, PartialEq)]
struct Clause<'a> {
    media: (&'a str, &'a str),
    quality: f64,
    parameters: Vec<(&'a str, &'a str)>,
}

/// The first alternative of `header` that can be answered, where `allows` says which transforms there are; `None` is a
/// `NotAcceptable`. `watch` is whether the answer is a stream of events.
pub fn negotiate(header: &str, watch: bool, allows: impl Fn(&Transform) -> bool) -> Option<Accepted> {
    if header.is_empty() {
        return Some(Accepted::ANYTHING);
    }
    clauses(header).iter().find_map(|clause| accept(clause, watch, &allows))
}

/// The same for objects and lists of `resource`: whole, as a Table, or their metadata alone.
pub fn for_resource(header: &str, watch: bool, resource: &Resource) -> Option<Accepted> {
    negotiate(header, watch, |transform| {
        let meta = transform.group == "meta.k8s.io" && matches!(transform.version.as_str(), "v1" | "v1beta1");
        meta && match transform.kind.as_str() {
            "Table" => !resource.is_review(),
            "PartialObjectMetadata" | "PartialObjectMetadataList" => true,
            _ => false,
        }
    })
}

fn accept(clause: &Clause<'_>, watch: bool, allows: impl Fn(&Transform) -> bool) -> Option<Accepted> {
    let format = match clause.media {
        ("application", "json") | ("application" | "*", "*") => Format::Json,
        ("application", "yaml") => Format::Yaml,
        _ => return None,
    };
    let mut accepted = Accepted { format, ..Accepted::ANYTHING };
    for &(name, value) in &clause.parameters {
        let transform = |accepted: &mut Accepted| accepted.transform.take().unwrap_or_default();
        match name {
            "as" => {
                accepted.transform = Some(Transform { kind: value.to_owned(), ..transform(&mut accepted) });
            }
            "g" => {
                accepted.transform = Some(Transform { group: value.to_owned(), ..transform(&mut accepted) })
            }
            "v" => {
                accepted.transform =
                    Some(Transform { version: value.to_owned(), ..transform(&mut accepted) });
            }
            "stream" if value != "watch" || (watch && format == Format::Yaml) => return None,
            "sv" if value != "v1" => return None,
            "pretty" => accepted.pretty = value == "1",
            _ => {}
        }
    }
    accepted.transform.as_ref().is_none_or(allows).then_some(accepted)
}

/// The alternatives of `header`, the ones that are preferred first. What is no media type is passed over.
fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = header.split(',').filter_map(clause).collect();
    // As the API server sorts: by quality, and wildcards last among equals; others stay in their order.
    clauses.sort_by(|one, other| {
        let wildcards = |clause: &Clause<'_>| (clause.media.0 == "*", clause.media.1 == "*");
        other.quality.total_cmp(&one.quality).then_with(|| wildcards(one).cmp(&wildcards(other)))
    });
    clauses
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.split(';').map(|part| part.trim_matches(' '));
    let media = match parts.next()?.split_once('/') {
        Some((kind, subtype)) if !subtype.is_empty() && !subtype.contains('/') => {
            (kind.trim_matches(' '), subtype.trim_matches(' '))
        }
        None if text.starts_with('*') || text.trim_matches(' ').starts_with('*') => ("*", "*"),
        _ => return None,
    };
    let mut clause = Clause { media, quality: 1.0, parameters: Vec::new() };
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        let (name, value) = (name.trim_matches(' '), value.trim_matches(' '));
        match name {
            _ if value.is_empty() || value.contains('=') => {}
            "q" => clause.quality = value.parse().unwrap_or_default(),
            _ => clause.parameters.push((name, value)),
        }
    }
    Some(clause)
}

#[cfg(test)]
mod tests {
    use super::{Accepted, Format, Transform, clauses, media_types, negotiate};

    fn table(transform: &Transform) -> bool {
        transform.kind == "Table" && transform.group == "meta.k8s.io" && transform.version == "v1"
    }

    fn kind(header: &str) -> Option<String> {
        negotiate(header, false, table)
            .map(|accepted| accepted.transform.map_or(String::new(), |as_| as_.kind))
    }

    #[test]
    fn what_kubectl_asks_for_is_understood() {
        let get = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,\
                   application/json";
        let transform = Transform { kind: "Table".into(), group: "meta.k8s.io".into(), version: "v1".into() };
        let accepted = Accepted { format: Format::Json, transform: Some(transform), pretty: false };
        assert_eq!(negotiate(get, false, table), Some(accepted));
        assert_eq!(kind("application/vnd.kubernetes.protobuf,application/json"), Some(String::new()));
    }

    #[test]
    fn what_cannot_be_answered_is_passed_over() {
        assert_eq!(kind("application/json;as=Table;v=v2;g=meta.k8s.io"), None);
        assert_eq!(
            kind("application/json;as=Table;v=v2;g=meta.k8s.io,application/json"),
            Some(String::new())
        );
        assert_eq!(kind("application/vnd.kubernetes.protobuf"), None);
        assert_eq!(kind("text/html"), None);
        assert_eq!(kind("application"), None);
        assert_eq!(kind("application/json;stream=other"), None);
    }

    #[test]
    fn what_is_not_answered_is_not_offered_to_whom_asks_for_it() {
        assert_eq!(media_types("text/html").len(), 3);
        assert_eq!(
            media_types("application/vnd.kubernetes.protobuf;q=1"),
            ["application/json", "application/yaml"]
        );
    }

    #[test]
    fn no_header_and_wildcards_mean_json() {
        for header in ["", "*/*", "application/*", "*", "text/html, */*;q=0.1"] {
            assert_eq!(negotiate(header, false, table), Some(Accepted::ANYTHING), "{header}");
        }
    }

    #[test]
    fn what_is_preferred_comes_first() {
        let of = |header| {
            clauses(header)
                .iter()
                .map(|clause| format!("{}/{}", clause.media.0, clause.media.1))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("a/b;q=0.5, c/d, */*, e/*"), ["c/d", "e/*", "*/*", "a/b"]);
        assert_eq!(of("a/b;q=x, c/d/e, /f, g/, h"), ["/f", "a/b"]);
        let yaml = negotiate("application/json;q=0.1,application/yaml;pretty=1", false, table);
        assert_eq!(yaml, Some(Accepted { format: Format::Yaml, transform: None, pretty: true }));
    }
}
