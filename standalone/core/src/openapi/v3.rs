//! The document of one version of a group, in OpenAPI 3.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::operation::{Operation, operations};
use super::parameters;
use super::schemas::{self, Dialect};
use crate::resource::Resource;

/// Where schemas are.
pub(super) const PREFIX: &str = "#/components/schemas/";

/// The document of `resources`, which are those of one version; `all_versions` are those of all groups. `version` is that of Kubernetes, such as `1.36`.
pub(super) fn document(
    resources: &[&Resource],
    all_versions: &BTreeSet<(String, String)>,
    version: &str,
) -> Value {
    let custom = resources.iter().any(|resource| resource.definition().is_some());
    let own = super::versions(resources);
    let all: Vec<Operation<'_>> = resources.iter().flat_map(|resource| operations(resource)).collect();
    let models = schemas::of(&all, if custom { all_versions } else { &own }, Dialect::V3);
    let info = if custom {
        json!({ "title": "Kubernetes CRD Swagger", "version": "v0.1.0" })
    } else {
        json!({ "title": "Kubernetes", "version": version })
    };
    let mut components = json!({ "schemas": models });
    if !custom {
        components["securitySchemes"] = json!({ "BearerToken": {
            "type": "apiKey",
            "description": "Bearer Token authentication",
            "name": "authorization",
            "in": "header",
        }});
    }
    json!({ "openapi": "3.0.0", "info": info, "paths": paths(&all), "components": components })
}

fn paths(all: &[Operation<'_>]) -> Map<String, Value> {
    let names: BTreeSet<String> = all.iter().map(Operation::path).collect();
    names
        .into_iter()
        .map(|path| {
            let here: Vec<&Operation<'_>> = all.iter().filter(|operation| operation.path() == path).collect();
            let item = path_item(&here);
            (path, item)
        })
        .collect()
}

fn path_item(operations: &[&Operation<'_>]) -> Value {
    let shared = parameters::shared(operations);
    let mut item = Map::new();
    for operation in operations {
        item.insert(operation.method().to_owned(), self::operation(operation, &shared));
    }
    let common: Vec<Value> = shared.iter().map(|parameter| parameter.v3()).collect();
    item.insert("parameters".to_owned(), common.into());
    item.into()
}

fn operation(operation: &Operation<'_>, shared: &[parameters::Parameter]) -> Value {
    let (group, version, kind) = operation.about();
    let own = parameters::of(operation).into_iter().filter(|parameter| !shared.contains(parameter));
    let own: Vec<Value> = own.map(|parameter| parameter.v3()).collect();
    let mut written = json!({
        "tags": [operation.tag()],
        "description": operation.description(),
        "operationId": operation.id(),
        "responses": responses(operation),
        "x-kubernetes-action": operation.verb(),
        "x-kubernetes-group-version-kind": { "group": group, "version": version, "kind": kind },
    });
    if !own.is_empty() {
        written["parameters"] = own.into();
    }
    if let Some((model, required)) = operation.body() {
        let mut body = json!({ "content": content(&operation.consumes(), &model) });
        if required {
            body["required"] = true.into();
        }
        written["requestBody"] = body;
    }
    written
}

fn responses(operation: &Operation<'_>) -> Value {
    let produced = operation.produces();
    let mut responses = Map::new();
    for (code, description, model) in operation.responses() {
        let answer = json!({ "description": description, "content": content(&produced, &model) });
        responses.insert(code.to_string(), answer);
    }
    responses.insert("401".to_owned(), json!({ "description": "Unauthorized" }));
    responses.into()
}

fn content(media_types: &[&str], model: &str) -> Value {
    let schema = json!({ "schema": { "$ref": format!("{PREFIX}{model}") } });
    let content: Map<String, Value> =
        media_types.iter().map(|&media_type| (media_type.to_owned(), schema.clone())).collect();
    content.into()
}
