//! Whoever starts a task beside the lists of long-lived ones.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{code, is_test, root};

/// The files of both programs that start tasks or threads themselves, and why those are in no list of long-lived tasks.
const BESIDE: [(&str, &str); 9] = [
    ("control-plane/src/ads/grpc.rs", "one stream of one proxy: it connects again"),
    ("control-plane/src/cloud_map/poller.rs", "one service: a panic is caught and the poller begins anew"),
    ("control-plane/src/listen/tls.rs", "one handshake"),
    ("control-plane/src/serving/mod.rs", "one connection"),
    ("control-plane/src/sigv4/http.rs", "one write, which is served to its end; a panic is an answer to it"),
    ("control-plane/src/store/sqlite/mod.rs", "the store's thread, which a task in the list watches over"),
    ("control-plane/src/refusals.rs", "how many refusals of one source the log does not show"),
    ("operator/src/outbound/exchange.rs", "one connection of one question"),
    (
        "operator/src/reconcile/rollout/ask.rs",
        "one question of a rollout: a panic is caught and is no answer",
    ),
];

#[test]
fn every_long_lived_task_is_in_its_programs_list() {
    let mut found = BTreeSet::new();
    for program in ["operator/src", "control-plane/src"] {
        look(Path::new(program), &mut found);
    }
    let allowed = BESIDE.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(
        found, allowed,
        "start tasks by fleetmesh_tasks::Tasks; what ends with one request or connection is listed here"
    );
}

/// Notes the files below `folder` that start tasks outside of their tests.
fn look(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
        let path = folder.join(entry.expect("an entry").file_name());
        if root().join(&path).is_dir() {
            look(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        let code: String = code(&text).split_whitespace().collect();
        let mut calls = code.match_indices("spawn(").map(|(at, _)| code.split_at(at));
        let starts = calls.any(|(before, call)| !before.ends_with("fn") && !call.starts_with("spawn(Task::"));
        if starts && !is_test(&path) {
            found.insert(path.display().to_string());
        }
    }
}
