//! What `helm template` prints, as objects and as golden text.

use std::path::PathBuf;

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
    std::path::absolute("tests/helm").unwrap()
}
