//! Client tokens: what comes again is answered as the first time, and what is remembered for that is little and bounded.

use std::sync::Arc;

use fleetmesh_mesh::refusal::{Class, Refusal};
use fleetmesh_mesh::store::{Change, ClientToken, Commit, CommitError, TOKEN_LIFE, TOKEN_PIECE, Tip, Write};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::ResourceId;
use fleetmesh_model::tag::Tags;
use fleetmesh_testbed::long;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{StoreBackend, delete, made, put, record, with_spec};
use crate::store::Store;
use crate::views::Views;

/// A token spent on the request with this number, which asks for the spec of `record`.
fn token(token: &str, request: u8, record: &Record) -> Option<ClientToken> {
    let mesh = record.id.mesh_name().to_owned();
    Some(ClientToken { token: token.into(), mesh, request: [request; 32], spec: record.spec.clone() })
}

/// The request, sent again; it must not be decided.
fn again(token: Option<ClientToken>) -> Commit {
    Commit { token, decide: Box::new(|_| panic!("decided again")) }
}

/// An update of a resource to what it is, whatever its version is by then, with this token.
fn touch(of: &Record, name: &str) -> Commit {
    let id = of.id.clone();
    let decide = move |tip: Tip<'_>| {
        let current = tip.record(&id).ok_or_else(|| Refusal::not_found("gone"))?;
        let record = Record { version: current.version + 1, ..Record::clone(current) };
        Ok(Change::Put(Write { record, replaces: Some(current.version) }))
    };
    Commit { token: token(name, 1, of), decide: Box::new(decide) }
}

/// Updates it with these tokens, each after the one before it; gives the versions.
async fn touched(store: &impl Store, of: &Record, tokens: impl Iterator<Item = String>) -> Vec<i64> {
    let mut versions = Vec::new();
    for token in tokens {
        versions.push(store.commit(touch(of, &token)).await.expect("committed").version);
    }
    versions
}

/// The same at once, in any order.
async fn touched_at_once(store: &impl Store, of: &Record, tokens: impl Iterator<Item = String>) {
    let outcomes = join_all(tokens.map(|token| store.commit(touch(of, &token)))).await;
    outcomes.into_iter().for_each(|outcome| drop(outcome.expect("committed")));
}

pub(crate) async fn a_spent_token_brings_back_its_answer_also_after_opening_again<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    let mesh = record(ResourceId::mesh("m"), 1);
    let token = |request: u8| token("t", request, &mesh);
    let first = Commit { token: token(1), ..put(mesh.clone(), None) };
    store.commit(first).await.expect("committed");
    drop(store);
    let store = backend.open();
    assert_eq!(store.commit(again(token(1))).await, Ok(Arc::new(mesh.clone())));
    let other = store.commit(again(token(2))).await;
    assert!(matches!(other, Err(CommitError::Refused(Refusal { class: Class::Conflict, .. }))), "{other:?}");
    store.commit(delete(&mesh)).await.expect("deleted");
    let again = Commit { token: token(2), ..put(record(ResourceId::mesh("m"), 1), None) };
    store.commit(again).await.expect("the token ended with its resource");
}

pub(crate) async fn an_answer_comes_again_as_it_was_whatever_came_after_it<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    made(&store, ResourceId::mesh("m")).await;
    let spec = |port: u16| json!({"listeners": [{"portMapping": {"port": port, "protocol": "http"}}]});
    let id = ResourceId::virtual_node("m", "n");
    let first = with_spec(id.clone(), 1, spec(81));
    let later = first.last_updated_at + SignedDuration::from_hours(1);
    let second = Record { version: 2, last_updated_at: later, ..with_spec(id.clone(), 2, spec(82)) };
    let second = Record { uid: first.uid.clone(), ..second };
    let tags = Tags::from([("of".into(), "later".into())]);
    let third = Record { version: 3, tags: tags.clone(), spec: first.spec.clone(), ..second.clone() };
    let (create, update) = (token("create", 1, &first), token("update", 2, &second));
    store.commit(Commit { token: create.clone(), ..put(first.clone(), None) }).await.expect("committed");
    store.commit(Commit { token: update.clone(), ..put(second.clone(), Some(1)) }).await.expect("committed");
    store.commit(put(third.clone(), Some(2))).await.expect("committed");
    for store in [store, backend.open_beside()] {
        // No answer shows tags, and so they are those of now.
        let expected = [(&create, &first), (&update, &second)];
        for (token, record) in expected {
            let expected = Record { tags: tags.clone(), ..record.clone() };
            assert_eq!(store.commit(again(token.clone())).await, Ok(Arc::new(expected)));
        }
        let swapped = store.commit(again(token("create", 2, &second))).await;
        assert!(matches!(swapped, Err(CommitError::Refused(_))), "{swapped:?}");
        assert_eq!(*store.revisions().borrow(), 4, "nothing was decided");
        assert_eq!(store.mesh(&"m".into()).expect("the mesh").get(&id).map(Arc::as_ref), Some(&third));
    }
}

