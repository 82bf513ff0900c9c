//! Columns of custom resources: each a JSONPath of the definition.

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use serde_json::{Value, json};

use super::cell;
use super::descriptions::NAME;
use super::jsonpath::Path;
use super::{PathError, age};

/// A column with its path read.
#[derive(Debug, Clone)]
pub(super) struct Column {
    path: Path,
    kind: String,
}

impl Column {
    pub(super) fn new(column: &CustomResourceColumnDefinition) -> Result<Self, PathError> {
        let path = Path::parse(&column.json_path).map_err(|rest| PathError {
            name: column.name.clone(),
            path: column.json_path.clone(),
            rest,
        })?;
        Ok(Self { path, kind: column.type_.clone() })
    }
}

/// `columnDefinitions` of a Table: the name, which every resource has, then the definition's columns.
pub(super) fn definitions(columns: &[CustomResourceColumnDefinition]) -> Value {
    let name =
        json!({ "name": "Name", "type": "string", "format": "name", "description": NAME, "priority": 0 });
    let own = columns.iter().map(|column| {
        let path = &column.json_path;
        let described = column.description.clone().filter(|description| !description.is_empty());
        json!({
            "name": column.name,
            "type": column.type_,
            "format": column.format.as_deref().unwrap_or_default(),
            "description": described.unwrap_or_else(|| {
                format!("Custom resource definition column (in JSONPath format): {path}")
            }),
            "priority": column.priority.unwrap_or_default(),
        })
    });
    std::iter::once(name).chain(own).collect()
}

/// The cells of the row of `object`.
pub(super) fn cells(columns: &[Column], object: &Value, now: Timestamp) -> Vec<Value> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let own = columns.iter().map(|column| {
        // One value: a column shows the first that its path finds.
        let found = column.path.find(object).and_then(|found| found.first().map(|value| (*value).clone()));
        found.map_or(Value::Null, |value| cell_of(&column.kind, &value, now))
    });
    std::iter::once(name.into()).chain(own).collect()
}

/// `value` in a column of the type `kind`; null when it is of another.
fn cell_of(kind: &str, value: &Value, now: Timestamp) -> Value {
    match kind {
        "string" => cell::text(value).into(),
        "integer" => cell::integer(value),
        "number" => cell::number(value),
        "boolean" if value.is_boolean() => value.clone(),
        "date" if value.is_string() => age::since(value.as_str(), now).into(),
        _ => Value::Null,
    }
}
