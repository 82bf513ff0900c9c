//! Tests of the memory: where it begins, where it ends, and that nothing of a resource that is gone is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_core::canary::{AskOutcome, Sample, WebhookReply};
use fleetmesh_core::fleet::ZoneLaunch;
use fleetmesh_core::iam::RoleLimits;
use fleetmesh_core::{Deprecation, Tagged};
use fleetmesh_crds::RouteAction;
use fleetmesh_crds::canary::WebhookAnswer;
use fleetmesh_model::{Kind, ResourceId};
use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::cache::tests::{cache, node, object, route, router, service, written};
use crate::cache::{Answer, Cache, NewsSource, TagReading};

/// Each way of leaving something in the memory of an object, with its name.
type Deed = (&'static str, fn(&Cache, &Object));

/// Of every kind.
const RECONCILES: [Deed; 6] = [
    ("conclude", |cache, object| _ = cache.conclude(object, written(1))),
    ("fail", |cache, object| {
        _ = cache.conclude(object, crate::cache::Conclusion { failed: true, ..written(1) })
    }),
    ("panic", |cache, object| _ = cache.panicked(object, true)),
    ("report", |cache, object| cache.reported(object)),
    ("parts", |cache, object| _ = cache.parts_concluded(object, true)),
    ("be refused to delete", |cache, object| {
        _ = cache.conclude(object, crate::cache::Conclusion { blocked: true, ..written(1) });
    }),
];

/// Of a virtual node.
const NODES: [Deed; 5] = [
    ("deprecate", |cache, node| _ = cache.deprecate(node, Deprecation::TakenBack)),
    ("identity", |cache, node| {
        let made = [(Thing::Role, Instant::now())].into();
        cache.identity_concluded(node, IdentityMemory { made, ..IdentityMemory::default() });
    }),
    ("room for a role", |cache, node| {
        assert_eq!(cache.room_for_role(node, &RoleLimits { roles: 5, roles_per_namespace: 5 }), None);
    }),
    ("fleet", |cache, node| {
        let mut memory = FleetMemory::default();
        let (instances, errors) = (vec!["i-1".to_owned()], Vec::new());
        let launch = ZoneLaunch { launch: 1, zone: None, asked: 1, instances, errors };
        memory.launched(&[launch], Timestamp::UNIX_EPOCH);
        cache.fleet_concluded(node, memory);
    }),
    ("instances", |cache, node| {
        cache.launches(node, |ledger| ledger.shown(&node.uid, &[], Timestamp::UNIX_EPOCH));
    }),
];

/// Of a route.
const ROUTES: [Deed; 5] = [
    ("keep", |cache, route| _ = cache.keep(route, ["n".to_owned()].into())),
    ("decide", |cache, route| {
        let state = fleetmesh_crds::CanaryStatus {
            phase: Some(fleetmesh_crds::canary::Phase::Paused),
            ..Default::default()
        };
        cache.decided(route, &state);
    }),
    ("ask", |cache, route| _ = cache.begin_to_ask(&route.into(), "metric slow")),
    ("sample", |cache, route| {
        let sample = Sample {
            metric: "errors".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            outcome: AskOutcome::Value(0.5),
        };
        cache.answer(&route.into(), "metric errors", Gave::Sample(sample));
    }),
    ("webhook", |cache, route| {
        let (rollout_id, at) = ("r1".to_owned(), Timestamp::UNIX_EPOCH);
        let reply = WebhookReply {
            webhook: "go".to_owned(),
            rollout_id,
            step_index: 0,
            at,
            answer: WebhookAnswer::Confirmed,
            detail: None,
        };
        cache.answer(&route.into(), "webhook go", Gave::Answer(reply));
    }),
];

fn deeds(kind: Kind) -> Vec<Deed> {
    let own: &[Deed] = match kind {
        Kind::VirtualNode => &NODES,
        Kind::Route => &ROUTES,
        _ => &[],
    };
    RECONCILES.iter().chain(own).copied().collect()
}

fn each() -> [Object; 5] {
    [
        object("m", 1, ResourceId::mesh("m"), json!({})),
        node("n", 2),
        router(3),
        route("r", 4, "n"),
        service(5),
    ]
}

/// All that is remembered of whoever has this key, and counted for this uid or as refused.
fn remembered(cache: &Cache, key: &ObjectKey, uid: &str) -> String {
    let inner = cache.lock();
    let memory = inner.entries.get(key).map(|entry| &entry.memory);
    let blocked = inner.entries.blocked("m").any(|blocked| blocked == key);
    let launches = inner.ledger.classes(uid, Timestamp::UNIX_EPOCH);
    format!("{memory:?} {blocked} {launches:?}")
}

fn anew(object: &Object) -> Object {
    Object { uid: "anew".to_owned(), resource_version: "100".to_owned(), ..object.clone() }
}

#[tokio::test(start_paused = true)]
async fn what_is_created_anew_under_a_name_remembers_nothing_of_its_predecessor() {
    for object in each() {
        for deletion_is_seen in [true, false] {
            let cache = cache();
            cache.seen(object.clone(), NewsSource::Watch);
            for (deed, leave) in deeds(object.key.kind) {
                let before = remembered(&cache, &object.key, &object.uid);
                tokio::time::advance(Duration::from_secs(1)).await;
                leave(&cache, &object);
                assert_ne!(remembered(&cache, &object.key, &object.uid), before, "{deed}: {}", object.key);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
            if deletion_is_seen {
                cache.gone(&object.key, Some(&object.uid));
            }
            let successor = anew(&object);
            cache.seen(successor.clone(), NewsSource::Watch);
            let fresh = format!("{:?} false None", Some(Memory::new(&object)));
            assert_eq!(remembered(&cache, &object.key, &successor.uid), fresh);
            // What was under way for the predecessor ends late, and finds nobody.
            tokio::time::advance(Duration::from_secs(1)).await;
            for (deed, leave) in deeds(object.key.kind) {
                leave(&cache, &object);
                assert_eq!(remembered(&cache, &object.key, &successor.uid), fresh, "{deed}: {}", object.key);
            }
            assert!(
                !cache.begin_to_ask(&(&object).into(), "metric late"),
                "nobody is asked for what is gone"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_when_all_resources_are_gone() {
    let cache = Cache::default();
    cache.supports_distribution(true);
    for object in each() {
        cache.seen(object.clone(), NewsSource::Watch);
        for (_, leave) in deeds(object.key.kind) {
            leave(&cache, &object);
        }
        cache.tagged(&object.id, TagReading::Resource(Tagged::by(&object)));
        let reported = vec![(object.id.clone(), ObjectStatus::default())];
        cache.distribution_reported("m", Answer { objects: reported, ..Answer::default() });
    }
    // One that names what nobody has, and then something else.
    let (former, mut route) = (ResourceId::virtual_node("m", "former"), route("z", 6, "former"));
    cache.seen(route.clone(), NewsSource::Watch);
    cache.tagged(&former, TagReading::Elsewhere);
    route.effective_spec = self::route("z", 7, "n").effective_spec;
    route.resource_version = "7".to_owned();
    cache.seen(route.clone(), NewsSource::Watch);
    let action: RouteAction = serde_json::from_value(json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "RouteAction",
        "metadata": { "name": "a", "namespace": "apps", "uid": "second" },
        "spec": { "routeName": "z", "verb": "Promote", "rolloutId": "r1" },
    }))
    .unwrap();
    cache.action(&action);
    cache.action_gone("apps", "a", Some("first"));
    assert_eq!(cache.actions(&route.key).len(), 1, "an earlier one of the name was answered");
    cache.action_gone("apps", "a", None);
    assert_eq!((cache.len(), cache.meshes().len()), (6, 1));
    for object in each().iter().chain([&route]) {
        cache.gone(&object.key, Some(&object.uid));
        // A reconcile that was under way ends.
        for (_, leave) in deeds(object.key.kind) {
            leave(&cache, object);
        }
        cache.tagged(&object.id, TagReading::Absent);
    }
    cache.forget_mesh("m");
    cache.supports_distribution(false);
    let empty = Cache::default();
    assert_eq!(format!("{:?}", cache.lock()), format!("{:?}", empty.lock()));
}