/// The attack: updates with a large spec, each with a token of its own.
pub(crate) async fn tokens_take_little_whatever_was_asked_for<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open_with(1_000_000);
    made(&store, ResourceId::mesh("m")).await;
    let backend_of =
        |index: usize| json!({"virtualService": {"virtualServiceName": format!("{index:0>200}.local")}});
    let spec = json!({"backends": (0..50).map(backend_of).collect::<Vec<_>>()});
    let node = with_spec(ResourceId::virtual_node("m", "n"), 1, spec);
    store.commit(put(node.clone(), None)).await.expect("committed");
    drop(store);
    let before = backend.bytes();

    let store = backend.open_with(1_000_000);
    let count: u64 = long::choose(500, 100_000);
    let tokens: Vec<String> = (1..=count).map(|index| format!("{index:0>36}")).collect();
    for some in tokens.chunks(500) {
        touched_at_once(&store, &node, some.iter().cloned()).await;
    }
    drop(store);
    let grown = backend.bytes() - before;
    let each = grown / count;
    println!("{count} updates of {} B with fresh tokens: {grown} B, {each} B each", node_bytes(&node));
    assert!(each < 500, "{each} bytes for a token");
}

fn node_bytes(node: &Record) -> usize {
    serde_json::to_vec(&node.spec).map(|text| text.len()).unwrap_or_default()
}

pub(crate) async fn of_each_mesh_the_last_tokens_are_remembered<B: StoreBackend>() {
    const BOUND: u32 = 4;
    let backend = B::new();
    let store = backend.open_with(BOUND);
    let busy = made(&store, ResourceId::mesh("busy")).await;
    let quiet = made(&store, ResourceId::mesh("quiet")).await;
    let name = |mesh: &str, index: i64| format!("{mesh}-{index}");
    let tokens = |mesh: &'static str, count| (1..=count).map(move |index| name(mesh, index));
    touched(&store, &quiet, tokens("quiet", 3)).await;
    assert_eq!(touched(&store, &busy, tokens("busy", 40)).await.last(), Some(&41));
    drop(store);
    let store = backend.open_with(BOUND);
    for index in 37..=40 {
        let known = store.commit(again(touch(&busy, &name("busy", index)).token)).await;
        assert_eq!(known.expect("remembered").version, index + 1);
    }
    for index in 1..=3 {
        let known = store.commit(again(touch(&quiet, &name("quiet", index)).token)).await;
        assert_eq!(known.expect("another mesh's tokens took nothing from it").version, index + 1);
    }
    // The oldest first: what was spent before is decided anew, and takes the place of the next.
    assert_eq!(touched(&store, &busy, [name("busy", 36)].into_iter()).await, [42]);
    assert_eq!(touched(&store, &busy, [name("busy", 37)].into_iter()).await, [43]);
    let known = store.commit(again(touch(&busy, &name("busy", 39)).token)).await;
    assert_eq!(known.expect("remembered").version, 40);
    drop(store);

    // A bound that was lowered is reached by and by.
    let store = backend.open_with(1);
    assert_eq!(touched(&store, &busy, [name("busy", 41)].into_iter()).await, [44]);
    assert_eq!(touched(&store, &busy, [name("busy", 39)].into_iter()).await, [45], "forgotten");
}

pub(crate) async fn tokens_that_are_over_are_forgotten_in_pieces<B: StoreBackend>() {
    const LATER: i64 = 5;
    let backend = B::new();
    let store = backend.open();
    let mesh = made(&store, ResourceId::mesh("m")).await;
    touched_at_once(&store, &mesh, (0..TOKEN_PIECE).map(|index| format!("first-{index}"))).await;
    let first = Timestamp::now();
    while Timestamp::now().duration_since(first) < SignedDuration::from_millis(2) {
        tokio::task::yield_now().await;
    }
    let later = || (0..LATER).map(|index| format!("later-{index}"));
    let last = i64::from(TOKEN_PIECE) + 1 + LATER;
    assert_eq!(touched(&store, &mesh, later()).await.last(), Some(&last));
    let now = Timestamp::now();
    let hour = SignedDuration::from_hours(1);
    let forget = async |now| store.forget_tokens(now).await.expect("a store that works");
    assert!(!forget(now + TOKEN_LIFE - hour).await, "none is over");
    for token in ["first-0", "first-999", "later-0"] {
        store.commit(again(touch(&mesh, token).token)).await.expect("remembered");
    }

    assert!(forget(now + TOKEN_LIFE + hour).await, "there may be more than one piece");
    for token in later() {
        store.commit(again(touch(&mesh, &token).token)).await.expect("the oldest go first");
    }
    let anew = ["first-0", "first-999"].map(str::to_owned).into_iter();
    assert_eq!(touched(&store, &mesh, anew).await, [last + 1, last + 2], "they are forgotten");
    assert!(!forget(now + TOKEN_LIFE + hour).await, "that was the rest");
    assert_eq!(touched(&store, &mesh, later()).await.first(), Some(&(last + 3)), "forgotten, too");
}
