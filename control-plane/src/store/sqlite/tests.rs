//! Tests of the SQLite store: the contract of every store, and beside it the lock, damaged and foreign files, full disks.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fleetmesh_mesh::form::Form;
use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::store::{CommitError, KEY_LIFE, TOKENS_PER_MESH};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Account, ResourceId};
use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use rustix::fs::Mode;
use tempfile::TempDir;

use super::{SqliteStore, layout};
use crate::store::Store;
use crate::store::contract::{StoreBackend, contract_suite, delete, identity, made, marked, put, record};
use crate::views::Views;

/// A data directory.
struct Sqlite(TempDir);

impl StoreBackend for Sqlite {
    type Store = SqliteStore;

    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn open_with(&self, tokens: u32) -> SqliteStore {
        SqliteStore::open(self.0.path(), &identity(), tokens).expect("a store")
    }

    fn open_beside(&self) -> SqliteStore {
        SqliteStore::open_beside(self.0.path(), &identity()).expect("a store")
    }

    fn bytes(&self) -> u64 {
        let entries = fs::read_dir(self.0.path()).expect("a folder").map(|entry| entry.expect("an entry"));
        entries.map(|entry| entry.metadata().expect("it exists").len()).sum()
    }
}

contract_suite!(Sqlite);

pub(super) fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory, &identity(), TOKENS_PER_MESH).expect("a store")
}

fn error(directory: &Path) -> String {
    SqliteStore::open(directory, &identity(), TOKENS_PER_MESH).err().expect("no store").to_string()
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

/// A store on a disk that is full. A file that may not grow is what SQLite sees of one.
pub(super) fn full(directory: &Path) -> SqliteStore {
    let opened = super::open::open(&layout::database(directory), &identity()).expect("opened");
    opened.connection.pragma_update(None, "max_page_count", 1).expect("a limit");
    let lock = super::lock::Lock::take(directory).expect("a lock");
    SqliteStore::serve(Some(lock), directory, &identity(), opened, TOKENS_PER_MESH).expect("a store")
}

#[tokio::test]
async fn a_full_disk_refuses_changes_and_loses_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    made(&store, ResourceId::mesh("m")).await;
    drop(store);
    let store = full(directory.path());
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
    let shown = store.mesh(&"m".into()).expect("the mesh").resources.clone();
    drop(store);
    assert_eq!(open(directory.path()).mesh(&"m".into()).expect("the mesh").resources, shown);
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
    assert!(open(directory.path()).mesh(&"m".into()).is_some());
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
    let message =
        SqliteStore::open(directory.path(), &other, TOKENS_PER_MESH).err().expect("refused").to_string();
    assert!(message.contains("holds the resources of account 111122223333"), "{message}");

    change("PRAGMA user_version = 3");
    let message = error(directory.path());
    assert!(message.contains("has schema 3, this program knows up to 2"), "{message}");
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

fn keys_stored(directory: &Path) -> Vec<Vec<u8>> {
    let connection = Connection::open(layout::database(directory)).expect("opened");
    let mut keys = connection.prepare("SELECT key FROM version_key ORDER BY id DESC").expect("a table");
    let keys = keys.query_map((), |row| row.get(0)).expect("rows");
    keys.collect::<Result<_, _>>().expect("keys")
}

#[tokio::test]
async fn a_database_from_before_there_were_keys_gets_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let mesh = made(&open(directory.path()), ResourceId::mesh("m")).await;
    let path = layout::database(directory.path());
    Connection::open(&path).and_then(|file| file.execute_batch("DROP TABLE version_key")).expect("dropped");
    let store = open(directory.path());
    assert!(store.mesh(&"m".into()).is_some_and(|view| view.get(&mesh.id).is_some()));
    assert_eq!(keys_stored(directory.path()).len(), 1);
    let version = marked(&store);
    drop(store);
    assert_eq!(marked(&open(directory.path())), version);
    let schema = Connection::open(&path)
        .and_then(|file| file.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)));
    assert_eq!(schema, Ok(1), "a program from before still opens it");
}

