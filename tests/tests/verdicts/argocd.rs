//! The scripts that the sample gives to Argo CD, run as Argo CD runs them: the object is the global `obj`, and the answer
//! has a status and a message.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use fleetmesh_crds::Reason;
use fleetmesh_testbed::tools;
use serde_json::{Value, json};

const KEY: &str = "resource.customizations.health.fleetmesh.dev_";
/// What Argo CD knows.
const WORDS: [&str; 4] = ["Healthy", "Progressing", "Degraded", "Suspended"];

/// The scripts by kind.
fn scripts() -> BTreeMap<String, String> {
    let file = tools::workspace_dir().unwrap().join("samples/gitops/argocd/01-health.yaml");
    let sample: Value = serde_saphyr::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let data = sample["data"].as_object().unwrap();
    data.iter()
        .map(|(key, script)| {
            (key.strip_prefix(KEY).expect(key).to_owned(), script.as_str().unwrap().to_owned())
        })
        .collect()
}

/// The health of each object, which stands beside its kind, in Argo CD's words.
pub fn healths(objects: &[(&str, &Value)]) -> Vec<String> {
    let objects: Vec<Value> =
        objects.iter().map(|(kind, object)| json!({"kind": kind, "object": object})).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&mut file, &json!({"scripts": scripts(), "objects": objects})).unwrap();
    let script = "tests/verdicts/argocd.py";
    let mut python = Command::new(tools::tool("python").unwrap());
    let output = python.arg(script).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let text = |answer: &Value, member: &str| answer[member].as_str().unwrap_or_default().to_owned();
    let healths: Vec<String> = answers.iter().map(|answer| text(answer, "status")).collect();
    assert_eq!(healths.len(), objects.len());
    for (health, answer) in healths.iter().zip(&answers) {
        assert!(WORDS.contains(&health.as_str()) && !text(answer, "message").is_empty(), "{answer}");
    }
    healths
}

#[test]
fn every_kind_has_a_script() {
    // What has no status, such as a FleetClass, has no health either.
    let kinds: BTreeSet<String> = fleetmesh_crds::all()
        .into_iter()
        .filter(|definition| {
            let mut subresources =
                definition.spec.versions.iter().filter_map(|version| version.subresources.as_ref());
            subresources.any(|subresources| subresources.status.is_some())
        })
        .map(|definition| definition.spec.names.kind)
        .collect();
    assert_eq!(scripts().into_keys().collect::<BTreeSet<_>>(), kinds);
}

#[test]
fn reasons_in_the_script_are_reasons_of_ours() {
    let scripts = scripts();
    let list = scripts["Mesh"].split_once("for_people = {").unwrap().1.split_once('}').unwrap().0;
    let named: Vec<&str> = list.split(',').filter_map(|entry| entry.trim().strip_suffix(" = true")).collect();
    assert!(named.len() > 10, "{list}");
    for reason in named {
        assert!(Reason::parse(reason).is_some(), "{reason} is no reason");
    }
}

#[test]
fn an_action_is_healthy_when_it_was_carried_out() {
    let action = |status: Value| json!({"metadata": {"generation": 1}, "status": status});
    let decided = |phase: &str| action(json!({"phase": phase, "reason": "StaleStep", "message": "too late"}));
    let actions = [action(Value::Null), decided("Applied"), decided("Refused")];
    let actions: Vec<(&str, &Value)> = actions.iter().map(|action| ("RouteAction", action)).collect();
    assert_eq!(healths(&actions), ["Progressing", "Healthy", "Degraded"]);
}
