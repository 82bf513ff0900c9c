//! `docs/troubleshooting.md` has a section for each reason, and none for a reason that does not exist.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use fleetmesh_crds::Reason;

#[test]
fn every_reason_has_a_section_that_says_something() {
    let page = Path::new("../docs/troubleshooting.md");
    let page = std::fs::read_to_string(page).expect("docs/troubleshooting.md");
    let sections: Vec<(&str, &str)> =
        page.split("\n### ").skip(1).filter_map(|section| section.split_once('\n')).collect();
    let titles: Vec<&str> = sections.iter().map(|(title, _)| *title).collect();
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(titles, reasons, "one section a reason, in the order of the enum");
    for (title, text) in sections {
        let text = text.split("\n## ").next().unwrap_or_default().trim();
        assert!(text.len() > 15, "the section of {title} is empty");
    }
}
