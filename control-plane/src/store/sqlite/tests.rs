//! Tests of the SQLite store: durability, compare and set, tokens, the lock, damaged and foreign files, full disks.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Kind, ResourceId, Spec};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rusqlite::Connection;
use rustix::fs::Mode;
use serde_json::json;

use super::{SqliteStore, layout};
use crate::identity::Identity;
use crate::refusal::{Class, Refusal};
use crate::snapshot::{Content, Resource, ResourceSet, ResourceType};
use crate::store::{Binding, Change, ClientToken, Commit, CommitError, KEY_LIFE, Store, Write};
use crate::view::{Record, Views};

fn identity() -> Identity {
    Identity { partition: "aws".into(), region: "us-west-2".into(), account: "111122223333".into() }
}

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory, &identity()).expect("a store")
}

fn error(directory: &Path) -> String {
    SqliteStore::open(directory, &identity()).err().expect("no store").to_string()
}

fn record(id: ResourceId, version: i64) -> Record {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let spec = Spec::from_json(id.kind(), json!({})).expect("an empty spec");
    Record {
        arn: identity().arn(&id),
        uid: format!("uid-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        version,
        created_at: Timestamp::from_millisecond(1_700_000_000_123).expect("a time"),
        last_updated_at: Timestamp::from_millisecond(1_700_000_000_456).expect("a time"),
        spec,
        tags: Tags::from([("k".into(), "v".into())]),
        id,
    }
}

fn put(record: Record, replaces: Option<i64>) -> Commit {
    let decide = move |_: crate::store::Tip<'_>| Ok(Change::Put(Write { record: record.clone(), replaces }));
    Commit { token: None, decide: Box::new(decide) }
}

fn delete(record: &Record) -> Commit {
    let Record { id, uid, version, .. } = record.clone();
    let change = Change::Delete { id, uid, version };
    Commit { token: None, decide: Box::new(move |_| Ok(change.clone())) }
}

async fn made(store: &SqliteStore, id: ResourceId) -> Record {
    let record = record(id, 1);
    store.commit(put(record.clone(), None)).await.expect("committed");
    record
}

#[tokio::test]
async fn a_store_whose_thread_panicked_says_that_it_has_ended() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    let limit = std::time::Duration::from_secs(60);
    assert!(tokio::time::timeout(limit / 3000, store.ended()).await.is_err(), "it goes on");
    store.queue.as_ref().expect("open").send(super::Job::Panic).await.expect("taken");
    tokio::time::timeout(limit, store.ended()).await.expect("it has ended");
    let mesh = record(ResourceId::mesh("m"), 1);
    let refused = store.commit(put(mesh, None)).await.expect_err("nobody stores it");
    assert!(matches!(refused, CommitError::Unavailable { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_was_committed_is_there_after_opening_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let mesh = made(&store, ResourceId::mesh("m")).await;
    let node = made(&store, ResourceId::virtual_node("m", "n")).await;
    let newer = Record { version: 2, ..node.clone() };
    store.commit(put(newer.clone(), Some(1))).await.expect("committed");
    let gone = made(&store, ResourceId::virtual_service("m", "s.local")).await;
    store.commit(delete(&gone)).await.expect("committed");
    let revision = *store.revisions().borrow();
    assert_eq!(revision, 5);
    drop(store);

    let store = open(directory.path());
    assert_eq!(*store.revisions().borrow(), revision);
    let view = store.mesh("m").expect("the mesh");
    let found: Vec<Record> = view.resources.values().map(|record| Record::clone(record)).collect();
    assert_eq!(found, [mesh, newer]);
}

#[tokio::test]
async fn a_commit_is_visible_before_its_answer() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let mut revisions = store.revisions();
    let mesh = made(&store, ResourceId::mesh("m")).await;
    assert!(revisions.has_changed().expect("the store lives"));
    let revision = *revisions.borrow_and_update();
    let view = store.mesh("m").expect("the mesh");
    assert_eq!(
        (view.revision, view.get(&mesh.id).map(|found| found.uid.clone())),
        (revision, Some(mesh.uid))
    );
}

#[tokio::test]
async fn an_old_view_stays_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    made(&store, ResourceId::mesh("m")).await;
    let before = store.mesh("m").expect("the mesh");
    made(&store, ResourceId::virtual_node("m", "n")).await;
    assert_eq!(before.resources.len(), 1);
    assert_eq!(store.mesh("m").expect("the mesh").resources.len(), 2);
}

#[tokio::test]
async fn a_write_on_another_version_is_not_stored() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let mesh = made(&store, ResourceId::mesh("m")).await;
    let late = Record { version: 8, ..mesh.clone() };
    let outcome = store.commit(put(late, Some(7))).await;
    assert!(matches!(outcome, Err(CommitError::Unavailable { .. })), "{outcome:?}");
    let twice = store.commit(put(record(ResourceId::mesh("m"), 1), None)).await;
    assert!(matches!(twice, Err(CommitError::Unavailable { .. })), "{twice:?}");
    // The store has read its file again and goes on.
    let next = Record { version: 2, ..mesh };
    store.commit(put(next, Some(1))).await.expect("committed");
}

