//! `values.yaml` and `values.schema.json`: each key is in both, and has a comment.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_testbed::helm::chart;
use serde_json::Value;

/// Keys of the schema that values.yaml does not show: Helm's own, and what is seldom used of Kubernetes.
const UNSHOWN: [&str; 3] = ["global", "operator.resources.claims", "controlPlane.resources.claims"];

#[test]
fn every_key_has_a_comment_and_is_in_the_schema() {
    let schema = std::fs::read_to_string(chart().unwrap().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut known = BTreeSet::new();
    keys(&schema, &schema, "", &mut known);
    let text = std::fs::read_to_string(chart().unwrap().join("values.yaml")).unwrap();
    let shown = comments(&text);

    let unshown: Vec<&String> =
        known.iter().filter(|key| !shown.contains_key(*key) && !UNSHOWN.contains(&key.as_str())).collect();
    assert!(unshown.is_empty(), "in the schema and not in values.yaml: {unshown:?}");
    let bare: Vec<&String> = known.iter().filter(|key| shown.get(*key) == Some(&false)).collect();
    assert!(bare.is_empty(), "no comment in values.yaml above {bare:?}");
    // What is in values.yaml and not in the schema, `helm lint` refuses, unless the schema leaves the object open.
    assert!(known.len() > 90, "the schema has its keys: {}", known.len());
}

/// Adds the path of every member that `schema` names.
fn keys(root: &Value, schema: &Value, path: &str, known: &mut BTreeSet<String>) {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    assert!(
        schema.get("properties").is_none() || schema["additionalProperties"] == false,
        "{path} takes members that nobody described"
    );
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{name}");
        keys(root, member, &path, known);
        known.insert(path);
    }
}

/// The path of every key of the YAML `text`, and whether a comment of the same indentation is on the line above it.
fn comments(text: &str) -> BTreeMap<String, bool> {
    let mut shown = BTreeMap::new();
    let mut parents: Vec<(usize, &str)> = Vec::new();
    let mut above = "";
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        let key = line.trim_start().split_once(':').map(|(key, _)| key);
        if let Some(key) = key.filter(|key| !key.starts_with(['#', '-'])) {
            parents.retain(|(parent, _)| *parent < indent);
            let path = parents.iter().map(|(_, name)| *name).chain([key]);
            let commented = above.trim_start().starts_with('#') && above.starts_with(&" ".repeat(indent));
            shown.insert(path.collect::<Vec<_>>().join("."), commented);
            parents.push((indent, key));
        }
        above = line;
    }
    shown
}
