//! Durability, visibility, compare and set.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::store::{Change, Commit, CommitError, Tip, Write};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::ResourceId;
use futures::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{StoreBackend, delete, made, put, record};
use crate::store::Store;
use crate::views::Views;

pub(crate) async fn what_was_committed_is_there_after_opening_again<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    let mesh = made(&store, ResourceId::mesh("m")).await;
    let node = made(&store, ResourceId::virtual_node("m", "n")).await;
    let newer = Record { version: 2, ..node.clone() };
    store.commit(put(newer.clone(), Some(1))).await.expect("committed");
    let gone = made(&store, ResourceId::virtual_service("m", "s.local")).await;
    store.commit(delete(&gone)).await.expect("committed");
    let revision = *store.revisions().borrow();
    assert_eq!(revision, 5);
    drop(store);

    let store = backend.open();
    assert_eq!(*store.revisions().borrow(), revision);
    let view = store.mesh(&"m".into()).expect("the mesh");
    let found: Vec<Record> = view.resources.values().map(|record| Record::clone(record)).collect();
    assert_eq!(found, [mesh, newer]);
}

pub(crate) async fn a_commit_is_visible_before_its_answer<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    let mut revisions = store.revisions();
    let mesh = made(&store, ResourceId::mesh("m")).await;
    assert!(revisions.has_changed().expect("the store lives"));
    let revision = *revisions.borrow_and_update();
    let view = store.mesh(&"m".into()).expect("the mesh");
    assert_eq!(
        (view.revision, view.get(&mesh.id).map(|found| found.uid.clone())),
        (revision, Some(mesh.uid))
    );
}

pub(crate) async fn an_old_view_stays_as_it_was<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    made(&store, ResourceId::mesh("m")).await;
    let before = store.mesh(&"m".into()).expect("the mesh");
    made(&store, ResourceId::virtual_node("m", "n")).await;
    assert_eq!(before.resources.len(), 1);
    assert_eq!(store.mesh(&"m".into()).expect("the mesh").resources.len(), 2);
}

pub(crate) async fn a_write_on_another_version_is_not_stored<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
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

pub(crate) async fn concurrent_decisions_see_each_other<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    let counter = made(&store, ResourceId::mesh("m")).await;
    let increment = || {
        let id = counter.id.clone();
        let decide = move |tip: Tip<'_>| {
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

pub(crate) async fn a_refused_or_panicking_decision_leaves_no_trace<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    made(&store, ResourceId::mesh("m")).await;
    let refusal = Refusal::new(Class::ResourceInUse, "no");
    let refused = Commit { token: None, decide: Box::new(move |_| Err(refusal.clone())) };
    let panics = Commit { token: None, decide: Box::new(|_| panic!("on purpose")) };
    assert!(matches!(store.commit(refused).await, Err(CommitError::Refused(_))));
    assert!(matches!(store.commit(panics).await, Err(CommitError::Internal { .. })));
    assert_eq!(*store.revisions().borrow(), 1);
    made(&store, ResourceId::mesh("n")).await;
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum CommitStep {
    Put(usize),
    Delete(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = CommitStep> {
    prop_oneof![6 => (0..6usize).prop_map(CommitStep::Put), 3 => (0..6usize).prop_map(CommitStep::Delete), 1 => Just(CommitStep::Reopen)]
}

fn member(index: usize) -> ResourceId {
    match index % 5 {
        2 => ResourceId::virtual_router("m", "r"),
        3 => ResourceId::route("m", "r", "x"),
        4 => ResourceId::virtual_service("m", "s.local:80"),
        _ => ResourceId::virtual_node("m", format!("n{index}")),
    }
}

/// Random histories, always the same ones.
pub(crate) async fn any_history_leaves_what_a_map_would_hold<B: StoreBackend>() {
    let mut runner = TestRunner::deterministic();
    let histories = proptest::collection::vec(step(), 1..40);
    for _ in 0..48 {
        let history = histories.new_tree(&mut runner).expect("a history").current();
        leaves_what_a_map_would_hold::<B>(&history).await;
    }
}

async fn leaves_what_a_map_would_hold<B: StoreBackend>(history: &[CommitStep]) {
    let backend = B::new();
    let mut store = backend.open();
    let mut model = BTreeMap::new();
    let mesh = made(&store, ResourceId::mesh("m")).await;
    model.insert(mesh.id.clone(), mesh);
    for step in history {
        match *step {
            CommitStep::Put(index) => {
                let id = member(index);
                let (next, replaces) = match model.get(&id) {
                    None => (record(id.clone(), 1), None),
                    Some(old) => {
                        (Record { version: old.version + 1, ..Record::clone(old) }, Some(old.version))
                    }
                };
                store.commit(put(next.clone(), replaces)).await.expect("committed");
                model.insert(id, next);
            }
            CommitStep::Delete(index) => {
                if let Some(old) = model.remove(&member(index)) {
                    store.commit(delete(&old)).await.expect("committed");
                }
            }
            CommitStep::Reopen => {
                drop(store);
                store = backend.open();
            }
        }
        let view = store.mesh(&"m".into()).expect("the mesh");
        let found: Vec<&Record> = view.resources.values().map(Arc::as_ref).collect();
        assert_eq!(found, model.values().collect::<Vec<_>>(), "{history:?}");
    }
}