#[tokio::test]
async fn concurrent_decisions_see_each_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let counter = made(&store, ResourceId::mesh("m")).await;
    let increment = || {
        let id = counter.id.clone();
        let decide = move |tip: crate::store::Tip<'_>| {
            let current = tip.record(&id).ok_or_else(|| Refusal::not_found("gone"))?;
            let record = Record { version: current.version + 1, ..Record::clone(current) };
            Ok(Change::Put(Write { record, replaces: Some(current.version) }))
        };
        store.commit(Commit { token: None, decide: Box::new(decide) })
    };
    let outcomes = join_all((0..200).map(|_| increment())).await;
    let mut versions: Vec<i64> =
        outcomes.into_iter().map(|outcome| outcome.expect("committed").version).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=201).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_refused_or_panicking_decision_leaves_no_trace() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    made(&store, ResourceId::mesh("m")).await;
    let refusal = Refusal::new(Class::ResourceInUse, "no");
    let refused = Commit { token: None, decide: Box::new(move |_| Err(refusal.clone())) };
    let panics = Commit { token: None, decide: Box::new(|_| panic!("on purpose")) };
    assert!(matches!(store.commit(refused).await, Err(CommitError::Refused(_))));
    assert!(matches!(store.commit(panics).await, Err(CommitError::Internal { .. })));
    assert_eq!(*store.revisions().borrow(), 1);
    made(&store, ResourceId::mesh("n")).await;
}

