//! Objects as rows: the `Table` that `kubectl get` asks for
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables>), and metadata alone.

pub mod age;
mod builtin;
mod cell;
mod custom;
mod descriptions;
pub mod jsonpath;
mod partial;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::resource::{Resource, Verb};
pub use partial::{partial, partial_list};

/// What of its object a row holds: the query parameter `includeObject`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IncludeObject {
    /// Its metadata.
    #[default]
    Metadata,
    /// Nothing.
    None,
    /// All of it.
    Object,
}

impl IncludeObject {
    /// The value of the query parameter; an empty one stands for the metadata.
    ///
    /// # Errors
    /// It is no such value: the message of a `BadRequest`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            _ => Err(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: \
                 must be 'Metadata', 'Object', 'None', or empty",
                crate::status::quoted(text)
            )),
        }
    }
}

/// How a Table is written.
#[derive(Debug, Clone, Copy)]
pub struct TableOptions<'a> {
    /// The version of `meta.k8s.io` that was asked for: `v1` or `v1beta1`.
    pub version: &'a str,
    /// What of its object each row holds.
    pub include: IncludeObject,
    /// Whether the columns are described. In a watch only the first event has them.
    pub headers: bool,
    /// What ages are reckoned from.
    pub now: Timestamp,
}

/// The columns of a resource: what a Table is made with. Making one reads the paths of the columns, so keep it.
#[derive(Debug, Clone)]
pub struct Columns {
    definitions: Value,
    cells: Cells,
}

#[derive(Debug, Clone)]
enum Cells {
    /// Of a custom resource, as its definition says.
    Custom(Vec<custom::Column>),
    /// Of a kind of Kubernetes itself.
    BuiltIn(builtin::Row),
}

impl Columns {
    /// The columns of `resource`; none for a review, which is no row.
    ///
    /// # Errors
    /// The path of a column cannot be read: the API server then has no Table of these objects but their names.
    pub fn of(resource: &Resource) -> Result<Option<Self>, PathError> {
        if !resource.has(Verb::Get) {
            return Ok(None);
        }
        let columns = match resource.definition() {
            Some(definition) => {
                let cells = definition.columns.iter().map(custom::Column::new).collect::<Result<_, _>>()?;
                Self { definitions: custom::definitions(&definition.columns), cells: Cells::Custom(cells) }
            }
            None => {
                let row = builtin::row(&resource.group, &resource.kind);
                Self { definitions: builtin::definitions(row), cells: Cells::BuiltIn(row) }
            }
        };
        Ok(Some(columns))
    }

    /// `objects` as a Table. `metadata` is that of the list that they are in, or for a single object its `resourceVersion` alone.
    pub fn table(&self, metadata: Value, objects: &[&Value], options: TableOptions<'_>) -> Value {
        let rows: Vec<Value> = objects.iter().map(|object| self.row(object, options)).collect();
        json!({
            "kind": "Table",
            "apiVersion": format!("meta.k8s.io/{}", options.version),
            "metadata": partial::list_metadata(metadata),
            "columnDefinitions": if options.headers { self.definitions.clone() } else { Value::Null },
            "rows": rows,
        })
    }

    /// The row of one object in a Table.
    pub fn row(&self, object: &Value, options: TableOptions<'_>) -> Value {
        let cells = match &self.cells {
            Cells::Custom(columns) => custom::cells(columns, object, options.now),
            Cells::BuiltIn(row) => builtin::cells(*row, object, options.now),
        };
        let included = match options.include {
            IncludeObject::Metadata => partial(object, options.version),
            IncludeObject::None => Value::Null,
            IncludeObject::Object => object.clone(),
        };
        json!({ "cells": cells, "object": included })
    }
}

/// A column's path that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {name:?} has the JSONPath {path:?}, of which {rest:?} cannot be read")]
pub struct PathError {
    /// The column.
    pub name: String,
    /// Its path.
    pub path: String,
    /// What is left of it where reading stopped.
    pub rest: String,
}

#[cfg(test)]
mod tests;
