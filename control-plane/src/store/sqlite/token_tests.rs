//! Tests of client tokens in SQLite that no other store has: full disks, rows of programs from before, the clock.

use std::path::Path;

use fleetmesh_mesh::store::{ClientToken, Commit, CommitError, TOKEN_LIFE, TOKEN_PIECE};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::ResourceId;
use fleetmesh_model::tag::Tags;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, params};

use super::layout;
use super::tests::{full, open};
use crate::store::Store;
use crate::store::contract::{delete, made, put, record};

fn token(token: &str, record: &Record) -> Option<ClientToken> {
    let mesh = record.id.mesh_name().to_owned();
    Some(ClientToken { token: token.into(), mesh, request: [1; 32], spec: record.spec.clone() })
}

/// The request that made `record`, sent again; it must not be decided.
fn again(name: &str, record: &Record) -> Commit {
    Commit { token: token(name, record), decide: Box::new(|_| panic!("decided again")) }
}

fn database(directory: &Path) -> Connection {
    Connection::open(layout::database(directory)).expect("opened")
}

fn rows(directory: &Path, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    database(directory).query_row(&sql, (), |row| row.get(0)).expect("a number")
}

/// Makes `count` rows of the token table, as if they had been spent `ago`.
fn spend(directory: &Path, mesh: &Record, ago: SignedDuration, count: u32) {
    let file = database(directory);
    let transaction = file.unchecked_transaction().expect("a transaction");
    let Record { id, uid, version, last_updated_at, .. } = mesh;
    let spent_at = (Timestamp::now() - ago).as_millisecond();
    let sql = "INSERT INTO spent_token VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    for number in 1..=count {
        let (token, updated) = (format!("{number:0>36}"), last_updated_at.as_millisecond());
        let row = params![
            token,
            [1_u8; 32].as_slice(),
            spent_at,
            id.mesh_name().name(),
            number,
            "",
            uid,
            version,
            updated
        ];
        transaction.execute(sql, row).expect("inserted");
    }
    transaction.commit().expect("committed");
}

/// Stores virtual nodes with much in them until one is refused; says how many were stored.
async fn fill(store: &impl Store, of: &str) -> usize {
    for index in 0..1000 {
        let mut big = record(ResourceId::virtual_node("m", format!("{of}{index}")), 1);
        big.tags = Tags::from([("k".into(), "x".repeat(2000))]);
        match store.commit(put(big, None)).await {
            Ok(_) => {}
            Err(CommitError::Unavailable { .. }) => return index,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the disk is not full");
}

#[tokio::test]
async fn on_a_full_disk_tokens_that_are_over_are_forgotten_and_make_room() {
    let directory = tempfile::tempdir().expect("a directory");
    let mesh = made(&open(directory.path()), ResourceId::mesh("m")).await;
    spend(directory.path(), &mesh, SignedDuration::from_hours(1), 3 * TOKEN_PIECE);
    let store = full(directory.path());
    fill(&store, "a").await;
    let over = Timestamp::now() + TOKEN_LIFE;
    for more in [true, true, true, false] {
        assert_eq!(store.forget_tokens(over).await, Ok(more));
    }
    let stored = fill(&store, "b").await;
    assert!(stored > 100, "{stored} stored where 3,000 tokens were");
}

/// Whoever is refused by the full disk makes room for the next, though nobody looks for tokens that are over.
#[tokio::test]
async fn a_change_that_a_full_disk_refuses_has_tokens_that_are_over_forgotten() {
    let directory = tempfile::tempdir().expect("a directory");
    let mesh = made(&open(directory.path()), ResourceId::mesh("m")).await;
    spend(directory.path(), &mesh, TOKEN_LIFE, 3 * TOKEN_PIECE);
    let store = full(directory.path());
    let refused = fill(&store, "a").await;
    let stored = fill(&store, "b").await;
    assert!(refused < 10 && stored > 20, "{refused}, then {stored}");
    drop(store);
    assert!(rows(directory.path(), "spent_token") < i64::from(2 * TOKEN_PIECE) + 1);
}

#[tokio::test]
async fn a_token_counts_for_a_day_whether_it_is_forgotten_already_or_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let mesh = record(ResourceId::mesh("m"), 1);
    store.commit(Commit { token: token("t", &mesh), ..put(mesh.clone(), None) }).await.expect("committed");
    let set_back = |time: SignedDuration| {
        let sql = "UPDATE spent_token SET spent_at = spent_at - ?1";
        let millis = i64::try_from(time.as_millis()).expect("a short time");
        assert_eq!(database(directory.path()).execute(sql, [millis]), Ok(1));
    };
    set_back(TOKEN_LIFE - SignedDuration::from_hours(1));
    assert_eq!(store.commit(again("t", &mesh)).await.map(|found| found.version), Ok(1));
    set_back(SignedDuration::from_hours(1));
    let newer = Record { version: 2, ..mesh };
    let anew = Commit { token: token("t", &newer), ..put(newer.clone(), Some(1)) };
    assert_eq!(store.commit(anew).await.map(|made| made.version), Ok(2), "decided anew");
    assert_eq!(store.commit(again("t", &newer)).await.map(|found| found.version), Ok(2));
}

#[tokio::test]
async fn the_tokens_of_a_mesh_go_with_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let (mesh, other) =
        (made(&store, ResourceId::mesh("m")).await, made(&store, ResourceId::mesh("o")).await);
    for mesh in [&mesh, &other] {
        let newer = Record { version: 2, ..mesh.clone() };
        let commit = Commit { token: token(mesh.id.mesh_name(), &newer), ..put(newer, Some(1)) };
        store.commit(commit).await.expect("committed");
    }
    assert_eq!(rows(directory.path(), "spent_token"), 2);
    store.commit(delete(&Record { version: 2, ..mesh })).await.expect("deleted");
    assert_eq!(rows(directory.path(), "spent_token"), 1);
    assert_eq!(store.commit(again("o", &other)).await.map(|found| found.version), Ok(2));
}