#[tokio::test]
async fn a_spent_token_brings_back_its_answer_also_after_opening_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let token = |request: u8| Some(ClientToken { token: "t".into(), request: [request; 32] });
    let mesh = record(ResourceId::mesh("m"), 1);
    let first = Commit { token: token(1), ..put(mesh.clone(), None) };
    store.commit(first).await.expect("committed");
    drop(store);
    let store = open(directory.path());
    let never = |token| Commit { token, decide: Box::new(|_| panic!("decided again")) };
    assert_eq!(store.commit(never(token(1))).await, Ok(Arc::new(mesh.clone())));
    let other = store.commit(never(token(2))).await;
    assert!(matches!(other, Err(CommitError::Refused(Refusal { class: Class::Conflict, .. }))), "{other:?}");
    store.commit(delete(&mesh)).await.expect("deleted");
    let again = Commit { token: token(2), ..put(record(ResourceId::mesh("m"), 1), None) };
    store.commit(again).await.expect("the token ended with its resource");
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_loses_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    made(&store, ResourceId::mesh("m")).await;
    drop(store);
    // A file that may not grow is what SQLite sees of a full disk.
    let opened = super::open::open(&layout::database(directory.path()), &identity()).expect("opened");
    opened.connection.pragma_update(None, "max_page_count", 1).expect("a limit");
    let lock = super::lock::Lock::take(directory.path()).expect("a lock");
    let store = SqliteStore::serve(lock, directory.path(), &identity(), opened).expect("a store");
    let mut refused = 0;
    for index in 0..200 {
        let mut big = record(ResourceId::virtual_node("m", format!("n{index}")), 1);
        big.tags = Tags::from([("k".into(), "x".repeat(4000))]);
        match store.commit(put(big, None)).await {
            Ok(_) => assert_eq!(refused, 0, "a full file took a change"),
            Err(CommitError::Unavailable { reason }) => {
                assert!(reason.contains("control-plane.db: database or disk is full"), "{reason}");
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 0);
    let shown = store.mesh("m").expect("the mesh").resources.clone();
    drop(store);
    assert_eq!(open(directory.path()).mesh("m").expect("the mesh").resources, shown);
}

#[test]
fn a_second_process_is_refused_by_the_first_ones_id() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = open(directory.path());
    let message = error(directory.path());
    let path = directory.path().display();
    let expected = format!("the data directory {path} is in use by process {}; ", std::process::id());
    assert!(message.starts_with(&expected), "{message}");
    drop(first);
    open(directory.path());
}

#[tokio::test]
async fn a_damaged_file_is_refused_and_stays_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    made(&store, ResourceId::mesh("m")).await;
    drop(store);
    let path = layout::database(directory.path());
    let whole = fs::read(&path).expect("the file");
    let mut torn = whole.clone();
    torn[4096..8192].fill(0xa5);
    for damaged in [b"this is no database, it is a text of some length".repeat(100), torn] {
        fs::write(&path, &damaged).expect("written");
        let message = error(directory.path());
        let expected = format!("the database {} cannot be read: ", path.display());
        assert!(message.starts_with(&expected) && message.contains("restore it from a backup"), "{message}");
        assert!(fs::read(&path).expect("the file") == damaged, "the damaged file was changed");
    }
    fs::write(&path, whole).expect("restored");
    assert!(open(directory.path()).mesh("m").is_some());
}

#[tokio::test]
async fn an_unreadable_row_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    made(&store, ResourceId::mesh("m")).await;
    drop(store);
    let connection = Connection::open(layout::database(directory.path())).expect("opened");
    connection.execute("UPDATE resource SET spec = '{\"egressFilter\":1}'", ()).expect("written");
    drop(connection);
    assert!(error(directory.path()).contains("the row of mesh/m is unreadable"));
}

#[test]
fn foreign_newer_and_other_accounts_databases_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = layout::database(directory.path());
    let change =
        |sql: &str| Connection::open(&path).and_then(|file| file.execute_batch(sql)).expect("changed");
    change("CREATE TABLE t (x)");
    assert!(error(directory.path()).contains("it is a database of another program"));
    fs::remove_file(&path).expect("removed");

    drop(open(directory.path()));
    let other = Identity { account: "999999999999".into(), ..identity() };
    let message = SqliteStore::open(directory.path(), &other).err().expect("refused").to_string();
    assert!(message.contains("holds the resources of account 111122223333"), "{message}");

    change("PRAGMA user_version = 2");
    let message = error(directory.path());
    assert!(message.contains("has schema 2, this program knows up to 1"), "{message}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("file");
    fs::write(&file, "").expect("written");
    let below = file.join("data");
    let expected = format!("cannot use the data directory {}: ", below.display());
    let message = error(&below);
    assert!(message.starts_with(&expected) && message.contains("--data-dir"), "{message}");
}

/// The version of some clusters of a node under the keys of `store`.
fn marked(store: &SqliteStore) -> String {
    let set = ResourceSet::from([("cluster".to_owned(), Arc::new(cluster()))]);
    store.version_keys().version(
        &ResourceId::virtual_node("m", "n"),
        ResourceType::Cluster,
        &Content::new(set),
    )
}

