//! `crds/yaml`, the chart's copies and `docs/reference` are what the types say, file for file. Reads the repository, writes nothing.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fleetmesh_crds::definition::{CHART_FOLDER, REFERENCE_FOLDER, YAML_FOLDER, generated_files};

const WAY_OUT: &str = "run `cargo xtask crds`, look at the difference and commit it";

fn root() -> PathBuf {
    PathBuf::from("..")
}

#[test]
fn every_generated_file_is_checked_in_as_generated() {
    for (file, generated) in generated_files().expect("YAML") {
        let checked_in = fs::read_to_string(root().join(&file)).unwrap_or_default();
        let mut lines = generated.lines().zip(checked_in.lines().chain(std::iter::repeat("(nothing)")));
        let first = lines.position(|(new, old)| new != old).map(|index| index + 1);
        assert!(
            generated == checked_in,
            "{} is not what the types say (first differing line: {first:?}): {WAY_OUT}",
            file.display()
        );
    }
}

#[test]
fn no_file_is_left_over() {
    let expected: BTreeSet<PathBuf> =
        generated_files().expect("YAML").into_iter().map(|(file, _)| file).collect();
    let mut found = BTreeSet::new();
    for folder in [YAML_FOLDER, CHART_FOLDER, REFERENCE_FOLDER] {
        for entry in fs::read_dir(root().join(folder)).expect(folder) {
            found.insert(Path::new(folder).join(entry.expect("an entry").file_name()));
        }
    }
    assert_eq!(found, expected, "only generated files: {WAY_OUT}");
}
