//! What is run on standalone as well, and what of it is not: docs/reliability.md says the same as the list, and the list names
//! what there is.

use fleetmesh_testbed::api_server::{ON_STANDALONE, SecondRun};

use crate::root;

const PAGE: &str = "docs/reliability.md";
const HEADING: &str = "## On both APIs";

#[test]
fn the_page_lists_what_runs_on_both_apis_and_what_stays() {
    let page = std::fs::read_to_string(root().join(PAGE)).expect("the page");
    let (_, section) = page.split_once(HEADING).expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    let listed: Vec<String> = ON_STANDALONE.iter().flat_map(rows_of).collect();
    assert_eq!(rows, listed, "the table under {HEADING:?} of {PAGE}, which is FLEETMESH_TEST_API's list");
}

fn rows_of(run: &SecondRun) -> Vec<String> {
    let when = if run.long { "in the long form" } else { "in every run" };
    let row = |stays: &str| format!("| `tests/tests/{}` | {when} | {stays} |", run.suite);
    if run.stays.is_empty() {
        return vec![row("")];
    }
    run.stays.iter().map(|stays| row(&format!("`{}`: {}", stays.tests, stays.needs))).collect()
}

/// A name that no test has would leave out nothing, and a word of several would leave out more than it says.
#[test]
fn what_stays_is_a_module_or_a_test_of_its_suite() {
    for run in ON_STANDALONE {
        let folder = root().join("tests/tests").join(run.suite);
        assert!(folder.join("main.rs").is_file(), "no suite {}", run.suite);
        for stays in run.stays {
            let mut path: Vec<&str> = stays.tests.split("::").collect();
            let test = path.pop().unwrap_or_default();
            let mut file = folder.join(path.join("/")).with_extension("rs");
            if !file.is_file() {
                file = folder.join(path.join("/")).join("mod.rs");
            }
            if path.is_empty() {
                file = folder.join("main.rs");
            }
            let source = std::fs::read_to_string(&file)
                .unwrap_or_else(|error| panic!("{}: {}: {error}", stays.tests, file.display()));
            let found = if test.is_empty() { "#[tokio::test".to_owned() } else { format!("fn {test}()") };
            assert!(source.contains(&found), "{}: {} has no {found}", stays.tests, file.display());
        }
    }
}
