use fleetmesh_standalone_core::openapi::{OpenApiV2, OpenApiV3};
use fleetmesh_standalone_core::resource::Resources;
use serde_json::Value;

use super::lines;

/// The definitions whose documents were recorded: one of everything that a schema may have, and one that allows anything.
fn resources() -> Resources {
    let definitions = lines(include_str!("data/openapi-definitions.jsonl")).into_iter();
    let definitions: Vec<_> =
        definitions.map(|line| serde_json::from_value(line).expect("a definition")).collect();
    Resources::new(&definitions)
}

/// Without what the recording leaves out, as it says the same again and again: descriptions of query parameters.
fn masked(value: Value) -> Value {
    match value {
        Value::Object(mut members) => {
            if members.get("in").is_some_and(|place| place == "query") {
                members.insert("description".to_owned(), "…".into());
            }
            members
                .into_iter()
                .map(|(name, value)| (name, masked(value)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Value::Array(items) => items.into_iter().map(masked).collect(),
        other => other,
    }
}

/// What differs, as paths: documents are too large to be read side by side.
fn differences(ours: &Value, theirs: &Value, path: &str, found: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (name, value) in ours {
                match theirs.get(name) {
                    Some(other) => differences(value, other, &format!("{path} › {name}"), found),
                    None => found.push(format!("{path} › {name} is only ours: {value}")),
                }
            }
            for (name, value) in theirs.iter().filter(|(name, _)| !ours.contains_key(*name)) {
                found.push(format!("{path} › {name} is missing: {value}"));
            }
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => {
            for (index, (one, other)) in ours.iter().zip(theirs).enumerate() {
                differences(one, other, &format!("{path} › {index}"), found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push(format!("{path}: {ours} should be {theirs}")),
    }
}

/// The documents of kube-apiserver without what is not served here: other kinds, subresources and media types, and the older paths
/// of watches.
#[test]
fn the_documents_are_those_of_the_api_server_without_what_is_not_here() {
    let (v2, v3) = (OpenApiV2::new(&resources(), "1.36"), OpenApiV3::new(&resources(), "1.36"));
    let mut found = Vec::new();
    for line in lines(include_str!("data/openapi.jsonl")) {
        let path = line["path"].as_str().expect("a path");
        let document = if path == "v2" { &v2.json } else { v3.group(path).expect("a document") };
        let mut ours: Value = serde_json::from_slice(&document.body).expect("JSON");
        let options = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
        if let Some(schemas) = ours.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
            // Kubernetes' own are recorded already: in the source.
            let own = schemas.iter_mut().filter(|(name, _)| !name.starts_with("dev."));
            own.for_each(|(_, schema)| *schema = true.into());
        } else if let Some(options) = ours["definitions"][options].as_object_mut() {
            // A whole cluster has more groups.
            options.remove("x-kubernetes-group-version-kind");
        }
        differences(&masked(ours), &line["document"], path, &mut found);
    }
    let shown: Vec<&String> = found.iter().take(40).collect();
    assert!(found.is_empty(), "{} differences: {shown:#?}", found.len());
}
