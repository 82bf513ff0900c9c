//! The operator's own policy: its text, and that its table names every call in the sources. After a wanted change:
//! `UPDATE_GOLDEN=1 cargo test -p fleetmesh-aws --test permissions`, and read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fleetmesh_aws::permissions::{PERMISSIONS, Scope, document};

/// The operations that a macro is given as text in the sources below `folder`: `call!(…, "GetRole", …)`.
fn calls(folder: &Path, macro_name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(calls(&path, macro_name));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let begin = format!("{macro_name}!(");
            let calls = text.split(&begin).skip(1);
            let operations = calls.filter_map(|call| call.split('"').nth(1));
            found.extend(operations.filter(|text| is_operation(text)).map(str::to_owned));
        }
    }
    found
}

fn is_operation(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase()) && text.chars().all(char::is_alphanumeric)
}

fn known() -> BTreeSet<String> {
    PERMISSIONS.iter().map(|permission| permission.operation.to_owned()).collect()
}

#[test]
fn every_call_in_the_sources_has_its_permission() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let called = calls(&here.join("src"), "call");
    assert!(called.len() >= 20, "the calls are not found any more: {called:?}");
    let app_mesh = calls(&here.join("../src/cloud"), "send");
    assert!(app_mesh.len() >= 20, "the calls are not found any more: {app_mesh:?}");
    let missing: Vec<_> = called.union(&app_mesh).filter(|call| !known().contains(*call)).collect();
    assert!(missing.is_empty(), "no entry in PERMISSIONS for {missing:?}");
}

#[test]
fn no_iam_permission_is_without_a_call() {
    let called = calls(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "call");
    // PassRole is no operation: EC2 asks for it.
    let iam = PERMISSIONS.iter().filter(|permission| permission.service == "iam");
    let idle: Vec<_> = iam
        .map(|permission| permission.operation)
        .filter(|operation| *operation != "PassRole" && !called.contains(*operation))
        .collect();
    assert!(idle.is_empty(), "{idle:?}");
}

/// IAM allows so many characters in a managed policy, white space not counted.
const LONGEST: usize = 6144;

fn scope(partition: &str, region: &str, cluster: &str) -> Scope {
    Scope {
        partition: partition.to_owned(),
        region: region.to_owned(),
        account: "111122223333".to_owned(),
        cluster: cluster.to_owned(),
        path: "/fleetmesh/".to_owned(),
    }
}

#[test]
fn the_document_is_as_written_down() {
    let found = format!("{:#}\n", document(&scope("aws", "us-west-2", "apps")));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/policy.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default());
}

/// The chart knows the values; it puts them where these words are.
#[test]
fn the_chart_has_the_document() {
    let words = Scope { account: "ACCOUNT_ID".to_owned(), ..scope("PARTITION", "REGION", "CLUSTER_NAME") };
    let found = format!("{:#}\n", document(&words));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/fleetmesh/files/iam-policy.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default());
}

#[test]
fn the_document_fits_into_a_managed_policy_with_the_longest_names() {
    let uid = "9f0a9d6e-6c5c-4b0e-8f0a-2f6d3c1b7a55";
    for (partition, region) in
        [("aws", "ap-southeast-2"), ("aws-cn", "cn-northwest-1"), ("aws-us-gov", "us-gov-west-1")]
    {
        let text = document(&scope(partition, region, uid)).to_string();
        let size = text.chars().filter(|letter| !letter.is_whitespace()).count();
        assert!(size <= LONGEST, "{size} characters in {region}");
    }
}
