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

#[test]
fn the_document_is_as_written_down() {
    let scope = Scope {
        partition: "aws".to_owned(),
        region: "us-west-2".to_owned(),
        account: "111122223333".to_owned(),
        cluster: "apps".to_owned(),
        path: "/fleetmesh/".to_owned(),
    };
    let found = format!("{:#}\n", document(&scope));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/policy.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default());
}

#[test]
fn the_document_has_room_for_the_uid_of_a_cluster() {
    let scope = Scope {
        partition: "aws-us-gov".to_owned(),
        region: "us-gov-west-1".to_owned(),
        account: "111122223333".to_owned(),
        cluster: "0b2d7a54-6f0c-4f57-9d0e-3f8f4f2a9d11".to_owned(),
        path: "/fleetmesh/".to_owned(),
    };
    let found = document(&scope).to_string();
    // IAM allows 6,144 characters in a managed policy, white space not counted.
    let size = found.chars().filter(|letter| !letter.is_whitespace()).count();
    assert!(size <= 6144, "{size} characters");
}
