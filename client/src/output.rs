//! The forms of what a command answers.

use serde_json::{Value, json};

use crate::error::Error;
use crate::fetch::Target;
use crate::{json, yaml};

/// How objects are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// For people: a table, or a line about each.
    #[default]
    Table,
    /// A table with all columns.
    Wide,
    /// `KIND.GROUP/NAME`, one a line.
    Name,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

impl Output {
    /// Whether it is for people.
    pub(crate) fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }

    /// `targets` as one document, or their names; `is_single` is whether the only one stands for itself.
    pub(crate) fn document(
        self,
        targets: &[Target],
        is_single: bool,
        managed: bool,
    ) -> Result<String, Error> {
        self.list(targets, is_single, managed, json!({ "resourceVersion": "" }))
    }

    /// The same, where a list has this metadata.
    pub(crate) fn list(
        self,
        targets: &[Target],
        is_single: bool,
        managed: bool,
        metadata: Value,
    ) -> Result<String, Error> {
        if self == Self::Name {
            return Ok(targets.iter().map(|target| target.done("").replace(" \n", "\n")).collect());
        }
        let mut objects = targets.iter().map(|target| shown(&target.object, managed));
        let document = match (is_single, objects.len()) {
            (true, 1) => objects.next().unwrap_or_default(),
            _ => json!({
                "apiVersion": "v1", "kind": "List", "metadata": metadata,
                "items": objects.collect::<Vec<_>>(),
            }),
        };
        match self {
            Self::Json => Ok(json::pretty(&document)?),
            _ => Ok(yaml::document(&document)),
        }
    }
}

/// An object, with who manages what or without.
pub(crate) fn shown(object: &Value, managed: bool) -> Value {
    let mut object = object.clone();
    if !managed && let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}
