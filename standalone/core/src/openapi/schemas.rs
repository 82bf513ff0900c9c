//! The schemas of a document: those of Kubernetes' own types, which were recorded from kube-apiserver, and those that
//! definitions make.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::operation::Operation;
use super::{names, swagger, v3};
use crate::resource::{Definition, Resource};

/// The version of OpenAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

/// Kubernetes' own types in version 3, by name: the components of kube-apiserver's documents that what is served here refers to.
/// Recorded from Kubernetes 1.36.3 (Apache-2.0).
static RECORDED: LazyLock<Map<String, Value>> =
    LazyLock::new(|| serde_json::from_str(include_str!("data/schemas.json")).unwrap_or_default());

/// The schemas that `operations` refer to, and what these refer to. Options have the type of each of `versions`, groups with
/// their versions.
pub(super) fn of(
    operations: &[Operation<'_>],
    versions: &BTreeSet<(String, String)>,
    dialect: Dialect,
) -> Map<String, Value> {
    let written = custom(operations, dialect);
    let bodies = operations.iter().filter_map(|operation| operation.body().map(|(model, _)| model));
    let answers =
        operations.iter().flat_map(|operation| operation.responses().into_iter().map(|(_, _, model)| model));
    let custom_refers = operations
        .iter()
        .any(Operation::is_custom)
        .then(|| [names::meta("ObjectMeta"), names::meta("ListMeta")]);
    let mut open: BTreeSet<String> =
        bodies.chain(answers).chain(custom_refers.into_iter().flatten()).collect();
    let mut known = Map::new();
    while let Some(name) = open.pop_first() {
        if let Some(schema) = RECORDED.get(&name).filter(|_| !known.contains_key(&name)) {
            open.extend(references(schema));
            known.insert(name, schema.clone());
        }
    }
    if let Some(options) = known.get_mut(&names::meta("DeleteOptions")) {
        let kind = |(group, version): &(String, String)| json!({ "group": group, "version": version, "kind": "DeleteOptions" });
        options[TYPES] = versions.iter().map(kind).collect();
    }
    let known = known.into_iter().map(|(name, schema)| match dialect {
        Dialect::V2 => (name, swagger::schema(schema)),
        Dialect::V3 => (name, schema),
    });
    written.into_iter().chain(known).collect()
}

/// The extension that says which types have a schema.
const TYPES: &str = "x-kubernetes-group-version-kind";

/// The names of the schemas that `value` refers to.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).and_then(|to| to.strip_prefix(v3::PREFIX));
            own.map(str::to_owned).into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// The schemas that definitions make: of the objects and of their lists.
fn custom(operations: &[Operation<'_>], dialect: Dialect) -> Map<String, Value> {
    let mut schemas = Map::new();
    for resource in operations.iter().map(|operation| operation.resource) {
        if let Some(definition) = resource.definition() {
            schemas.entry(names::model(resource)).or_insert_with(|| object(resource, definition, dialect));
            schemas.entry(names::list_model(resource)).or_insert_with(|| {
                let list = list(resource);
                if dialect == Dialect::V2 { swagger::schema(list) } else { list }
            });
        }
    }
    schemas
}

const API_VERSION: &str = "defines the versioned schema of this representation of an object.";
const API_VERSION_OF_SERVER: &str = " Servers should convert recognized schemas to the latest internal value, and may reject \
                                     unrecognized values.";
const KIND: &str = "is a string value representing the REST resource this object represents. Servers may infer this from the \
                    endpoint the client submits requests to. Cannot be updated. In CamelCase.";
const KIND_OF_EMBEDDED: &str = "is a string value representing the type of this object. In CamelCase.";
const CONVENTIONS: &str =
    "More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

/// The definition's schema with the members that every object has.
fn object(resource: &Resource, definition: &Definition, dialect: Dialect) -> Value {
    let mut schema = whole_numbers(definition.schema.clone());
    let of_kind = json!([{ "group": resource.group, "version": resource.version, "kind": resource.kind }]);
    if dialect == Dialect::V2 {
        if schema[UNKNOWN] == true {
            // Clients that validate by version 2 would refuse unknown members if any were known.
            return json!({ "type": "object", TYPES: of_kind });
        }
        schema = swagger::schema(schema);
    }
    complete(&mut schema, dialect);
    add_type(&mut schema);
    schema["properties"]["metadata"] =
        metadata("ObjectMeta", "Standard object's metadata.", "metadata", dialect);
    schema[TYPES] = of_kind;
    schema
}

/// Numbers without a fraction as Go writes them: the bounds of a schema are all read as numbers that may have one.
fn whole_numbers(value: Value) -> Value {
    match value {
        Value::Number(number) => {
            let whole =
                number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15);
            whole
                .and_then(|float| format!("{float:.0}").parse::<i64>().ok())
                .map_or(Value::Number(number), Value::from)
        }
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, whole_numbers(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

/// Says that members may be there which the schema does not know.
const UNKNOWN: &str = "x-kubernetes-preserve-unknown-fields";

/// Adds what the API server knows of a schema by itself: both types of what may be an integer or a string, and the
/// members of an object inside of another.
fn complete(schema: &mut Value, dialect: Dialect) {
    for members in ["properties", "items", "additionalProperties"] {
        match schema.get_mut(members) {
            Some(Value::Object(inner)) if members == "properties" => {
                inner.values_mut().for_each(|property| complete(property, dialect));
            }
            Some(inner @ Value::Object(_)) => complete(inner, dialect),
            _ => {}
        }
    }
    if dialect == Dialect::V3 && schema["x-kubernetes-int-or-string"] == true {
        either(schema);
    }
    if schema["x-kubernetes-embedded-resource"] == true && (dialect == Dialect::V3 || schema[UNKNOWN] != true)
    {
        let text = |words: String| json!({ "type": "string", "description": words });
        schema["properties"]["apiVersion"] =
            text(format!("apiVersion {API_VERSION} {CONVENTIONS}#resources"));
        schema["properties"]["kind"] = text(format!("kind {KIND_OF_EMBEDDED} {CONVENTIONS}#types-kinds"));
        schema["properties"]["metadata"] =
            metadata("ObjectMeta", "Standard object's metadata.", "metadata", dialect);
        let mut required = schema["required"].as_array().cloned().unwrap_or_default();
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|known| *known == name) {
                required.push(name.into());
            }
        }
        schema["required"] = required.into();
    }
}

/// Says that a value is an integer or a string, unless the schema does so already.
fn either(schema: &mut Value) {
    let both = json!([{ "type": "integer" }, { "type": "string" }]);
    let said = schema["anyOf"] == both || schema["allOf"][0]["anyOf"] == both;
    match schema.get("anyOf") {
        _ if said => {}
        None => schema["anyOf"] = both,
        Some(_) => {
            let mut all = schema["allOf"].as_array().cloned().unwrap_or_default();
            all.insert(0, json!({ "anyOf": both }));
            schema["allOf"] = all.into();
        }
    }
}

fn list(resource: &Resource) -> Value {
    let (kind, plural) = (&resource.kind, &resource.plural);
    let list_kind = resource.list_kind();
    let mut schema = json!({
        "type": "object",
        "description": format!("{list_kind} is a list of {kind}"),
        "required": ["items"],
        "properties": {
            "items": {
                "type": "array",
                "description": format!("List of {plural}. {CONVENTIONS}"),
                "items": { "$ref": format!("{}{}", v3::PREFIX, names::model(resource)) },
            },
            "metadata": metadata("ListMeta", "Standard list metadata.", "types-kinds", Dialect::V3),
        },
        TYPES: [{ "group": resource.group, "version": resource.version, "kind": list_kind }],
    });
    add_type(&mut schema);
    schema
}

fn metadata(kind: &str, words: &str, chapter: &str, dialect: Dialect) -> Value {
    let schema = json!({
        "description": format!("{words} {CONVENTIONS}#{chapter}"),
        "allOf": [{ "$ref": format!("{}{}", v3::PREFIX, names::meta(kind)) }],
    });
    if dialect == Dialect::V2 { swagger::schema(schema) } else { schema }
}

fn add_type(schema: &mut Value) {
    let text = |words: String| json!({ "type": "string", "description": words });
    schema["properties"]["apiVersion"] =
        text(format!("APIVersion {API_VERSION}{API_VERSION_OF_SERVER} {CONVENTIONS}#resources"));
    schema["properties"]["kind"] = text(format!("Kind {KIND} {CONVENTIONS}#types-kinds"));
}