/// Rows as a program from before wrote them, each with the whole answer.
#[tokio::test]
async fn a_database_from_before_keeps_its_tokens_without_their_answers() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = ResourceId::virtual_node("m", "n");
    let store = open(directory.path());
    let mesh = made(&store, ResourceId::mesh("m")).await;
    let node = made(&store, node).await;
    drop(store);
    let file = database(directory.path());
    file.execute_batch("DROP TABLE spent_token").expect("as it was before");
    let old = |token: &str, of: &Record, ago: SignedDuration| {
        let spent_at = (Timestamp::now() - ago).as_millisecond();
        let (created, updated) = (of.created_at.as_millisecond(), of.last_updated_at.as_millisecond() + 7);
        let (id, large) = (of.id.to_string(), format!("{{\"a\": {:?}}}", "x".repeat(10_000)));
        let row =
            params![token, [1_u8; 32].as_slice(), spent_at, id, of.uid, 5, created, updated, large, "{}"];
        let sql = "INSERT INTO client_token VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        file.execute(sql, row).expect("inserted");
    };
    let hours = SignedDuration::from_hours;
    (0..TOKEN_PIECE + 5).for_each(|index| old(&format!("many-{index}"), &node, hours(2)));
    old("mesh", &mesh, hours(1));
    old("over", &mesh, hours(25));
    old("of-nothing", &Record { uid: "gone".into(), ..mesh.clone() }, hours(1));

    for _ in 0..2 {
        let store = open(directory.path());
        let answer = store.commit(again("mesh", &mesh)).await.expect("remembered");
        assert_eq!((answer.version, &answer.uid, &answer.spec), (5, &mesh.uid, &mesh.spec));
        assert_eq!(answer.last_updated_at, mesh.last_updated_at + SignedDuration::from_millis(7));
        for index in 0..TOKEN_PIECE + 5 {
            let answer = store.commit(again(&format!("many-{index}"), &node)).await.expect("remembered");
            assert_eq!(answer.uid, node.uid);
        }
        let other = ClientToken { request: [2; 32], ..token("mesh", &mesh).expect("a token") };
        let refused = store.commit(Commit { token: Some(other), ..again("mesh", &mesh) }).await;
        assert!(matches!(refused, Err(CommitError::Refused(_))), "{refused:?}");
        drop(store);
        assert_eq!(rows(directory.path(), "client_token"), 0, "nothing large is left");
        assert_eq!(
            rows(directory.path(), "spent_token"),
            i64::from(TOKEN_PIECE) + 7,
            "what is over is not taken over"
        );
    }
    let store = open(directory.path());
    for name in ["of-nothing", "over"] {
        let other = record(ResourceId::mesh(name), 1);
        let made = store.commit(Commit { token: token(name, &other), ..put(other, None) }).await;
        assert_eq!(made.map(|made| made.version), Ok(1), "{name} counts no more");
    }
    // A program from before opens it still.
    let schema = file.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
    assert_eq!(schema, Ok(1));
}
