//! The keys of versions, and those that instances are bound to.

use std::sync::Arc;

use fleetmesh_mesh::snapshot::{Content, Resource, ResourceSet, ResourceType};
use fleetmesh_mesh::store::{Binding, KEY_LIFE};
use fleetmesh_model::ResourceId;
use jiff::{SignedDuration, Timestamp};

use super::{StoreBackend, made};
use crate::store::Store;
use crate::views::Views;

/// The version of some clusters of a node under the keys of `store`.
pub(crate) fn marked(store: &impl Store) -> String {
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

pub(crate) async fn the_keys_of_versions_survive_and_are_replaced_one_at_a_time<B: StoreBackend>() {
    let backend = B::new();
    let store = backend.open();
    let first = marked(&store);
    drop(store);
    let store = backend.open();
    assert_eq!(marked(&store), first, "a restart changes no version");
    let other = B::new();
    assert_ne!(marked(&other.open()), first, "no two stores have a key in common");

    let now = Timestamp::now();
    store.renew_keys(now + KEY_LIFE - SignedDuration::from_hours(1)).await.expect("renewed");
    assert_eq!(marked(&store), first, "it is not old enough");
    let mut seen = vec![first];
    for renewal in 1..=3 {
        store.renew_keys(now + (KEY_LIFE + SignedDuration::from_hours(1)) * renewal).await.expect("renewed");
        let version = marked(&store);
        assert!(!seen.contains(&version), "a new key marks");
        seen.push(version);
    }
    drop(store);
    let store = backend.open();
    assert_eq!(Some(marked(&store)), seen.pop(), "and that one stays, too");
    made(&store, ResourceId::mesh("m")).await;
}

pub(crate) async fn an_instance_stays_bound_to_its_key_over_restarts_and_until_its_certificate_ends<
    B: StoreBackend,
>() {
    let backend = B::new();
    let second = |second| Timestamp::from_second(second).expect("a time");
    let binding = |instance: &str, key, until| Binding {
        instance: instance.into(),
        node: ResourceId::virtual_node("m", "n"),
        key: [key; 32],
        started: second(100),
        until: second(until),
    };
    let store = backend.open();
    let bind = async |store: &B::Store, binding: Binding, now| {
        store.bind(binding, second(now)).await.expect("a store that works")
    };
    assert!(bind(&store, binding("i-1", 1, 4000), 1000).await);
    assert!(bind(&store, binding("i-2", 2, 4000), 1000).await, "another instance");
    assert!(!bind(&store, binding("i-1", 2, 4000), 1000).await);
    drop(store);
    let store = backend.open();
    assert!(!bind(&store, binding("i-1", 2, 5000), 2000).await, "a restart forgets nothing");
    assert!(bind(&store, binding("i-1", 1, 5000), 2000).await, "a renewal");
    assert!(!bind(&store, binding("i-1", 2, 7000), 4500).await, "the newer certificate counts");
    let other = Binding { node: ResourceId::virtual_node("m", "o"), ..binding("i-1", 2, 7000) };
    assert!(bind(&store, other, 4500).await, "for another virtual node");
    assert!(bind(&store, binding("i-1", 2, 9000), 5000).await, "it has ended");
    assert!(!bind(&store, binding("i-1", 1, 9000), 5000).await);
    assert_eq!(*store.revisions().borrow(), 0, "no view changes");
}
