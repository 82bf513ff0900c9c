use std::path::Path;

use fleetmesh_standalone_core::store::{EventKind, Key};
use serde_json::json;

use super::*;

fn write(name: &str, kind: EventKind, value: u64) -> Write {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "uid": name}, "data": {"value": value.to_string()}});
    Write { key: key(name), kind, object }
}

fn key(name: &str) -> Key {
    Key::new("configmaps", "default", name)
}

fn open(directory: &Path) -> Store {
    Store::open(directory).expect("a store")
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart_and_no_revision_is_used_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let absent = |name: &str| vec![Guard::Absent(key(name))];
    let first = store.commit(write("a", EventKind::Added, 1), absent("a")).await.expect("stored");
    store.commit(write("b", EventKind::Added, 1), absent("b")).await.expect("stored");
    let last = store.commit(write("b", EventKind::Deleted, 1), vec![]).await.expect("removed");
    drop(store);
    let store = open(directory.path());
    let found =
        store.read(|ledger| (ledger.state.get(&key("a")).cloned(), ledger.state.get(&key("b")).cloned()));
    assert_eq!(found, (Some(first), None));
    let next = store.commit(write("c", EventKind::Added, 1), absent("c")).await.expect("stored");
    assert_eq!(next.revision, last.revision + 1);
    let forgotten = store.read(|ledger| ledger.history.after(last.revision - 1).map(|_| ()));
    assert_eq!(forgotten.expect_err("before the restart").code, 410);
}

#[tokio::test]
async fn of_two_writes_on_one_state_the_second_is_overtaken_also_in_one_group() {
    let store = Store::in_memory().expect("a store");
    let first =
        store.commit(write("a", EventKind::Added, 0), vec![Guard::Absent(key("a"))]).await.expect("stored");
    let on = || vec![Guard::At(key("a"), first.revision)];
    let writes = (1..10).map(|value| store.commit(write("a", EventKind::Modified, value), on()));
    let outcomes = futures::future::join_all(writes).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().filter(|one| one.is_err()).all(|one| *one == Err(CommitError::Overtaken)));
}

#[tokio::test]
async fn one_process_has_the_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let refused = Store::open(directory.path()).map(|_| ()).expect_err("it is taken");
    let line = refused.to_string();
    assert!(line.contains(&format!("is in use by process {}", std::process::id())), "{line}");
    drop(store);
    open(directory.path());
}

#[tokio::test]
async fn a_file_that_is_no_database_of_ours_is_left_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(DATABASE);
    std::fs::write(&path, "no database at all, and long enough for the header of one").expect("written");
    let refused = Store::open(directory.path()).map(|_| ()).expect_err("damaged");
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    std::fs::remove_file(&path).expect("removed");
    let other = rusqlite::Connection::open(&path).expect("a database");
    other.execute_batch("CREATE TABLE other (a); PRAGMA application_id = 7;").expect("of another program");
    drop(other);
    let refused = Store::open(directory.path()).map(|_| ()).expect_err("of another program");
    assert!(refused.to_string().contains("it is a database of another program"), "{refused}");
}

/// Does something to the file while no store has it.
fn behind_its_back(directory: &Path, sql: &str) {
    let file = rusqlite::Connection::open(directory.join(DATABASE)).expect("a database");
    file.execute_batch(sql).expect("done");
}

#[tokio::test]
async fn a_row_that_is_damaged_and_still_json_is_named_with_the_way_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    for name in ["a", "b"] {
        store.commit(write(name, EventKind::Added, 1), vec![]).await.expect("stored");
    }
    drop(store);
    for damage in [
        r#"UPDATE object SET text = replace(text, '"value":"1"', '"value":"3"') WHERE name = 'b'"#,
        "UPDATE object SET revision = 7 WHERE name = 'b'",
        "UPDATE object SET sum = NULL WHERE name = 'b'",
        "UPDATE object SET namespace = 'other' WHERE name = 'b'",
    ] {
        let whole = std::fs::read(directory.path().join(DATABASE)).expect("a file");
        behind_its_back(directory.path(), damage);
        let line = Store::open(directory.path()).map(|_| ()).expect_err(damage).to_string();
        assert!(
            line.contains("is damaged: configmaps ") && line.contains("/b: it is not what was stored"),
            "{line}"
        );
        assert!(line.contains("restore it from a back-up"), "{line}");
        std::fs::write(directory.path().join(DATABASE), whole).expect("restored");
    }
    assert_eq!(open(directory.path()).read(|ledger| ledger.state.len()), 2);
}

#[tokio::test]
async fn a_last_revision_that_would_be_used_again_is_damage() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    for value in [1, 2] {
        store.commit(write("a", EventKind::Modified, value), vec![]).await.expect("stored");
    }
    drop(store);
    for (damage, words) in [
        ("UPDATE revision SET value = 1", "its last revision is 1, and an object has revision 2"),
        ("UPDATE revision SET value = -1", "-1"),
    ] {
        behind_its_back(directory.path(), damage);
        let line = Store::open(directory.path()).map(|_| ()).expect_err(damage).to_string();
        assert!(line.contains("is damaged: ") && line.contains(words), "{line}");
    }
    behind_its_back(directory.path(), "UPDATE revision SET value = 7");
    assert_eq!(open(directory.path()).read(|ledger| ledger.state.revision()), 7, "what was deleted had some");
}

#[tokio::test]
async fn a_file_without_checksums_gets_them_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let stored = store.commit(write("a", EventKind::Added, 1), vec![]).await.expect("stored");
    drop(store);
    behind_its_back(directory.path(), "ALTER TABLE object DROP COLUMN sum; PRAGMA user_version = 1;");
    let store = open(directory.path());
    assert_eq!(store.read(|ledger| ledger.state.get(&key("a")).cloned()), Some(stored));
    store.commit(write("b", EventKind::Added, 1), vec![]).await.expect("stored");
    drop(store);
    assert_eq!(open(directory.path()).read(|ledger| ledger.state.len()), 2);
    behind_its_back(directory.path(), "UPDATE object SET text = '{}' WHERE name = 'a'");
    let line = Store::open(directory.path()).map(|_| ()).expect_err("damaged").to_string();
    assert!(line.contains("configmaps default/a: it is not what was stored"), "{line}");
}

#[tokio::test]
async fn the_data_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let above = tempfile::tempdir().expect("a directory");
    let directory = above.path().join("data");
    let _store = open(&directory);
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in std::fs::read_dir(&directory).expect("a folder") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}