fn cluster() -> Resource {
    let message = envoy_types::pb::envoy::config::cluster::v3::Cluster::default();
    Resource::new("cluster", &message, Default::default(), Default::default())
}

fn keys_stored(directory: &Path) -> Vec<Vec<u8>> {
    let connection = Connection::open(layout::database(directory)).expect("opened");
    let mut keys = connection.prepare("SELECT key FROM version_key ORDER BY id DESC").expect("a table");
    let keys = keys.query_map((), |row| row.get(0)).expect("rows");
    keys.collect::<Result<_, _>>().expect("keys")
}

#[tokio::test]
async fn the_keys_of_versions_survive_and_are_replaced_one_at_a_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let first = marked(&store);
    drop(store);
    let store = open(directory.path());
    assert_eq!(marked(&store), first, "a restart changes no version");
    let other = tempfile::tempdir().expect("a directory");
    assert_ne!(marked(&open(other.path())), first, "no two stores have a key in common");

    let now = Timestamp::now();
    store.renew_keys(now + KEY_LIFE - SignedDuration::from_hours(1)).await.expect("renewed");
    assert_eq!(marked(&store), first, "it is not old enough");
    let old = keys_stored(directory.path());
    let mut seen = vec![first];
    for round in 1..=3 {
        store.renew_keys(now + (KEY_LIFE + SignedDuration::from_hours(1)) * round).await.expect("renewed");
        let version = marked(&store);
        assert!(!seen.contains(&version), "a new key marks");
        seen.push(version);
        assert_eq!(keys_stored(directory.path()).len(), 2, "one more is recognised");
    }
    assert!(!keys_stored(directory.path()).contains(&old[0]));
    drop(store);
    let store = open(directory.path());
    assert_eq!(Some(marked(&store)), seen.pop(), "and that one stays, too");
    made(&store, ResourceId::mesh("m")).await;
}

#[tokio::test]
async fn a_database_from_before_there_were_keys_gets_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let mesh = made(&open(directory.path()), ResourceId::mesh("m")).await;
    let path = layout::database(directory.path());
    Connection::open(&path).and_then(|file| file.execute_batch("DROP TABLE version_key")).expect("dropped");
    let store = open(directory.path());
    assert!(store.mesh("m").is_some_and(|view| view.get(&mesh.id).is_some()));
    assert_eq!(keys_stored(directory.path()).len(), 1);
    let version = marked(&store);
    drop(store);
    assert_eq!(marked(&open(directory.path())), version);
    let schema = Connection::open(&path)
        .and_then(|file| file.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)));
    assert_eq!(schema, Ok(1), "a program from before still opens it");
}

