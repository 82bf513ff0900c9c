//! Several changes of one commit: all or nothing, at once for every reader, also when other writers are faster.

use std::sync::Arc;

use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::store::{Change, ClientToken, CommitError, Fault, JointCommit, JointError, Tip, Write};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::ResourceId;
use futures::future::join_all;

use super::{StoreBackend, made, record};
use crate::store::Store;
use crate::views::Views;

/// These changes, whatever the state.
fn changes(changes: Vec<Change>) -> JointCommit {
    let tokens = changes.iter().map(|_| None).collect();
    let decide =
        move |_: Tip<'_>, parts: &[usize]| Ok(parts.iter().map(|part| changes[*part].clone()).collect());
    JointCommit { tokens, decide: Box::new(decide) }
}

fn put(record: Record, replaces: Option<i64>) -> Change {
    Change::Put(Write { record, replaces })
}

fn delete(record: &Record) -> Change {
    let Record { id, uid, version, .. } = record.clone();
    Change::Delete { id, uid, version }
}

fn node(name: &str) -> ResourceId {
    ResourceId::virtual_node("m", name)
}

/// What a store shows of the mesh `m`: the names and versions of its resources, and the revision.
fn shown(store: &impl Store) -> (Vec<(String, i64)>, u64) {
    let view = store.mesh(&"m".into()).expect("the mesh");
    let resources = view.resources.values().map(|record| (record.id.name().to_owned(), record.version));
    (resources.collect(), view.revision)
}

pub(crate) async fn changes_of_one_commit_are_there_together_and_after_opening_again<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    made(&store, ResourceId::mesh("m")).await;
    let (old, gone) = (made(&store, node("a")).await, made(&store, node("b")).await);
    let newer = Record { version: 2, ..old };
    let new = record(node("c"), 1);
    let mut revisions = store.revisions();
    revisions.borrow_and_update();
    let commit = changes(vec![put(newer.clone(), Some(1)), delete(&gone), put(new.clone(), None)]);
    let answers = store.commit_together(commit).await.expect("committed");
    let answers: Vec<Record> = answers.iter().map(|record| Record::clone(record)).collect();
    assert_eq!(answers, [newer, gone, new], "each is answered, in their order");
    assert_eq!(*revisions.borrow_and_update(), 4, "it is one commit");
    let expected =
        ([("m", 1), ("a", 2), ("c", 1)].map(|(name, version)| (name.to_owned(), version)).into(), 4);
    assert_eq!(shown(&store), expected);
    drop(store);
    let store = backend.open();
    assert_eq!(shown(&store), expected);
    // The next one is the next commit.
    made(&store, node("d")).await;
    assert_eq!(*store.revisions().borrow(), 5);
}

pub(crate) async fn a_joint_commit_that_is_refused_or_cannot_be_written_leaves_no_trace<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    made(&store, ResourceId::mesh("m")).await;
    let old = made(&store, node("a")).await;
    let before = shown(&store);
    let faults = vec![Fault { part: 1, refusal: Refusal::conflict("no") }];
    let (refuse, tokens) = (faults.clone(), vec![None, None]);
    let refused = JointCommit { tokens: tokens.clone(), decide: Box::new(move |_, _| Err(refuse.clone())) };
    assert_eq!(store.commit_together(refused).await, Err(JointError::Refused(faults)));
    let panics = JointCommit { tokens, decide: Box::new(|_, _| panic!("on purpose")) };
    let panicked = store.commit_together(panics).await;
    assert!(matches!(panicked, Err(JointError::NotStored(CommitError::Internal { .. }))), "{panicked:?}");
    assert_eq!(shown(&store), before);
    // The second change cannot be written: the first, which can, is not there either.
    let new = put(record(node("b"), 1), None);
    let late = put(Record { version: 8, ..old.clone() }, Some(7));
    let outcome = store.commit_together(changes(vec![new, late])).await;
    assert!(matches!(outcome, Err(JointError::NotStored(CommitError::Unavailable { .. }))), "{outcome:?}");
    drop(store);
    let store = backend.open();
    assert_eq!(shown(&store), before);
    store
        .commit_together(changes(vec![put(Record { version: 2, ..old }, Some(1))]))
        .await
        .expect("it goes on");
}

