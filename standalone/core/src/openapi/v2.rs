//! Everything that is served as one document, in OpenAPI 2.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::operation::{Operation, operations};
use super::parameters::{self, Parameter};
use super::schemas::{self, Dialect};
use super::swagger::PREFIX;
use crate::resource::Resource;

/// The document of `resources`. `version` is that of Kubernetes, such as `1.36`.
pub(super) fn document(resources: &[&Resource], version: &str) -> Value {
    let all: Vec<Operation<'_>> = resources.iter().flat_map(|resource| operations(resource)).collect();
    let names: BTreeSet<String> = all.iter().map(Operation::path).collect();
    let paths = names.into_iter().map(|path| {
        let here: Vec<&Operation<'_>> = all.iter().filter(|operation| operation.path() == path).collect();
        let item = path_item(&here);
        (path, item)
    });
    let paths: Map<String, Value> = paths.collect();
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": version },
        "paths": paths,
        "definitions": schemas::of(&all, &super::versions(resources), Dialect::V2),
        "securityDefinitions": { "BearerToken": {
            "description": "Bearer Token authentication",
            "in": "header",
            "name": "authorization",
            "type": "apiKey",
        }},
        "security": [{ "BearerToken": [] }],
    })
}

fn path_item(operations: &[&Operation<'_>]) -> Value {
    let shared = parameters::shared(operations);
    let mut item = Map::new();
    for operation in operations {
        item.insert(operation.method().to_owned(), self::operation(operation, &shared));
    }
    let common: Vec<Value> = shared.iter().map(Parameter::v2).collect();
    item.insert("parameters".to_owned(), common.into());
    item.into()
}

fn operation(operation: &Operation<'_>, shared: &[Parameter]) -> Value {
    let (group, version, kind) = operation.about();
    let body = operation.body().map(|(model, required)| {
        let mut body = json!({ "name": "body", "in": "body", "schema": reference(&model) });
        if required {
            body["required"] = true.into();
        }
        body
    });
    let own = parameters::of(operation).into_iter().filter(|parameter| !shared.contains(parameter));
    let mut own: Vec<Value> = body.into_iter().chain(own.map(|parameter| parameter.v2())).collect();
    own.sort_by_key(|parameter| parameter["name"].as_str().map(str::to_owned));
    let mut written = json!({
        "consumes": operation.consumes(),
        "description": operation.description(),
        "operationId": operation.id(),
        "produces": operation.produces(),
        "responses": responses(operation),
        "schemes": ["https"],
        "tags": [operation.tag()],
        "x-kubernetes-action": operation.verb(),
        "x-kubernetes-group-version-kind": { "group": group, "version": version, "kind": kind },
    });
    if !own.is_empty() {
        written["parameters"] = own.into();
    }
    written
}

fn responses(operation: &Operation<'_>) -> Value {
    let mut responses = Map::new();
    for (code, description, model) in operation.responses() {
        responses
            .insert(code.to_string(), json!({ "description": description, "schema": reference(&model) }));
    }
    responses.insert("401".to_owned(), json!({ "description": "Unauthorized" }));
    responses.into()
}

fn reference(model: &str) -> Value {
    json!({ "$ref": format!("{PREFIX}{model}") })
}
