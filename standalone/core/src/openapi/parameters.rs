//! Parameters of operations.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::operation::Operation;

/// The query parameters by name, each with its type and description. The description of `fieldManager` is another one where a
/// manager has to be named, under `fieldManagerOfPatch`. Recorded from Kubernetes 1.36.3 (Apache-2.0).
static RECORDED: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("data/parameters.json")).unwrap_or_default());

/// A parameter in a path or a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameter {
    name: &'static str,
    place: &'static str,
    kind: String,
    description: String,
}

/// All parameters of an operation by name.
pub(super) fn of(operation: &Operation<'_>) -> Vec<Parameter> {
    let in_path = operation.path_parameters().into_iter();
    let in_path = in_path.map(|(name, description)| Parameter {
        name,
        place: "path",
        kind: "string".to_owned(),
        description,
    });
    let in_query = operation.query_parameters().into_iter().map(query);
    let mut all: Vec<Parameter> = in_path.chain(in_query).collect();
    all.sort_by_key(|parameter| (parameter.name, parameter.place));
    all
}

/// Those that every one of the operations at a path has.
pub(super) fn shared(operations: &[&Operation<'_>]) -> Vec<Parameter> {
    let mut lists = operations.iter().map(|operation| of(operation));
    let first = lists.next().unwrap_or_default();
    let others: Vec<Vec<Parameter>> = lists.collect();
    first.into_iter().filter(|parameter| others.iter().all(|list| list.contains(parameter))).collect()
}

impl Parameter {
    /// As in OpenAPI 3.
    pub(super) fn v3(&self) -> Value {
        let mut written = self.common();
        written["schema"] = json!({ "type": self.kind, "uniqueItems": true });
        written
    }

    /// As in OpenAPI 2.
    pub(super) fn v2(&self) -> Value {
        let mut written = self.common();
        written["type"] = self.kind.as_str().into();
        written["uniqueItems"] = true.into();
        written
    }

    fn common(&self) -> Value {
        let mut written = json!({ "name": self.name, "in": self.place, "description": self.description });
        if self.place == "path" {
            written["required"] = true.into();
        }
        written
    }
}

fn query(name: &'static str) -> Parameter {
    let recorded = |member: &str| RECORDED[name][member].as_str().unwrap_or_default().to_owned();
    Parameter {
        name: name.strip_suffix("OfPatch").unwrap_or(name),
        place: "query",
        kind: recorded("type"),
        description: recorded("description"),
    }
}
