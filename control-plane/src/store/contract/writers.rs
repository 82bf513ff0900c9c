//! Two writers on the same data: rules between objects hold, though neither knows what the other is about to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::store::{Change, Commit, CommitError, Tip, Write};
use fleetmesh_mesh::view::{MeshView, Record};
use fleetmesh_model::{ResourceId, Spec};
use futures::future::{join, join_all};
use serde_json::json;

use super::{StoreBackend, made, put, with_spec};
use crate::store::Store;
use crate::views::Views;

fn route() -> ResourceId {
    ResourceId::route("m", "r", "x")
}

/// The virtual nodes that routes of the mesh lead to.
fn targets(mesh: &MeshView) -> Vec<String> {
    let specs = mesh.resources.values().filter_map(|record| match &record.spec {
        Spec::Route(spec) => spec.action(),
        _ => None,
    });
    let targets = specs.flat_map(|(_, _, action)| &action.weighted_targets);
    targets.map(|target| target.virtual_node.clone()).collect()
}

/// Makes a route to `node`, if that exists.
fn route_to(node: &Record) -> Commit {
    let node = node.id.clone();
    let target = json!([{"virtualNode": node.name(), "weight": 1}]);
    let spec = json!({"httpRoute": {"match": {"prefix": "/"}, "action": {"weightedTargets": target}}});
    let record = with_spec(route(), 1, spec);
    let decide = move |tip: Tip<'_>| {
        tip.record(&node).ok_or_else(|| Refusal::not_found("the target does not exist"))?;
        Ok(Change::Put(Write { record: record.clone(), replaces: None }))
    };
    Commit { token: None, decide: Box::new(decide) }
}

/// Deletes `node`, if no route leads to it.
fn delete_unused(node: &Record) -> Commit {
    let Record { id, uid, version, .. } = node.clone();
    let decide = move |tip: Tip<'_>| {
        let mesh = tip.mesh(&"m".into()).ok_or_else(|| Refusal::not_found("the mesh does not exist"))?;
        if targets(mesh).iter().any(|target| target == id.name()) {
            return Err(Refusal::new(Class::ResourceInUse, "a route leads to it"));
        }
        Ok(Change::Delete { id: id.clone(), uid: uid.clone(), version })
    };
    Commit { token: None, decide: Box::new(decide) }
}

/// A mesh with a virtual node, a router, and two writers that both know them.
async fn two_writers<B: StoreBackend>(backend: &B) -> (B::Store, B::Store, Record) {
    let one = backend.open();
    made(&one, ResourceId::mesh("m")).await;
    made(&one, ResourceId::virtual_router("m", "r")).await;
    let node = made(&one, ResourceId::virtual_node("m", "n")).await;
    let other = backend.open_beside();
    (one, other, node)
}

/// One of a route to a node and the deletion of that node is refused, in either order and at once, and nobody reads a route
/// to a node that is not there.
pub(crate) async fn a_node_that_goes_and_a_route_to_it_are_not_both_done_by_two_writers<B: StoreBackend>() {
    let refused = |outcome: &Result<Arc<Record>, CommitError>, class: Class| matches!(outcome, Err(CommitError::Refused(refusal)) if refusal.class == class);
    for order in 0..12 {
        let backend = B::new();
        let (one, other, node) = two_writers(&backend).await;
        let (deletion, routing) = (delete_unused(&node), route_to(&node));
        let (deleted, routed) = match order {
            0 => {
                let deleted = one.commit(deletion).await;
                (deleted, other.commit(routing).await)
            }
            1 => {
                let routed = other.commit(routing).await;
                (one.commit(deletion).await, routed)
            }
            _ => join(one.commit(deletion), other.commit(routing)).await,
        };
        let lost = match (&deleted, &routed) {
            (Ok(_), lost) => refused(lost, Class::NotFound),
            (lost, Ok(_)) => refused(lost, Class::ResourceInUse),
            _ => false,
        };
        assert!(lost, "order {order}: {deleted:?}, {routed:?}");
        drop((one, other));
        let view = backend.open().mesh(&"m".into()).expect("the mesh");
        let exists = |name: &String| view.get(&ResourceId::virtual_node("m", name)).is_some();
        assert!(targets(&view).iter().all(exists), "order {order}: a route leads nowhere");
    }
}

/// Who is overtaken decides twice, the second time on what the other did, and shows it from then on.
pub(crate) async fn who_is_overtaken_decides_again_on_what_the_other_did<B: StoreBackend>() {
    let backend = B::new();
    let (one, other, node) = two_writers(&backend).await;
    let newer = Record { version: 2, ..node.clone() };
    one.commit(put(newer.clone(), Some(1))).await.expect("committed");
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (note, id) = (Arc::clone(&seen), node.id.clone());
    let decide = move |tip: Tip<'_>| {
        let current = tip.record(&id).expect("the node");
        note.lock().expect("no panic while locked").push((tip.revision(), current.version));
        let record = Record { version: current.version + 1, ..Record::clone(current) };
        Ok(Change::Put(Write { record, replaces: Some(current.version) }))
    };
    let done = other.commit(Commit { token: None, decide: Box::new(decide) }).await.expect("committed");
    assert_eq!((done.version, &done.uid), (3, &node.uid));
    assert_eq!(*seen.lock().expect("no panic while locked"), [(3, 1), (4, 2)]);
    assert_eq!(*other.revisions().borrow(), 5);
    // A refusal of something that is there by now would be as wrong.
    made(&one, ResourceId::virtual_node("m", "late")).await;
    let late = Record { id: ResourceId::virtual_node("m", "late"), ..node };
    other.commit(route_to(&late)).await.expect("it is there");
}

/// Writers that count, at once, count every time.
pub(crate) async fn two_writers_at_once_lose_nothing<B: StoreBackend>() {
    const EACH: usize = 20;
    let backend = B::new();
    let (one, other, node) = two_writers(&backend).await;
    let decisions = Arc::new(AtomicUsize::new(0));
    let count = || {
        let (id, decisions) = (node.id.clone(), Arc::clone(&decisions));
        let decide = move |tip: Tip<'_>| {
            decisions.fetch_add(1, Ordering::Relaxed);
            let current = tip.record(&id).ok_or_else(|| Refusal::not_found("gone"))?;
            let record = Record { version: current.version + 1, ..Record::clone(current) };
            Ok(Change::Put(Write { record, replaces: Some(current.version) }))
        };
        Commit { token: None, decide: Box::new(decide) }
    };
    for _ in 0..EACH {
        let outcomes = join_all([one.commit(count()), other.commit(count())]).await;
        outcomes.into_iter().for_each(|outcome| drop(outcome.expect("committed")));
    }
    assert!(decisions.load(Ordering::Relaxed) > 2 * EACH, "no one was ever overtaken");
    made(&other, ResourceId::virtual_node("m", "last")).await;
    drop((one, other));
    let view = backend.open().mesh(&"m".into()).expect("the mesh");
    let version = view.get(&node.id).map(|record| record.version);
    assert_eq!(version, i64::try_from(1 + 2 * EACH).ok());
}
