//! The threat model of docs/security.md is what CI runs: each row names its attacker and asset, what stops the attack, and
//! tests that are there and are not ignored.

use std::collections::BTreeSet;
use std::path::Path;

use crate::root;

const PAGE: &str = "docs/security.md";
const HEADING: &str = "## Threat model";
/// Whoever else attacks: these do, and each has a row.
const ATTACKERS: [&str; 5] = [
    "anonymous in the VPC",
    "a member's proxy",
    "a namespace's editor",
    "a compromised operator",
    "a stolen instance",
];

#[test]
fn every_row_of_the_threat_model_names_tests_that_ci_runs() {
    let page = std::fs::read_to_string(root().join(PAGE)).expect("the page");
    let rows = rows(&page);
    for attacker in ATTACKERS {
        let begins = |row: &&str| row.trim_start_matches(['|', ' ']).starts_with(attacker);
        assert!(rows.iter().any(begins), "{PAGE} has no row of {attacker} under {HEADING:?}");
    }
    let objections: Vec<String> = rows.iter().filter_map(|row| objection(row).err()).collect();
    assert!(objections.is_empty(), "{PAGE}:\n{}", objections.join("\n"));
}

/// The rows of the table under the heading, without its head.
fn rows(page: &str) -> Vec<&str> {
    let section = page.split_once(HEADING).map_or("", |(_, section)| section);
    let section = section.split("\n## ").next().unwrap_or_default();
    section.lines().filter(|line| line.starts_with('|')).skip(2).collect()
}

/// What is wrong with a row.
fn objection(row: &str) -> Result<(), String> {
    // `\|` is a stroke in a cell.
    let row = row.replace("\\|", "\u{0}");
    let inner = row.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|'));
    let cells: Vec<&str> = inner.ok_or(format!("not a row: {row}"))?.split('|').map(str::trim).collect();
    let [attacker, asset, stops, tests] = cells[..] else {
        return Err(format!("{} cells, not four: {row}", cells.len()));
    };
    if attacker.is_empty() || asset.is_empty() || stops.is_empty() {
        return Err(format!("an empty cell: {row}"));
    }
    let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
    let between = tests.split('`').step_by(2).map(str::trim);
    if named.is_empty() || between.into_iter().any(|text| !["", ",", ";", "and"].contains(&text)) {
        return Err(format!("the last cell is not a list of `path: test`: {row}"));
    }
    let names: BTreeSet<&str> = named.iter().copied().collect();
    if names.len() != named.len() {
        return Err(format!("a test is named twice: {row}"));
    }
    named.into_iter().try_for_each(is_run)
}

/// That `path: test` is a test that is run.
pub fn is_run(named: &str) -> Result<(), String> {
    let (path, test) = named.split_once(": ").ok_or(format!("`{named}` is not `path: test`"))?;
    let source = std::fs::read_to_string(root().join(Path::new(path)))
        .map_err(|error| format!("`{named}`: cannot read the file: {error}"))?;
    let attributes = attributes(&source, test).ok_or(format!("`{named}`: no such function"))?;
    let is_test = attributes.contains("#[test]") || attributes.contains("#[tokio::test");
    match (is_test, attributes.contains("#[ignore") || attributes.contains("#[cfg")) {
        (true, false) => Ok(()),
        (true, true) => Err(format!("`{named}` is ignored")),
        (false, _) => Err(format!("`{named}` is no test")),
    }
}

/// What stands before the function of this name, up to the item before it; `None` where there is no such function.
fn attributes(source: &str, function: &str) -> Option<String> {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let begins = |line: &&str| {
        let line = line.trim_start_matches("pub ").trim_start_matches("async ");
        line.strip_prefix("fn ")
            .and_then(|line| line.strip_prefix(function))
            .is_some_and(|rest| rest.starts_with('(') || rest.starts_with('<'))
    };
    let at = lines.iter().position(begins)?;
    let before = lines[..at].iter().rev();
    let own = before.take_while(|line| !line.is_empty() && !line.ends_with('}') && !line.ends_with(';'));
    Some(own.filter(|line| !line.starts_with("//")).copied().collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_row_that_promises_what_is_not_run_is_refused() {
    let this = "tests/tests/structure/threat_model.rs";
    let good = format!("`{this}: a_row_that_promises_what_is_not_run_is_refused`");
    let row = |tests: &str| format!("| a stolen instance | a \\| b | a rule | {tests} |");
    assert_eq!(objection(&row(&good)), Ok(()));
    let crash = "tests/tests/crash/aws.rs";
    let cases = [
        (row(""), "not a list"),
        (row("by hand"), "not a list"),
        (row(&format!("{good} by hand")), "not a list"),
        (row(&format!("{good}, {good}")), "named twice"),
        (row("`tests/nowhere.rs: a`"), "cannot read"),
        (row(&format!("`{this}`")), "is not `path: test`"),
        (row(&format!("`{this}: a_row`")), "no such function"),
        (row(&format!("`{this}: objection`")), "is no test"),
        (row(&format!("`{crash}: blows_at_a_fleet`")), "is ignored"),
        (format!("| a stolen instance | a rule | {good} |"), "3 cells"),
        (format!("| a stolen instance |  | a rule | {good} |"), "an empty cell"),
        (format!("|  | a | a rule | {good} |"), "an empty cell"),
    ];
    for (row, words) in cases {
        let objection = objection(&row).expect_err(&row);
        assert!(objection.contains(words), "{objection:?} does not say {words:?}");
    }
}
