//! The lists of docs/standalone-conformance.md name what is there: tests that are run, requests that are replayed, cases of what
//! kube-apiserver answered.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::root;
use crate::threat_model::is_run;

const PAGE: &str = "docs/standalone-conformance.md";
/// The lists, and how many rows each has at the least: none gets lost.
const LISTS: [(&str, usize); 2] = [("## Conformance and e2e tests", 85), ("## Who owns what", 45)];
/// Where files of lines are.
const FOLDERS: [&str; 2] = ["tests/data/kube-requests", "standalone/core/tests/kube_apiserver"];
/// How a row begins that says why not.
const NOT_SERVED: &str = "not served";

#[test]
fn every_row_names_what_looks_at_it_or_says_why_nothing_does() {
    let page = std::fs::read_to_string(root().join(PAGE)).expect("the page");
    let mut objections = Vec::new();
    for (heading, least) in LISTS {
        let rows = rows(&page, heading);
        if rows.len() < least {
            objections.push(format!("{heading}: {} rows, not {least} or more", rows.len()));
        }
        let names: BTreeSet<&str> = rows.iter().filter_map(|row| row.split('|').nth(1)).collect();
        if names.len() != rows.len() {
            objections.push(format!("{heading}: a row is there twice"));
        }
        objections.extend(rows.iter().filter_map(|row| objection(row).err()));
    }
    assert!(objections.is_empty(), "{PAGE}:\n{}", objections.join("\n"));
}

/// The rows of the table under the heading, without its head.
fn rows<'p>(page: &'p str, heading: &str) -> Vec<&'p str> {
    let section = page.split_once(heading).map_or("", |(_, section)| section);
    let section = section.split("\n## ").next().unwrap_or_default();
    section.lines().filter(|line| line.starts_with('|')).skip(2).collect()
}

/// What is wrong with a row.
fn objection(row: &str) -> Result<(), String> {
    let inner = row.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|'));
    let cells: Vec<&str> = inner.ok_or(format!("not a row: {row}"))?.split('|').map(str::trim).collect();
    let [name, here] = cells[..] else { return Err(format!("{} cells, not two: {row}", cells.len())) };
    if name.is_empty() {
        return Err(format!("an empty cell: {row}"));
    }
    if let Some(why) = here.strip_prefix(NOT_SERVED) {
        let is_said = why.split_once(": ").is_some_and(|(_, why)| !why.trim().is_empty());
        return if is_said { Ok(()) } else { Err(format!("it does not say why: {row}")) };
    }
    let named: Vec<&str> = here.split('`').skip(1).step_by(2).collect();
    let between = here.split('`').step_by(2).map(str::trim);
    if named.is_empty() || between.into_iter().any(|text| !["", ","].contains(&text)) {
        return Err(format!("the last cell is neither a list nor begins with {NOT_SERVED:?}: {row}"));
    }
    named.into_iter().try_for_each(is_there)
}

/// That `FILE.jsonl: NAME` or `path: test` is there.
fn is_there(named: &str) -> Result<(), String> {
    let (file, name) = named.split_once(": ").ok_or(format!("`{named}` is not `FILE: NAME`"))?;
    if !file.ends_with(".jsonl") {
        return is_run(named);
    }
    let texts =
        FOLDERS.iter().filter_map(|folder| std::fs::read_to_string(root().join(folder).join(file)).ok());
    let lines: Vec<Value> = texts
        .flat_map(|text| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<_>>())
        .collect();
    let is_there = lines.iter().any(|line| line["name"] == name);
    if is_there { Ok(()) } else { Err(format!("`{named}`: no such file or line")) }
}

#[test]
fn a_row_that_names_nothing_is_refused() {
    let this = "tests/tests/structure/conformance.rs";
    let good = format!("`{this}: a_row_that_names_nothing_is_refused`");
    for here in
        [&good, "not served: pods", "not served yet: later", &format!("{good}, `store.jsonl: store-map`")]
    {
        assert_eq!(objection(&format!("| a test | {here} |")), Ok(()));
    }
    for (here, words) in [
        ("", "neither a list"),
        ("by hand", "neither a list"),
        ("not served", "does not say why"),
        ("not served: ", "does not say why"),
        ("`store.jsonl: nothing`", "no such file or line"),
        ("`nothing.jsonl: store-map`", "no such file or line"),
        (&format!("`{this}: rows`"), "is no test"),
        (&format!("`{this}: nothing`"), "no such function"),
    ] {
        let objection = objection(&format!("| a test | {here} |")).expect_err(here);
        assert!(objection.contains(words), "{objection:?} does not say {words:?}");
    }
}