#[tokio::test]
async fn what_a_file_had_before_forms_were_known_stays_in_the_first_until_it_changes() {
    let directory = tempfile::tempdir().expect("a directory");
    let form = |store: &SqliteStore, id: &ResourceId| {
        let view = store.mesh(id.mesh_name()).expect("the mesh");
        view.form(view.get(id).expect("it is there"))
    };
    let store = open(directory.path());
    made(&store, ResourceId::mesh("m")).await;
    // Written by a clock that is ahead of this one.
    let ahead = Timestamp::now() + SignedDuration::from_hours(1);
    let old = Record { last_updated_at: ahead, ..record(ResourceId::virtual_node("m", "old"), 1) };
    store.commit(put(old.clone(), None)).await.expect("committed");
    assert_eq!(form(&store, &old.id), Form::Second, "a new file knows them all");
    drop(store);

    let path = layout::database(directory.path());
    Connection::open(&path).and_then(|file| file.execute_batch("DROP TABLE snapshot_form")).expect("dropped");
    let store = open(directory.path());
    assert_eq!(form(&store, &old.id), Form::First);
    let later = ahead + SignedDuration::from_secs(1);
    let new = Record { last_updated_at: later, ..record(ResourceId::virtual_node("m", "new"), 1) };
    store.commit(put(new.clone(), None)).await.expect("committed");
    drop(store);
    let store = open(directory.path());
    assert_eq!([form(&store, &old.id), form(&store, &new.id)], [Form::First, Form::Second], "it is kept");
    let updated = Record { version: 2, last_updated_at: later, ..old.clone() };
    store.commit(put(updated, Some(1))).await.expect("committed");
    assert_eq!(form(&store, &old.id), Form::Second);
}

/// A program from before would take a consumer's resource for the owner's, so it must not open the file.
#[tokio::test]
async fn a_database_of_several_accounts_keeps_whose_everything_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let schema = || {
        let file = Connection::open(layout::database(directory.path())).expect("opened");
        file.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).expect("a number")
    };
    let node = made(&open(directory.path()), ResourceId::mesh("m")).await;
    assert_eq!(schema(), 1);
    let other = "444455556666".parse().expect("an account");
    let several = Identity { others: [other].into(), ..identity() };
    let other = Account::Other(other);
    let store = SqliteStore::open(directory.path(), &several, TOKENS_PER_MESH).expect("a store");
    assert_eq!(schema(), 2);
    let theirs = ResourceId::mesh("m").owned_by(other);
    made(&store, theirs.clone()).await;
    let consumers = Record { owner: other, ..record(ResourceId::virtual_node("m", "n"), 1) };
    let owners =
        Record { owner: Account::First, ..record(ResourceId::virtual_node(theirs.mesh_name(), "n"), 1) };
    for record in [&consumers, &owners] {
        store.commit(put(record.clone(), None)).await.expect("committed");
    }
    drop(store);
    // Also where the other account is not served: then it is only not shown.
    for identity in [identity(), several] {
        let store = SqliteStore::open(directory.path(), &identity, TOKENS_PER_MESH).expect("a store");
        let found = |record: &Record| {
            store.mesh(record.id.mesh_name()).and_then(|mesh| mesh.get(&record.id).cloned())
        };
        assert_eq!(found(&node).map(|mesh| mesh.owner), Some(Account::First));
        assert_eq!(found(&consumers).map(|node| node.owner), Some(other));
        assert_eq!(
            found(&owners).map(|node| (node.owner, node.arn.clone())),
            Some((Account::First, owners.arn.clone()))
        );
        assert_eq!(
            store.mesh_names(),
            [ResourceId::mesh("m").mesh_name().clone(), theirs.mesh_name().clone()]
        );
    }
    // Whoever has the name next is who made it.
    let store = open(directory.path());
    store.commit(delete(&consumers)).await.expect("deleted");
    made(&store, consumers.id.clone()).await;
    drop(store);
    let node = open(directory.path()).mesh(&"m".into()).and_then(|mesh| mesh.get(&consumers.id).cloned());
    assert_eq!(node.map(|node| node.owner), Some(Account::First));
}

#[tokio::test]
async fn of_the_keys_of_versions_two_are_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let now = Timestamp::now();
    let old = keys_stored(directory.path());
    for pass in 1..=3 {
        store.renew_keys(now + (KEY_LIFE + SignedDuration::from_hours(1)) * pass).await.expect("renewed");
        assert_eq!(keys_stored(directory.path()).len(), 2, "one more is recognised");
    }
    assert!(!keys_stored(directory.path()).contains(&old[0]));
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
