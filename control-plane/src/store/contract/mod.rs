//! What every store has to do, as tests over [`Store`] that know no store: each backend runs the very same, by
//! [`contract_suite`]. What only one of them can do wrong, such as a damaged file, is tested beside it.

mod commits;
mod joint;
mod keys;
mod tokens;
mod writers;

use std::sync::atomic::{AtomicUsize, Ordering};

use fleetmesh_mesh::identity::Identity;
use fleetmesh_mesh::store::{Change, Commit, TOKENS_PER_MESH, Tip, Write};
use fleetmesh_mesh::view::Record;
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{ResourceId, Spec};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Store;

pub(super) use commits::*;
pub(super) use joint::*;
pub(super) use keys::*;
pub(super) use tokens::*;
pub(super) use writers::*;

/// A store of some kind, with data of its own that are gone with it.
pub(super) trait StoreBackend {
    /// The store.
    type Store: Store;

    /// Nothing stored yet.
    fn new() -> Self;

    /// Opens it. There is no other that has it open.
    fn open(&self) -> Self::Store {
        self.open_with(TOKENS_PER_MESH)
    }

    /// The same, to remember so many client tokens of a mesh.
    fn open_with(&self, tokens: u32) -> Self::Store;

    /// Opens it beside others that have it open, as another writer of the same data.
    fn open_beside(&self) -> Self::Store;

    /// How many bytes its data take while nobody has it open.
    fn bytes(&self) -> u64;
}

/// Every test of the contract, for a [`StoreBackend`].
macro_rules! contract_suite {
    ($backend:ty) => {
        $crate::store::contract::contract_suite!($backend:
            what_was_committed_is_there_after_opening_again
            a_commit_is_visible_before_its_answer
            an_old_view_stays_as_it_was
            a_write_on_another_version_is_not_stored
            concurrent_decisions_see_each_other
            a_refused_or_panicking_decision_leaves_no_trace
            changes_of_one_commit_are_there_together_and_after_opening_again
            a_joint_commit_that_is_refused_or_cannot_be_written_leaves_no_trace
            a_joint_commit_that_comes_again_is_answered_as_it_was
            a_joint_commit_that_is_overtaken_is_decided_again_as_a_whole
            a_spent_token_brings_back_its_answer_also_after_opening_again
            an_answer_comes_again_as_it_was_whatever_came_after_it
            tokens_take_little_whatever_was_asked_for
            of_each_mesh_the_last_tokens_are_remembered
            tokens_that_are_over_are_forgotten_in_pieces
            any_history_leaves_what_a_map_would_hold
            a_node_that_goes_and_a_route_to_it_are_not_both_done_by_two_writers
            who_is_overtaken_decides_again_on_what_the_other_did
            two_writers_at_once_lose_nothing
            the_keys_of_versions_survive_and_are_replaced_one_at_a_time
            an_instance_stays_bound_to_its_key_over_restarts_and_until_its_certificate_ends
        );
    };
    ($backend:ty: $($name:ident)+) => {
        $(#[tokio::test]
        async fn $name() {
            $crate::store::contract::$name::<$backend>().await;
        })+
    };
}
pub(super) use contract_suite;

/// Whose resources the tests store.
pub(super) fn identity() -> Identity {
    Identity::default()
}

/// A record with an empty spec.
pub(super) fn record(id: ResourceId, version: i64) -> Record {
    with_spec(id, version, json!({}))
}

/// A record with this spec.
fn with_spec(id: ResourceId, version: i64, spec: Value) -> Record {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let spec = Spec::from_json(id.kind(), spec).expect("a spec");
    Record {
        arn: identity().arn(&id),
        owner: id.mesh_name().owner(),
        uid: format!("uid-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        version,
        created_at: Timestamp::from_millisecond(1_700_000_000_123).expect("a time"),
        last_updated_at: Timestamp::from_millisecond(1_700_000_000_456).expect("a time"),
        spec,
        tags: Tags::from([("k".into(), "v".into())]),
        id,
    }
}

/// Stores a record, whatever the state.
pub(super) fn put(record: Record, replaces: Option<i64>) -> Commit {
    let decide = move |_: Tip<'_>| Ok(Change::Put(Write { record: record.clone(), replaces }));
    Commit { token: None, decide: Box::new(decide) }
}

/// Deletes a record, whatever the state.
pub(super) fn delete(record: &Record) -> Commit {
    let Record { id, uid, version, .. } = record.clone();
    let change = Change::Delete { id, uid, version };
    Commit { token: None, decide: Box::new(move |_| Ok(change.clone())) }
}

/// Stores a new record.
pub(super) async fn made(store: &impl Store, id: ResourceId) -> Record {
    let record = record(id, 1);
    store.commit(put(record.clone(), None)).await.expect("committed");
    record
}
