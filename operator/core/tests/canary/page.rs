//! `docs/canary.md` describes everything there is: each member of `canary` and of the status about it, each word that these
//! may hold, and each reason that rollouts give.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from("../..")
}

/// The members of the status that are about rollouts.
const STATUS: [&str; 11] = [
    "actions",
    "analysis",
    "dataplane",
    "draining",
    "effectiveTargets",
    "history",
    "phase",
    "rollout",
    "rollouts",
    "stableTargets",
    "webhooks",
];

/// The names of all members below a schema, and the words of its enums.
fn words(schema: &Value, found: &mut BTreeSet<String>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(name.clone());
        words(member, found);
    }
    if schema["items"].is_object() {
        words(&schema["items"], found);
    }
    let allowed = schema["enum"].as_array().into_iter().flatten();
    found.extend(allowed.filter_map(|word| word.as_str().map(str::to_owned)));
}

/// The reasons that the reducer names.
fn reasons() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root().join("operator/core/src/canary")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for part in text.split("Reason::").skip(1) {
            let name: String = part.chars().take_while(char::is_ascii_alphanumeric).collect();
            if name.starts_with(|letter: char| letter.is_ascii_uppercase()) {
                found.insert(name);
            }
        }
    }
    found
}

#[test]
fn the_page_describes_every_member_word_and_reason() {
    let page = std::fs::read_to_string(root().join("docs/canary.md")).unwrap();
    let described: BTreeSet<&str> =
        page.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').collect();
    let mut wanted = reasons();
    assert!(wanted.len() > 30, "{wanted:?}");
    for definition in fleetmesh_crds::all() {
        let kind = definition.spec.names.kind.clone();
        let definition = serde_json::to_value(&definition).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        match kind.as_str() {
            "Route" => {
                words(&schema["spec"]["properties"]["canary"], &mut wanted);
                for member in STATUS {
                    assert!(schema["status"]["properties"][member].is_object(), "{member}");
                    wanted.insert(member.to_owned());
                    words(&schema["status"]["properties"][member], &mut wanted);
                }
            }
            "RouteAction" => words(&schema["spec"], &mut wanted),
            _ => {}
        }
    }
    let missing: Vec<&String> = wanted.iter().filter(|word| !described.contains(word.as_str())).collect();
    assert!(missing.is_empty(), "docs/canary.md says nothing of {missing:?}");
}