/// A token spent on the request with this number, which asks for the spec of `record`.
fn token(token: &str, request: u8, record: &Record) -> Option<ClientToken> {
    let mesh = record.id.mesh_name().to_owned();
    Some(ClientToken { token: token.into(), mesh, request: [request; 32], spec: record.spec.clone() })
}

pub(crate) async fn a_joint_commit_that_comes_again_is_answered_as_it_was<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    made(&store, ResourceId::mesh("m")).await;
    let (one, other) = (record(node("a"), 1), record(node("b"), 1));
    let tokens = |second: u8| vec![token("t-1", 1, &one), token("t-2", second, &other)];
    let puts = vec![put(one.clone(), None), put(other.clone(), None)];
    let first = JointCommit { tokens: tokens(2), ..changes(puts) };
    let answers = store.commit_together(first).await.expect("committed");
    drop(store);
    let store = backend.open();
    let again = |tokens| JointCommit { tokens, decide: Box::new(|_, _| panic!("decided again")) };
    assert_eq!(store.commit_together(again(tokens(2))).await.as_ref(), Ok(&answers));
    // One of them is spent on another request; alone, each is answered as well.
    let reused = store.commit_together(again(tokens(3))).await;
    let Err(JointError::Refused(faults)) = reused else { panic!("{reused:?}") };
    assert_eq!((faults.len(), faults[0].part, faults[0].refusal.class), (1, 1, Class::Conflict));
    let alone = fleetmesh_mesh::store::Commit {
        token: token("t-2", 2, &other),
        decide: Box::new(|_| panic!("decided again")),
    };
    assert_eq!(store.commit(alone).await.as_ref(), Ok(&answers[1]));
    // With another that is new only that one is decided.
    let third = record(node("c"), 1);
    let made = third.clone();
    let decide = move |_: Tip<'_>, parts: &[usize]| {
        assert_eq!(parts, [1]);
        Ok(vec![put(made.clone(), None)])
    };
    let grown = vec![token("t-1", 1, &one), token("t-3", 3, &third)];
    let grown = JointCommit { tokens: grown, decide: Box::new(decide) };
    let grown = store.commit_together(grown).await.expect("committed");
    assert_eq!(grown, [Arc::clone(&answers[0]), Arc::new(third)]);
    assert_eq!(*store.revisions().borrow(), 3);
}

/// Writers that move one from one counter to another, at once: every reader finds the same sum.
pub(crate) async fn a_joint_commit_that_is_overtaken_is_decided_again_as_a_whole<B: StoreBackend>() {
    let backend = B::new();
    let one = backend.open();
    made(&one, ResourceId::mesh("m")).await;
    made(&one, node("a")).await;
    made(&one, node("b")).await;
    let other = backend.open_beside();
    let both = || {
        let decide = |tip: Tip<'_>, _: &[usize]| {
            let next = |name: &str| {
                let absent = Fault { part: 0, refusal: Refusal::not_found("gone") };
                let current = tip.record(&node(name)).ok_or_else(|| vec![absent])?;
                let record = Record { version: current.version + 1, ..Record::clone(current) };
                Ok::<_, Vec<Fault>>(put(record, Some(current.version)))
            };
            Ok(vec![next("a")?, next("b")?])
        };
        JointCommit { tokens: vec![None, None], decide: Box::new(decide) }
    };
    let alike = |store: &B::Store| {
        let (resources, _) = shown(store);
        let versions: Vec<i64> =
            resources.iter().filter(|(name, _)| name != "m").map(|(_, version)| *version).collect();
        assert_eq!(versions[0], versions[1], "nobody sees one without the other");
    };
    for _ in 0..20 {
        let outcomes = join_all([one.commit_together(both()), other.commit_together(both())]).await;
        for outcome in outcomes {
            let versions: Vec<i64> =
                outcome.expect("committed").iter().map(|record| record.version).collect();
            assert_eq!(versions[0], versions[1]);
        }
        alike(&one);
        alike(&other);
    }
    drop((one, other));
    let (resources, revision) = shown(&backend.open());
    assert_eq!((resources[1].1, resources[2].1, revision), (41, 41, 43));
}
