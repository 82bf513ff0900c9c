//! The language of `fieldSelector`: fields that have to have a value or must not have it.

use std::fmt;

use serde_json::Value;

use super::SelectorError;
use crate::resource::Resource;
use crate::status::quoted;

/// A field selector.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Term {
    field: String,
    equal: bool,
    value: String,
}

/// By which fields a resource's objects are selected, besides by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fields {
    /// Those of core's Event.
    Event,
    /// Those of Event in `events.k8s.io`.
    NewEvent,
    Namespace,
    Secret,
    /// None: of a custom resource in a namespace.
    Custom,
    /// None: of a custom resource without a namespace.
    CustomOfCluster,
    /// None: of another kind of Kubernetes itself.
    Plain,
}

/// What an Event is about, in both versions of it.
const OBJECT: [&str; 7] = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"];

impl FieldSelector {
    /// Reads the text of a query parameter for objects of `resource`.
    ///
    /// # Errors
    /// `text` is no selector, or names a field that objects of `resource` are not selected by.
    pub fn parse(resource: &Resource, text: &str) -> Result<Self, SelectorError> {
        let mut terms: Vec<&str> = split_terms(text).into_iter().filter(|term| !term.is_empty()).collect();
        // The API server sorts them, and complains of the first that is wrong.
        terms.sort_unstable();
        let terms: Result<Vec<Term>, String> = terms.into_iter().map(|term| read(term, text)).collect();
        let mut terms = terms.map_err(SelectorError)?;
        let fields = Fields::of(resource);
        terms.iter().try_for_each(|term| fields.check(&term.field)).map_err(SelectorError)?;
        // However they are written: `==` is `=`.
        terms.sort_unstable();
        Ok(Self(terms))
    }

    /// Whether every object is meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `object` is meant.
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|term| (value(object, &term.field) == term.value) == term.equal)
    }

    /// Whether the object of this namespace, or of none, and name is meant; nothing when that depends on more of it.
    pub fn of_key(&self, namespace: &str, name: &str) -> Option<bool> {
        let mut is_known = true;
        for term in &self.0 {
            let value = match term.field.as_str() {
                "metadata.name" => name,
                "metadata.namespace" => namespace,
                _ => {
                    is_known = false;
                    continue;
                }
            };
            if (value == term.value) != term.equal {
                return Some(false);
            }
        }
        is_known.then_some(true)
    }

    /// The value that `field` has to have, if there is one.
    pub fn exactly(&self, field: &str) -> Option<&str> {
        let term = self.0.iter().find(|term| term.equal && term.field == field);
        term.map(|term| term.value.as_str())
    }
}

/// As [`FieldSelector::parse`] reads it as the same.
impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Term { field, equal, value }) in self.0.iter().enumerate() {
            let (comma, operator) = (if at == 0 { "" } else { "," }, if *equal { "=" } else { "!=" });
            let value = value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(f, "{comma}{field}{operator}{value}")?;
        }
        Ok(())
    }
}

/// The terms between commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn read(term: &str, selector: &str) -> Result<Term, String> {
    let parts = term.char_indices().find_map(|(at, _)| {
        let rest = &term[at..];
        let operator = ["!=", "==", "="].into_iter().find(|operator| rest.starts_with(operator))?;
        Some((&term[..at], operator, &rest[operator.len()..]))
    });
    let Some((field, operator, value)) = parts else {
        return Err(format!("invalid selector: '{selector}'; can't understand '{term}'"));
    };
    Ok(Term { field: field.to_owned(), equal: operator != "!=", value: unescaped(value)? })
}

/// `value` without the backslashes before backslashes, commas and equals signs, none of which may stand without one.
fn unescaped(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => plain.push(escaped),
                other => {
                    let sequence: String = std::iter::once('\\').chain(other).collect();
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            ',' | '=' => {
                let code = u32::from(character);
                return Err(format!("invalid field selector: unescaped character in value: {code}"));
            }
            _ => plain.push(character),
        }
    }
    Ok(plain)
}

impl Fields {
    fn of(resource: &Resource) -> Self {
        match (resource.group.as_str(), resource.kind.as_str()) {
            _ if resource.definition().is_some() && resource.namespaced => Self::Custom,
            _ if resource.definition().is_some() => Self::CustomOfCluster,
            ("", "Event") => Self::Event,
            ("events.k8s.io", "Event") => Self::NewEvent,
            ("", "Namespace") => Self::Namespace,
            ("", "Secret") => Self::Secret,
            _ => Self::Plain,
        }
    }

    fn check(self, field: &str) -> Result<(), String> {
        let object = |prefix: &str| {
            let member = field.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.'));
            member.is_some_and(|member| OBJECT.contains(&member))
        };
        let known = match (self, field) {
            (_, "metadata.name") => true,
            (Self::Namespace | Self::CustomOfCluster, "metadata.namespace") => false,
            (_, "metadata.namespace") => true,
            (Self::Namespace, "status.phase") | (Self::Secret, "type") => true,
            (Self::Event, "reason" | "reportingComponent" | "source" | "type") => true,
            (Self::NewEvent, "reason" | "reportingController" | "type") => true,
            (Self::Event, _) => object("involvedObject"),
            (Self::NewEvent, _) => object("regarding"),
            _ => false,
        };
        match self {
            _ if known => Ok(()),
            Self::Plain => Err(format!(
                "{} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
                quoted(field)
            )),
            _ => Err(format!("field label not supported: {field}")),
        }
    }
}

/// What `object` has in a field that it is selected by; empty when it has nothing. Of an Event, in either version of it.
fn value<'a>(object: &'a Value, field: &str) -> &'a str {
    let at = |path: &str| path.split('.').fold(object, |value, member| &value[member]);
    let first = |paths: [&str; 2]| {
        let texts = paths.map(|path| at(path).as_str().unwrap_or_default());
        if texts[0].is_empty() { texts[1] } else { texts[0] }
    };
    if let Some(member) = field.strip_prefix("involvedObject.").or_else(|| field.strip_prefix("regarding.")) {
        return first([&format!("involvedObject.{member}"), &format!("regarding.{member}")]);
    }
    match field {
        "reportingComponent" | "reportingController" => first(["reportingComponent", "reportingController"]),
        "source" => match first(["source.component", "deprecatedSource.component"]) {
            "" => first(["reportingComponent", "reportingController"]),
            component => component,
        },
        _ => at(field).as_str().unwrap_or_default(),
    }
}
