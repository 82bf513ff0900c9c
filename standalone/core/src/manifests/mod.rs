//! Decisions about a directory of manifests that is applied: what its documents are, in which order they go to the API, and what was
//! made for it and is no longer in it.
//!
//! `files → documents → manifests or problems → plan → what is applied, what is pruned`
//!
//! What somebody else changes of it is put back ([`Drift`]).
//!
//! What was made for the directory carries [`LABEL`], set by [`MANAGER`] in the very request that made it: nothing else is pruned.

mod change;
mod drift;
mod mistake;
mod owned;
mod plan;
mod secret;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::resource::{Resource, Resources, Verb};

pub use change::{Change, WatchLine, watch_line};
pub use drift::{Drift, PutBack};
pub use owned::{is_owned, labelled, prunable};
pub use plan::{Plan, plan};
pub use secret::stored;

/// The field manager that applies the manifests.
pub const MANAGER: &str = "fleetmesh-manifests";
/// The label of what was made for the directory.
pub const LABEL: &str = "fleetmesh.dev/manifests";

/// The longest text of the API that a problem repeats, in characters.
const LONGEST: usize = 700;

/// Where something is: a file below the directory, and the number of a document in it, from 1; 0 is the file as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The path below the directory.
    pub file: String,
    /// The document.
    pub document: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, document } = self;
        if *document == 0 { f.write_str(file) } else { write!(f, "{file}, document {document}") }
    }
}

/// An object, whatever the version that it is written in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// The API group; empty for core.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for kinds that have none.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectName {
    /// That of `object`, which is of `resource`. Without a namespace, an object of a kind that has one is in `default`.
    pub fn of(resource: &Resource, object: &Value) -> Option<Self> {
        let text = |member: &str| object["metadata"][member].as_str().filter(|text| !text.is_empty());
        let namespace = if resource.namespaced { text("namespace").unwrap_or("default") } else { "" };
        Some(Self {
            group: resource.group.clone(),
            kind: resource.kind.clone(),
            namespace: namespace.to_owned(),
            name: text("name")?.to_owned(),
        })
    }

    /// That of a namespace.
    pub fn of_namespace(name: &str) -> Self {
        let [group, namespace] = [String::new(), String::new()];
        Self { group, kind: "Namespace".to_owned(), namespace, name: name.to_owned() }
    }

    /// Whether it is a namespace.
    pub fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.kind == "Namespace"
    }

    /// Whether what is in it is repeated nowhere.
    fn is_secret(&self) -> bool {
        self.group.is_empty() && self.kind == "Secret"
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name, .. } = self;
        if namespace.is_empty() { write!(f, "{kind} {name}") } else { write!(f, "{kind} {namespace}/{name}") }
    }
}

/// A document that can be applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Where it is.
    pub place: Place,
    /// What it is of.
    pub resource: Arc<Resource>,
    /// Which object it is.
    pub name: ObjectName,
    /// The object as it is written; its namespace is filled in.
    pub object: Value,
}

/// What keeps something from being applied or pruned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Which object it is about, where that is known.
    pub about: Option<Box<ObjectName>>,
    /// The member, where there is one, such as `spec.listeners`.
    pub field: Option<String>,
    /// What is wrong, and the way out.
    pub message: String,
    /// Whether an object may be hidden behind it: nothing is pruned then.
    pub hides: bool,
}

impl Problem {
    /// One of a file or directory as a whole, which hides what is in it.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        let place = Place { file: file.to_owned(), document: 0 };
        Self { place, about: None, field: None, message: message.into(), hides: true }
    }

    /// One of a document, which may be an object that is applied.
    fn hiding(place: Place, field: &str, message: impl Into<String>) -> Self {
        Self { place, about: None, field: Some(field.to_owned()), message: message.into(), hides: true }
    }

    /// One about the object of `manifest`.
    pub fn about(manifest: &Manifest, field: Option<&str>, message: impl Into<String>) -> Self {
        Self {
            place: manifest.place.clone(),
            about: Some(Box::new(manifest.name.clone())),
            field: field.map(str::to_owned),
            message: message.into(),
            hides: false,
        }
    }

    /// The API's refusal of `manifest`, a `Status`. What it says of a Secret is left out but for the field: it may quote values.
    pub fn refused(manifest: &Manifest, status: &Value) -> Self {
        if let Some(mistake) = mistake::find(manifest, status) {
            return Self::about(manifest, mistake.field.as_deref(), mistake.message);
        }
        let fields = status["details"]["causes"].as_array().into_iter().flatten();
        // What is said of no member is in the message.
        let fields = fields.filter_map(|cause| cause["field"].as_str().filter(|field| *field != "<nil>"));
        let fields: Vec<&str> = fields.collect();
        let text = status["message"].as_str().unwrap_or("the API refuses it");
        let message = if manifest.name.is_secret() {
            format!("the API refuses it ({})", status["reason"].as_str().unwrap_or("Invalid"))
        } else {
            text.chars().take(LONGEST).collect()
        };
        Self::about(manifest, (!fields.is_empty()).then(|| fields.join(", ")).as_deref(), message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if let Some(about) = &self.about {
            write!(f, " ({about})")?;
        }
        if let Some(field) = &self.field {
            write!(f, ", {field}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What is in a file with these documents. Empty documents are passed over, and a `List` is its items.
pub fn read(file: &str, documents: Vec<Value>, resources: &Resources) -> Vec<Result<Manifest, Problem>> {
    let mut found = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let place = Place { file: file.to_owned(), document: index + 1 };
        match document {
            Value::Null => {}
            list if list["apiVersion"] == "v1" && list["kind"] == "List" => match list["items"].as_array() {
                Some(items) => {
                    found.extend(items.iter().map(|item| manifest(place.clone(), item.clone(), resources)));
                }
                None => found.push(Err(Problem::hiding(place, "items", "a List has items"))),
            },
            object => found.push(manifest(place, object, resources)),
        }
    }
    found
}

fn manifest(place: Place, mut object: Value, resources: &Resources) -> Result<Manifest, Problem> {
    if !object.is_object() {
        return Err(Problem::hiding(
            place,
            "apiVersion",
            "this document is no object: write apiVersion, kind and metadata",
        ));
    }
    let text = |member: &str| object[member].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let (group, of_group) = version.split_once('/').unwrap_or(("", version.as_str()));
    let Some(resource) = resources.of_kind(group, of_group, &kind).filter(|one| one.has(Verb::Patch)) else {
        let message = format!(
            "{version:?} has no {kind:?} here: `kubectl api-resources` lists what this API serves; keep other files out of the directory"
        );
        // What is not served was not applied, either.
        return Err(Problem {
            hides: version.is_empty() || kind.is_empty(),
            ..Problem::hiding(place, "kind", message)
        });
    };
    let Some(name) = ObjectName::of(resource, &object) else {
        return Err(Problem::hiding(place, "metadata.name", "an object that is applied has a name"));
    };
    if resource.namespaced {
        object["metadata"]["namespace"] = name.namespace.clone().into();
    }
    Ok(Manifest { place, resource: Arc::clone(resource), name, object })
}