#[tokio::test]
async fn an_instance_stays_bound_to_its_key_over_restarts_and_until_its_certificate_ends() {
    let directory = tempfile::tempdir().expect("a directory");
    let second = |second| Timestamp::from_second(second).expect("a time");
    let binding = |instance: &str, key, until| Binding {
        instance: instance.into(),
        node: ResourceId::virtual_node("m", "n"),
        key: [key; 32],
        started: second(100),
        until: second(until),
    };
    let store = open(directory.path());
    let bind = async |store: &SqliteStore, binding: Binding, now| {
        store.bind(binding, second(now)).await.expect("a store that works")
    };
    assert!(bind(&store, binding("i-1", 1, 4000), 1000).await);
    assert!(bind(&store, binding("i-2", 2, 4000), 1000).await, "another instance");
    assert!(!bind(&store, binding("i-1", 2, 4000), 1000).await);
    drop(store);
    let store = open(directory.path());
    assert!(!bind(&store, binding("i-1", 2, 5000), 2000).await, "a restart forgets nothing");
    assert!(bind(&store, binding("i-1", 1, 5000), 2000).await, "a renewal");
    assert!(!bind(&store, binding("i-1", 2, 7000), 4500).await, "the newer certificate counts");
    let other = Binding { node: ResourceId::virtual_node("m", "o"), ..binding("i-1", 2, 7000) };
    assert!(bind(&store, other, 4500).await, "for another virtual node");
    assert!(bind(&store, binding("i-1", 2, 9000), 5000).await, "it has ended");
    assert!(!bind(&store, binding("i-1", 1, 9000), 5000).await);
    assert_eq!(*store.revisions().borrow(), 0, "no view changes");
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    Delete(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![6 => (0..6usize).prop_map(Step::Put), 3 => (0..6usize).prop_map(Step::Delete), 1 => Just(Step::Reopen)]
}

fn member(index: usize) -> ResourceId {
    match Kind::ALL[index % 5] {
        Kind::Mesh | Kind::VirtualNode => ResourceId::virtual_node("m", format!("n{index}")),
        Kind::VirtualRouter => ResourceId::virtual_router("m", "r"),
        Kind::Route => ResourceId::route("m", "r", "x"),
        Kind::VirtualService => ResourceId::virtual_service("m", "s.local:80"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_history_leaves_what_a_map_would_hold(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let directory = tempfile::tempdir().expect("a directory");
        let mut store = open(directory.path());
        let mut model = std::collections::BTreeMap::new();
        let mesh = runtime.block_on(made(&store, ResourceId::mesh("m")));
        model.insert(mesh.id.clone(), mesh);
        for step in steps {
            match step {
                Step::Put(index) => {
                    let id = member(index);
                    let (next, replaces) = match model.get(&id) {
                        None => (record(id.clone(), 1), None),
                        Some(old) => (Record { version: old.version + 1, ..old.clone() }, Some(old.version)),
                    };
                    runtime.block_on(store.commit(put(next.clone(), replaces))).expect("committed");
                    model.insert(id, next);
                }
                Step::Delete(index) => {
                    if let Some(old) = model.remove(&member(index)) {
                        runtime.block_on(store.commit(delete(&old))).expect("committed");
                    }
                }
                Step::Reopen => {
                    drop(store);
                    store = open(directory.path());
                }
            }
            let view = store.mesh("m").expect("the mesh");
            let found: Vec<&Record> = view.resources.values().map(Arc::as_ref).collect();
            prop_assert_eq!(found, model.values().collect::<Vec<_>>());
        }
    }
}

/// Whoever may read the data directory has every version key, every spec and the hashes of who joined.
#[test]
fn the_data_directory_is_for_its_owner_only() {
    // What containers and systemd have, too.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("deep/data");
    let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    let modes = || -> Vec<(String, u32)> {
        let entries = fs::read_dir(&data).expect("a folder").map(|entry| entry.expect("an entry").path());
        let mut modes: Vec<_> = entries
            .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), mode(&path)))
            .collect();
        modes.sort();
        modes
    };
    let names = ["control-plane.db", "control-plane.db-shm", "control-plane.db-wal", "control-plane.lock"];
    let private = names.map(|name| (name.to_owned(), 0o600)).to_vec();
    let store = open(&data);
    assert_eq!((mode(&data), modes()), (0o700, private.clone()));
    // As programs from before left it.
    let loosen = || {
        fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("changed");
        for (name, _) in modes() {
            fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o644)).expect("changed");
        }
    };
    loosen();
    drop(store);
    loosen();
    let store = open(&data);
    assert_eq!((mode(&data), modes()), (0o700, private));
    drop(store);
    // A folder that is not ours alone is left to whom it is for; what is ours in it is not.
    loosen();
    fs::write(data.join("of-others"), "").expect("written");
    let _store = open(&data);
    assert_eq!((mode(&data), mode(&data.join("control-plane.db"))), (0o755, 0o600));
}
