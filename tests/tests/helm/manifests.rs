//! What `helm template` prints, as objects and as golden text.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The documents of a YAML stream, those without content left out.
pub fn documents(yaml: &str) -> Vec<Value> {
    let documents = yaml.split("\n---\n").map(|text| text.trim_start_matches("---\n"));
    let objects = documents.map(|text| serde_saphyr::from_str::<Value>(text).expect(text));
    objects.filter(|object| !object.is_null()).collect()
}

/// The one object of `kind`, of which the chart has no other.
pub fn only(yaml: &str, kind: &str) -> Value {
    let found: Vec<Value> = documents(yaml).into_iter().filter(|object| object["kind"] == kind).collect();
    let [object] = &found[..] else { panic!("{} objects of kind {kind}", found.len()) };
    object.clone()
}

/// The same text with what is random, or tells the time, put out of sight.
pub fn masked(yaml: &str) -> String {
    let mut secret = false;
    let mut text = String::new();
    for line in yaml.lines() {
        match line {
            "---" => secret = false,
            "kind: Secret" => secret = true,
            _ => {}
        }
        match line.trim_start().split_once(": ") {
            Some((key, value)) if secret && is_random(key, value) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                text.push_str(&format!("{indent}{key}: (random)\n"));
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

fn is_random(key: &str, value: &str) -> bool {
    let in_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    key == "fleetmesh.dev/renew-after" || (value.len() > 60 && value.bytes().all(in_base64))
}

/// Compares `text` with the golden file `name`; `FLEETMESH_BLESS=1` writes it instead.
pub fn golden(name: &str, text: &str) {
    let path = folder().join("golden").join(name);
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    let first = text.lines().zip(golden.lines()).find(|(new, old)| new != old);
    let way_out = "review it and run with FLEETMESH_BLESS=1";
    assert!(text == golden, "{name} differs, first in (new, old) {first:?}; {way_out}");
}

/// The folder of this test.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helm")
}
