//! `crds/yaml` is what the types say, file for file. Reads the repository, writes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const WAY_OUT: &str = "run `cargo xtask crds`, look at the difference and commit it";

#[test]
fn the_checked_in_definitions_are_the_generated_ones() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    let mut files = BTreeSet::new();
    for definition in fleetmesh_crds::all() {
        let name = fleetmesh_crds::file_name(&definition);
        let generated = fleetmesh_crds::to_yaml(&definition).expect("the definition as YAML");
        let checked_in = fs::read_to_string(directory.join(&name)).unwrap_or_default();
        let first_difference = generated.lines().zip(checked_in.lines()).position(|(new, old)| new != old);
        assert!(
            generated == checked_in,
            "crds/yaml/{name} differs from the types (first differing line: {first_difference:?}): {WAY_OUT}"
        );
        files.insert(name);
    }
    let found: BTreeSet<String> = fs::read_dir(directory)
        .expect("crds/yaml")
        .map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, files, "crds/yaml holds exactly one file per kind: {WAY_OUT}");
}
