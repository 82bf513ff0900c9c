//! Tests of the world: who is woken by what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use fleetmesh_core::{Claim, Identity, Object, ObjectKey, Reach};
use fleetmesh_crds::{Management, Status};
use fleetmesh_model::{Kind, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::json;

use super::{Answer, Conclusion, Source, Told, World};
use crate::queue::Wake;

fn object(name: &str, version: u64, id: ResourceId, spec: serde_json::Value) -> Object {
    let kind = id.kind();
    Object {
        key: ObjectKey {
            kind,
            namespace: (kind != Kind::Mesh).then(|| "apps".to_owned()),
            name: name.to_owned(),
        },
        uid: format!("uid-{name}"),
        resource_version: version.to_string(),
        created: Timestamp::from_second(i64::try_from(version).unwrap()).unwrap(),
        generation: 1,
        deleting: false,
        finalizers: Vec::new(),
        orphan: false,
        touch: String::new(),
        spec: Spec::from_json(kind, spec).unwrap(),
        id,
        management: Management::default(),
        iam: None,
        fleet: None,
        canary: None,
        declared_targets: Vec::new(),
        allowed_namespaces: None,
        status: Status::default(),
    }
}

fn node(name: &str, version: u64) -> Object {
    object(name, version, ResourceId::virtual_node("m", name), json!({}))
}

fn service(version: u64) -> Object {
    let provider = json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}});
    object("s", version, ResourceId::virtual_service("m", "s"), provider)
}

fn written(version: i64) -> Conclusion {
    let identity = Identity { arn: "arn".to_owned(), uid: "remote".to_owned(), version };
    Conclusion {
        in_step: Some((1, identity.clone())),
        identity: Some(identity),
        exists: Some(true),
        wrote: true,
        ..Conclusion::default()
    }
}

#[test]
fn what_is_in_step_is_forgotten_when_another_spec_comes_into_force() {
    let world = World::default();
    let remembers = |key| world.memory(key).in_step.is_some();
    let before = service(1);
    world.seen(before.clone(), Source::Watch);
    world.conclude(&before, written(1));
    assert!(remembers(&before.key));
    world.seen(service(2), Source::Watch);
    assert!(remembers(&before.key), "the spec is the same");
    // The same generation, as a rollout leaves it.
    let mut after = service(3);
    let provider = json!({"provider": {"virtualNode": {"virtualNodeName": "other"}}});
    after.spec = object("s", 3, after.id.clone(), provider).spec;
    world.seen(after.clone(), Source::Watch);
    assert!(!remembers(&after.key));
    world.conclude(&before, written(2));
    assert!(!remembers(&after.key), "a round that is late concludes about the former spec");
}

#[test]
fn an_object_that_comes_to_exist_wakes_who_waits_for_it() {
    let world = World::default();
    let (node, service) = (node("n", 1), service(2));
    world.seen(node.clone(), Source::Watch);
    world.seen(service.clone(), Source::Watch);
    let local = world.observe(&service.key).unwrap();
    assert!(
        local.observed.referents.iter().any(|referent| referent.reach == Reach::Pending(node.key.clone()))
    );
    let wakes = world.conclude(&node, written(1));
    assert_eq!(wakes, [(service.key.clone(), Wake::Look)]);
    assert!(world.conclude(&node, written(2)).is_empty(), "it existed already");
}

#[test]
fn older_news_and_our_own_echo_wake_nobody() {
    let world = World::default();
    assert_eq!(world.seen(node("n", 5), Source::Watch).len(), 1);
    assert!(world.seen(node("n", 4), Source::Watch).is_empty());
    let mut reported = node("n", 6);
    reported.status.version = Some(1);
    assert!(world.seen(reported.clone(), Source::OwnWrite).is_empty());
    assert!(world.seen(reported, Source::Watch).is_empty());
    let mut changed = node("n", 7);
    changed.generation = 2;
    assert_eq!(world.seen(changed, Source::Watch).len(), 1);
}

#[test]
fn the_next_in_line_gets_the_name_when_its_holder_goes() {
    let world = World::default();
    let older = node("n", 1);
    let mut younger = node("too", 2);
    younger.id = older.id.clone();
    world.seen(older.clone(), Source::Watch);
    world.seen(younger.clone(), Source::Watch);
    let claim = |key| world.observe(key).unwrap().observed.claim;
    assert_eq!(claim(&older.key), Claim::Ours);
    assert_eq!(claim(&younger.key), Claim::Taken(older.key.clone()));
    assert!(world.gone(&older.key, Some("another uid")).is_empty(), "news about an earlier resource");
    assert!(world.gone(&older.key, Some(&older.uid)).contains(&(younger.key.clone(), Wake::Look)));
    assert_eq!(claim(&younger.key), Claim::Ours);
}

#[test]
fn proxies_that_only_come_and_go_are_not_urgent() {
    let world = World::default();
    world.tells(true);
    let node = node("n", 1);
    world.seen(node.clone(), Source::Watch);
    world.conclude(&node, written(1));
    let told = |version, proxies, acknowledged| Answer {
        objects: vec![(node.id.clone(), Told { version, proxies, acknowledged, ..Told::default() })],
        ..Answer::default()
    };
    assert_eq!(world.told("m", told(1, 0, 0)).now.len(), 1, "the first news");
    let woken = world.told("m", told(1, 2, 2));
    assert_eq!((woken.now.len(), woken.later.len()), (0, 1));
    assert_eq!(world.told("m", told(1, 2, 1)).now.len(), 1, "one does not run it any more");
    assert!(!world.contradicts(&node.id, 1));
    world.told("m", told(2, 2, 2));
    assert!(world.contradicts(&node.id, 1), "somebody else wrote it");
}
