//! Tests of the cache: who is triggered by what.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_core::iam::RoleLimits;
use fleetmesh_core::{
    Allowance, Evidence, Object, ObjectKey, OwnerClaim, Reach, Reads, RemoteIdentity, Tagged,
};
use fleetmesh_crds::extension::MeshExtension;
use fleetmesh_crds::{
    AdoptionPolicy, Extension, IamStatus, Management, NodeStatus, ReferenceGrantSpec, Status,
};
use fleetmesh_model::{Kind, ResourceId, Spec};
use jiff::Timestamp;
use serde_json::json;

use super::{Answer, Cache, Conclusion, IdentityMemory, NewsSource, TagReading};
use crate::queue::Trigger;

pub(super) fn object(name: &str, version: u64, id: ResourceId, spec: serde_json::Value) -> Object {
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
        effective_spec: Spec::from_json(kind, spec).unwrap(),
        mesh_tls: None,
        without_tls: None,
        id,
        extension: Extension::empty(kind),
        management: Management::default(),
        status: Status::empty(kind),
    }
}

pub(super) fn node(name: &str, version: u64) -> Object {
    object(name, version, ResourceId::virtual_node("m", name), json!({}))
}

pub(super) fn service(version: u64) -> Object {
    let provider = json!({"provider": {"virtualNode": {"virtualNodeName": "n"}}});
    object("s", version, ResourceId::virtual_service("m", "s"), provider)
}

pub(super) fn written(version: i64) -> Conclusion {
    let identity = RemoteIdentity { arn: "arn".to_owned(), uid: "remote".to_owned(), version };
    Conclusion {
        in_step: Some((1, identity.clone())),
        identity: Some(identity),
        exists: Some(true),
        wrote: true,
        ..Conclusion::default()
    }
}

/// A cache with the Mesh `m`.
pub(super) fn cache() -> Cache {
    let cache = Cache::default();
    cache.seen(object("m", 1, ResourceId::mesh("m"), json!({})), NewsSource::List);
    cache
}

#[test]
fn what_is_in_step_is_forgotten_when_another_spec_comes_into_force() {
    let cache = cache();
    let remembers = |key: &ObjectKey| cache.observe(key).unwrap().in_step.is_some();
    let before = service(1);
    cache.seen(before.clone(), NewsSource::Watch);
    cache.conclude(&before, written(1));
    assert!(remembers(&before.key));
    cache.seen(service(2), NewsSource::Watch);
    assert!(remembers(&before.key), "the spec is the same");
    // The same generation, as a rollout leaves it.
    let mut after = service(3);
    let provider = json!({"provider": {"virtualNode": {"virtualNodeName": "other"}}});
    after.effective_spec = object("s", 3, after.id.clone(), provider).effective_spec;
    cache.seen(after.clone(), NewsSource::Watch);
    assert!(!remembers(&after.key));
    cache.conclude(&before, written(2));
    assert!(!remembers(&after.key), "a reconcile that is late concludes about the former spec");
}

#[test]
fn an_object_that_comes_to_exist_triggers_who_waits_for_it() {
    let cache = cache();
    let (node, service) = (node("n", 1), service(2));
    cache.seen(node.clone(), NewsSource::Watch);
    cache.seen(service.clone(), NewsSource::Watch);
    let local = cache.observe(&service.key).unwrap();
    assert!(
        local.observed.referents.iter().any(|referent| referent.reach == Reach::Pending(node.key.clone()))
    );
    let triggers = cache.conclude(&node, written(1));
    assert_eq!(triggers, [(service.key.clone(), Trigger::Look)]);
    assert!(cache.conclude(&node, written(2)).is_empty(), "it existed already");
}

#[test]
fn who_names_a_backend_is_triggered_when_it_comes_and_when_it_goes() {
    let cache = cache();
    cache.supports_distribution(true);
    let backends = json!({"backends": [{"virtualService": {"virtualServiceName": "s"}}]});
    let caller = object("caller", 1, ResourceId::virtual_node("m", "caller"), backends);
    let reach =
        || cache.observe(&caller.key).unwrap().observed.referents.pop().map(|referent| referent.reach);
    let again = (caller.key.clone(), Trigger::Distribution);
    let answer = |objects, removed| Answer { complete: false, objects, removed };
    cache.seen(caller.clone(), NewsSource::Watch);
    cache.conclude(&caller, written(1));
    assert_eq!(reach(), Some(Reach::Unmanaged));
    // Made without Kubernetes, and deleted again.
    let id = ResourceId::virtual_service("m", "s");
    let made = answer(vec![(id.clone(), ObjectStatus::default())], vec![]);
    assert!(cache.distribution_reported("m", made).now.contains(&again));
    assert_eq!(reach(), Some(Reach::Exists));
    assert!(cache.distribution_reported("m", answer(vec![], vec![id])).now.contains(&again));
    assert_eq!(reach(), Some(Reach::Unmanaged));
    // By a resource, and that goes.
    let mut service = service(2);
    cache.seen(service.clone(), NewsSource::Watch);
    assert_eq!(reach(), Some(Reach::Pending(service.key.clone())));
    assert!(cache.conclude(&service, written(1)).contains(&again));
    assert_eq!(reach(), Some(Reach::Exists));
    (service.deleting, service.resource_version) = (true, "3".to_owned());
    cache.seen(service.clone(), NewsSource::Watch);
    let deleted = Conclusion { exists: Some(false), wrote: true, ..Conclusion::default() };
    assert!(cache.conclude(&service, deleted).contains(&again));
    assert_ne!(reach(), Some(Reach::Exists));
    cache.gone(&service.key, None);
    assert_eq!(reach(), Some(Reach::Unmanaged));
}

#[test]
fn what_was_refused_is_tried_again_when_what_it_depends_on_is_written() {
    let cache = cache();
    let failed = |wrote| Conclusion { failed: true, wrote, ..Conclusion::default() };
    let look = |object: &Object| (object.key.clone(), Trigger::Look);
    let (router, mut route, node) = (router(1), route("x", 2, "n"), node("n", 3));
    let action = json!({"target": {"virtualService": {"virtualServiceName": "s"}}});
    let of_gateway = json!({"httpRoute": {"match": {"prefix": "/"}, "action": action}});
    let of_gateway = object("g", 4, ResourceId::gateway_route("m", "edge", "g"), of_gateway);
    let service = service(5);
    for object in [&router, &route, &node, &of_gateway, &service] {
        cache.seen(object.clone(), NewsSource::Watch);
        cache.conclude(object, written(1));
    }
    // What names it, also through the service that the node provides.
    for refused in [&route, &of_gateway] {
        assert!(!cache.conclude(&node, written(2)).contains(&look(refused)), "it was not refused");
        cache.conclude(refused, failed(false));
        assert!(cache.conclude(&node, written(3)).contains(&look(refused)));
    }
    assert!(cache.conclude(&router, written(2)).contains(&look(&route)));
    let elsewhere = Answer {
        objects: vec![(router.id.clone(), ObjectStatus { version: 9, ..ObjectStatus::default() })],
        ..Answer::default()
    };
    assert!(cache.distribution_reported("m", elsewhere).now.contains(&look(&route)), "by somebody else");
    // What it names, and named until then.
    cache.conclude(&node, failed(false));
    assert!(cache.conclude(&route, written(2)).contains(&look(&node)));
    route.effective_spec = self::route("x", 6, "other").effective_spec;
    route.resource_version = "6".to_owned();
    cache.seen(route.clone(), NewsSource::Watch);
    assert!(cache.conclude(&route, written(3)).contains(&look(&node)));
    assert!(!cache.conclude(&route, written(4)).contains(&look(&node)), "it does not name it any more");
}

#[tokio::test(start_paused = true)]
async fn what_was_written_without_an_answer_and_what_was_in_force_are_remembered() {
    let cache = cache();
    let mut node = node("n", 1);
    cache.seen(node.clone(), NewsSource::Watch);
    let observed = || cache.observe(&node.key).unwrap().observed;
    assert!(!observed().in_force);
    cache.conclude(&node, written(1));
    let spec = |hostname: String| {
        let discovery = json!({"serviceDiscovery": {"dns": {"hostname": hostname}}});
        Spec::from_json(Kind::VirtualNode, discovery).unwrap()
    };
    for which in 0..6 {
        let unanswered = Some(spec(format!("{which}.local")));
        cache.conclude(&node, Conclusion { failed: true, unanswered, ..Conclusion::default() });
    }
    assert!(observed().in_force, "a failure later on changes nothing about that");
    assert_eq!(observed().unanswered, (2..6).map(|which| spec(format!("{which}.local"))).collect::<Vec<_>>());
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(observed().unanswered, []);
    (node.generation, node.resource_version) = (2, "2".to_owned());
    cache.seen(node.clone(), NewsSource::Watch);
    assert!(!cache.observe(&node.key).unwrap().observed.in_force, "another spec");
}

#[test]
fn who_is_in_a_mesh_that_leaves_is_triggered_and_knows() {
    let cache = cache();
    let (node, route, leaves) = (node("n", 2), route("x", 3, "n"), |object: &Object| {
        cache.observe(&object.key).unwrap().observed.mesh_leaves
    });
    cache.seen(node.clone(), NewsSource::Watch);
    cache.seen(route.clone(), NewsSource::Watch);
    assert!(!leaves(&node));
    let finalizers = vec![fleetmesh_crds::FINALIZER.to_owned()];
    let mesh = Object { deleting: true, finalizers, ..object("m", 4, ResourceId::mesh("m"), json!({})) };
    let triggers = cache.seen(mesh.clone(), NewsSource::Watch);
    for member in [&node, &route] {
        assert!(triggers.contains(&(member.key.clone(), Trigger::Distribution)), "{triggers:?}");
        assert!(leaves(member));
    }
    assert!(!leaves(&mesh));
}

#[test]
fn older_news_and_our_own_echo_trigger_nobody() {
    let cache = cache();
    assert_eq!(cache.seen(node("n", 5), NewsSource::Watch).len(), 1);
    assert!(cache.seen(node("n", 4), NewsSource::Watch).is_empty());
    let mut reported = node("n", 6);
    reported.status.version = Some(1);
    assert!(cache.seen(reported.clone(), NewsSource::OwnWrite).is_empty());
    assert!(cache.seen(reported, NewsSource::Watch).is_empty());
    let mut changed = node("n", 7);
    changed.generation = 2;
    assert_eq!(cache.seen(changed, NewsSource::Watch).len(), 1);
}

#[test]
fn the_next_in_line_gets_the_name_when_its_holder_goes() {
    let cache = cache();
    let older = node("n", 1);
    let mut younger = node("too", 2);
    younger.id = older.id.clone();
    cache.seen(older.clone(), NewsSource::Watch);
    cache.seen(younger.clone(), NewsSource::Watch);
    let claim = |key| cache.observe(key).unwrap().observed.claim;
    assert_eq!(claim(&older.key), OwnerClaim::Ours);
    assert_eq!(claim(&younger.key), OwnerClaim::Taken(older.key.clone()));
    assert!(cache.gone(&older.key, Some("another uid")).is_empty(), "news about an earlier resource");
    assert!(cache.gone(&older.key, Some(&older.uid)).contains(&(younger.key.clone(), Trigger::Look)));
    assert_eq!(claim(&younger.key), OwnerClaim::Ours);
}

#[test]
fn proxies_that_only_come_and_go_are_not_urgent() {
    let cache = cache();
    cache.supports_distribution(true);
    let node = node("n", 1);
    cache.seen(node.clone(), NewsSource::Watch);
    cache.conclude(&node, written(1));
    let reported = |version, proxies, acknowledged| Answer {
        objects: vec![(
            node.id.clone(),
            ObjectStatus { version, proxies, acknowledged, ..ObjectStatus::default() },
        )],
        ..Answer::default()
    };
    assert_eq!(cache.distribution_reported("m", reported(1, 0, 0)).now.len(), 1, "the first news");
    let triggered = cache.distribution_reported("m", reported(1, 2, 2));
    assert_eq!((triggered.now.len(), triggered.later.len()), (0, 1));
    let mut noted = reported(1, 2, 2);
    noted.objects[0].1.notes.push("spec.backends[0]: takes all of port 443".to_owned());
    assert_eq!(cache.distribution_reported("m", noted).now.len(), 1, "the condition has to say so");
    assert_eq!(
        cache.distribution_reported("m", reported(1, 2, 1)).now.len(),
        1,
        "one does not run it any more"
    );
    assert!(!cache.contradicts(&node.id, 1));
    cache.distribution_reported("m", reported(2, 2, 2));
    assert!(cache.contradicts(&node.id, 1), "somebody else wrote it");
}

#[tokio::test(start_paused = true)]
async fn proxies_are_waited_for_from_the_first_news_of_a_version_on_whoever_heard_it() {
    let answer = |version, complete| Answer {
        complete,
        objects: vec![(
            ResourceId::virtual_node("m", "a"),
            ObjectStatus { version, ..ObjectStatus::default() },
        )],
        removed: Vec::new(),
    };
    let minute = Duration::from_secs(60);
    let cache = cache();
    let mut object = node("a", 1);
    cache.seen(object.clone(), NewsSource::Watch);
    assert_eq!(cache.reported_for(&object.key), None, "nobody reported it");
    cache.distribution_reported("m", answer(1, true));
    tokio::time::advance(minute).await;
    cache.distribution_reported("m", answer(1, true));
    assert_eq!(cache.reported_for(&object.key), Some(minute), "the same version again is no news");
    cache.distribution_reported("m", answer(2, false));
    assert_eq!(cache.reported_for(&object.key), Some(Duration::ZERO), "another version is another wait");
    // A process that has just begun does not wait again for what the status says one before it has waited for.
    let programmed = json!({"type": "Programmed", "status": "True", "reason": "Programmed", "message": "", "lastTransitionTime": "2026-11-29T00:00:00Z"});
    object.status.conditions = vec![serde_json::from_value(programmed).unwrap()];
    for (reported, complete, waited) in [
        (Some(2), true, Duration::MAX),
        (Some(1), true, Duration::ZERO),
        (None, true, Duration::ZERO),
        (Some(2), false, Duration::ZERO),
    ] {
        let cache = Cache::default();
        object.status.version = reported;
        cache.seen(object.clone(), NewsSource::List);
        cache.distribution_reported("m", answer(2, complete));
        assert_eq!(cache.reported_for(&object.key), Some(waited), "{reported:?} {complete}");
    }
}

#[test]
fn routes_that_tie_are_known_to_each_other_and_triggered_when_that_ends() {
    let cache = cache();
    let spec = |prefix: &str| {
        let action = json!({"weightedTargets": [{"virtualNode": "n", "weight": 1}]});
        json!({"httpRoute": {"match": {"prefix": prefix}, "action": action}})
    };
    let on = |router, name: &str, version, prefix| {
        object(name, version, ResourceId::route("m", router, name), spec(prefix))
    };
    let ties = |object: &Object| {
        let ties = cache.observe(&object.key).unwrap().observed.ties;
        ties.into_iter().map(|tie| tie.name).collect::<Vec<_>>()
    };
    let (one, mut other, elsewhere) = (on("r", "a", 1, "/"), on("r", "b", 2, "/"), on("q", "c", 3, "/"));
    let again = |of: &Object| (of.key.clone(), Trigger::Distribution);
    cache.seen(one.clone(), NewsSource::Watch);
    cache.seen(elsewhere.clone(), NewsSource::Watch);
    assert_eq!(
        cache.seen(other.clone(), NewsSource::Watch),
        [(other.key.clone(), Trigger::Look), again(&one)]
    );
    assert_eq!((ties(&one), ties(&other), ties(&elsewhere)), (vec!["b".into()], vec!["a".into()], vec![]));
    other.effective_spec = on("r", "b", 4, "/b").effective_spec;
    (other.resource_version, other.generation) = ("4".to_owned(), 2);
    assert!(cache.seen(other.clone(), NewsSource::Watch).contains(&again(&one)));
    assert!(ties(&one).is_empty() && ties(&other).is_empty());
    other.effective_spec = on("r", "b", 5, "/").effective_spec;
    (other.resource_version, other.generation) = ("5".to_owned(), 3);
    assert!(cache.seen(other.clone(), NewsSource::Watch).contains(&again(&one)));
    assert!(cache.gone(&other.key, None).contains(&again(&one)));
    assert!(ties(&one).is_empty());
}

/// `object` in the namespace `web`, whose resources are guests here.
fn guest(object: Object) -> Object {
    let key = ObjectKey { namespace: Some("web".to_owned()), ..object.key };
    Object { uid: format!("{}-web", object.uid), key, ..object }
}

pub(super) fn route(name: &str, version: u64, target: &str) -> Object {
    let targets = json!([{"virtualNode": target, "weight": 1}]);
    let spec = json!({"tcpRoute": {"action": {"weightedTargets": targets}}});
    object(name, version, ResourceId::route("m", "r", name), spec)
}

fn reported(mut object: Object, version: u64) -> Object {
    object.resource_version = version.to_string();
    object.status.uid = Some("remote".to_owned());
    object
}

fn claim(cache: &Cache, object: &Object) -> OwnerClaim {
    cache.observe(&object.key).unwrap().observed.claim
}

fn grant(from: &[(&str, &str)], to: serde_json::Value) -> ReferenceGrantSpec {
    let group = "fleetmesh.dev";
    let from: Vec<_> = from
        .iter()
        .map(|(kind, namespace)| json!({"group": group, "kind": kind, "namespace": namespace}))
        .collect();
    serde_json::from_value(json!({"from": from, "to": to})).unwrap()
}

fn nodes_of_apps() -> serde_json::Value {
    json!([{"group": "fleetmesh.dev", "kind": "VirtualNode"}])
}

#[test]
fn only_what_is_accepted_takes_a_name() {
    let mut mesh = object("m", 1, ResourceId::mesh("m"), json!({}));
    let allowed = json!({"from": "Selector", "selector": {"matchLabels": {"team": "apps"}}});
    let namespaces = Some(serde_json::from_value(allowed).unwrap());
    mesh.extension = Extension::Mesh(MeshExtension { namespaces, ..MeshExtension::default() });
    let cache = Cache::default();
    cache.seen(mesh, NewsSource::List);
    cache.namespace("apps", Some([("team".to_owned(), "apps".to_owned())].into()));
    cache.namespace("web", Some([("team".to_owned(), "web".to_owned())].into()));
    // Refused by the mesh, and older.
    let (squatter, owner) = (guest(node("n", 2)), node("n", 3));
    cache.seen(squatter.clone(), NewsSource::Watch);
    cache.seen(owner.clone(), NewsSource::Watch);
    assert_eq!(claim(&cache, &owner), OwnerClaim::Ours);
    assert_eq!(claim(&cache, &squatter), OwnerClaim::Taken(owner.key.clone()));
    // Let in while nobody is in force, it is the older of two.
    let triggers = cache.namespace("web", Some([("team".to_owned(), "apps".to_owned())].into()));
    assert!(triggers.contains(&(owner.key.clone(), Trigger::Look)), "{triggers:?}");
    assert_eq!(claim(&cache, &owner), OwnerClaim::Taken(squatter.key.clone()));
    // An invalid spec takes no name: listeners without service discovery.
    let listeners = json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}]});
    let invalid = object("broken", 1, ResourceId::virtual_node("m", "x"), listeners);
    let valid = object("valid", 4, ResourceId::virtual_node("m", "x"), json!({}));
    assert!(!invalid.effective_spec.violations().is_empty());
    cache.seen(invalid.clone(), NewsSource::Watch);
    cache.seen(valid.clone(), NewsSource::Watch);
    assert_eq!(claim(&cache, &valid), OwnerClaim::Ours);
    assert_eq!(claim(&cache, &invalid), OwnerClaim::Taken(valid.key.clone()));
}

#[test]
fn what_is_in_force_keeps_its_name_whatever_a_restored_backup_says() {
    let cache = cache();
    let owner = node("n", 20);
    cache.seen(owner.clone(), NewsSource::Watch);
    cache.conclude(&owner, written(1));
    cache.seen(reported(owner.clone(), 21), NewsSource::OwnWrite);
    // Restored: it is ten seconds older, and has a uid of its own.
    let mut older = node("restored", 10);
    older.id = owner.id.clone();
    cache.seen(older.clone(), NewsSource::List);
    assert_eq!(claim(&cache, &owner), OwnerClaim::Ours);
    // The backup had a status, too; the tags decide between them.
    cache.seen(reported(older.clone(), 22), NewsSource::List);
    assert_eq!(
        claim(&cache, &owner),
        OwnerClaim::Taken(older.key.clone()),
        "nothing is known of the tags yet"
    );
    let triggers = cache.tagged(&owner.id, TagReading::Resource(Tagged::by(&owner)));
    assert!(triggers.contains(&(older.key.clone(), Trigger::Look)), "{triggers:?}");
    assert_eq!(
        (claim(&cache, &owner), claim(&cache, &older)),
        (OwnerClaim::Ours, OwnerClaim::Taken(owner.key.clone()))
    );
    // Everything was created anew, in another order: the tags name one of them by its name.
    let fresh = self::cache();
    let (mut again, rival) = (owner.clone(), older);
    again.uid = "uid-anew".to_owned();
    again.created = Timestamp::from_second(1000).unwrap();
    fresh.seen(rival.clone(), NewsSource::List);
    fresh.seen(again.clone(), NewsSource::List);
    fresh.tagged(&owner.id, TagReading::Resource(Tagged::by(&owner)));
    assert_eq!(
        (claim(&fresh, &again), claim(&fresh, &rival)),
        (OwnerClaim::Ours, OwnerClaim::Taken(again.key.clone()))
    );
}

#[test]
fn what_names_without_permission_holds_nothing_up_and_has_no_name() {
    let cache = cache();
    let mut target = node("n", 2);
    // Older than the route whose name it would like to have, and in the mesh since before anybody asked for grants.
    let (clinging, mine) = (guest(route("x", 1, "n")), route("x", 3, "n"));
    for object in [&target, &clinging, &mine] {
        cache.seen(object.clone(), NewsSource::List);
    }
    assert_eq!(claim(&cache, &mine), OwnerClaim::Ours);
    let mut inside = guest(route("y", 4, "n"));
    inside.status.uid = Some("y".to_owned());
    cache.seen(inside.clone(), NewsSource::List);
    let missing = cache.observe(&inside.key).unwrap().observed.permission.missing;
    assert_eq!(missing.len(), 1, "{missing:?}");
    target = reported(target, 5);
    target.deleting = true;
    let triggers = cache.seen(target.clone(), NewsSource::Watch);
    assert!(triggers.contains(&(inside.key.clone(), Trigger::Look)), "it has to make room: {triggers:?}");
    assert_eq!(cache.observe(&target.key).unwrap().observed.dependents, []);
    cache.grant("apps", "g", Some(grant(&[("Route", "web")], nodes_of_apps())));
    assert_eq!(cache.observe(&target.key).unwrap().observed.dependents, [inside.key.clone()]);
}

#[test]
fn who_merely_claims_a_name_takes_nothing_of_others_out_of_the_mesh() {
    let cache = cache();
    // It names a node that no resource stands for, and is in the mesh.
    let mut mine = guest(route("x", 1, "n"));
    mine.status.uid = Some("x".to_owned());
    cache.seen(mine.clone(), NewsSource::List);
    let permission = || cache.observe(&mine.key).unwrap().observed.permission;
    assert_eq!(permission().missing, []);
    let mut claimant = node("n", 2);
    cache.seen(claimant.clone(), NewsSource::Watch);
    let missing = permission().missing;
    assert!(matches!(missing.as_slice(), [one] if !one.owner_exists), "it has no node yet: {missing:?}");
    // The endpoint has somebody else's node of that name.
    claimant = object("n", 3, claimant.id.clone(), json!({}));
    let reported = json!({"type": "Accepted", "status": "False", "reason": "NotOwned", "message": "", "lastTransitionTime": "2026-11-29T00:00:00Z"});
    claimant.status.conditions = vec![serde_json::from_value(reported).unwrap()];
    cache.seen(claimant, NewsSource::Watch);
    assert_eq!(permission().missing, [], "it owns nothing that others would have to ask for");
}

#[test]
fn many_who_claim_each_others_names_are_looked_at_once() {
    let cache = cache();
    // Each names the service fifty times; none is permitted, so that all of them are looked at.
    let backend = json!({"virtualService": {"virtualServiceName": "s"}});
    let backends = vec![backend; 50];
    let spec = json!({ "backends": backends });
    for n in 0..40 {
        let key = |name: &str| format!("{name}-{n}");
        cache.seen(
            object(&key("n"), n + 2, ResourceId::virtual_node("m", "n"), spec.clone()),
            NewsSource::List,
        );
        let mut service = service(n + 2);
        service.key.name = key("s");
        service.uid = key("uid-s");
        cache.seen(service, NewsSource::List);
        cache.seen(
            guest(Object { id: route("r", 1, "n").id, ..route(&key("r"), n + 2, "n") }),
            NewsSource::List,
        );
    }
    let holder = node("n-0", 1);
    assert_eq!(claim(&cache, &Object { id: ResourceId::virtual_node("m", "n"), ..holder }), OwnerClaim::Ours);
}

#[test]
fn a_grant_triggers_only_those_whose_references_it_changes() {
    let cache = cache();
    let named = guest(route("named", 3, "n"));
    let objects = [
        node("n", 1),
        node("other", 2),
        named.clone(),
        guest(route("free", 4, "nobody")),
        guest(node("own", 5)),
        route("at-home", 6, "n"),
        Object {
            key: ObjectKey { namespace: Some("else".to_owned()), ..route("far", 7, "n").key },
            ..route("far", 7, "n")
        },
    ];
    for object in objects {
        cache.seen(object, NewsSource::List);
    }
    let permitted = grant(&[("Route", "web")], nodes_of_apps());
    assert_eq!(cache.grant("apps", "g", Some(permitted.clone())), [(named.key.clone(), Trigger::Look)]);
    let permission = || cache.observe(&named.key).unwrap().observed.permission;
    assert_eq!((permission().missing.len(), permission().by), (0, vec!["ReferenceGrant apps/g".to_owned()]));
    assert_eq!(cache.grant("apps", "g", Some(permitted.clone())), [], "the same again, as a list shows it");
    assert_eq!(cache.grant("apps", "z", Some(permitted)), [], "another one that permits the same");
    let other = json!([{"group": "fleetmesh.dev", "kind": "VirtualNode", "name": "other"}]);
    assert_eq!(cache.grant("apps", "o", Some(grant(&[("Route", "web"), ("Route", "else")], other))), []);
    assert_eq!(
        cache.grant("apps", "g", None),
        [(named.key.clone(), Trigger::Look)],
        "it rests on the other now"
    );
    assert_eq!(cache.grant("apps", "z", None), [(named.key.clone(), Trigger::Look)]);
    assert_eq!(permission().missing.len(), 1);
}

#[test]
fn a_mesh_triggers_only_those_whom_it_allows_and_did_not_or_the_other_way_around() {
    let allowing = |version, teams: &[&str]| {
        let mut mesh = object("m", version, ResourceId::mesh("m"), json!({}));
        let selector = json!({"matchExpressions": [{"key": "team", "operator": "In", "values": teams}]});
        let namespaces = serde_json::from_value(json!({"from": "Selector", "selector": selector})).unwrap();
        mesh.generation = i64::try_from(version).unwrap();
        mesh.extension = Extension::Mesh(MeshExtension { namespaces, ..MeshExtension::default() });
        mesh
    };
    let cache = Cache::default();
    let (stays, leaves) = (node("stays", 2), guest(node("leaves", 3)));
    for (name, team) in [("apps", "apps"), ("web", "web")] {
        cache.namespace(name, Some([("team".to_owned(), team.to_owned())].into()));
    }
    for object in [allowing(1, &["apps", "web"]), stays.clone(), leaves.clone()] {
        cache.seen(object, NewsSource::List);
    }
    let change = |version, teams: &[&str]| {
        let mesh = allowing(version, teams);
        let (own, mut others) = (mesh.key.clone(), cache.seen(mesh, NewsSource::Watch));
        others.retain(|(key, _)| *key != own);
        others
    };
    assert_eq!(change(4, &["apps"]), [(leaves.key.clone(), Trigger::Look)]);
    let allowance = |key: &ObjectKey| cache.observe(key).unwrap().observed.allowance;
    assert!(matches!(allowance(&leaves.key), Allowance::Refused { .. }));
    assert_eq!(allowance(&stays.key), Allowance::Allowed);
    assert_eq!(change(5, &["apps", "else"]), [], "nobody is of that team");
    assert_eq!(change(6, &["apps", "web"]), [(leaves.key, Trigger::Look)]);
}

#[test]
fn a_mesh_without_a_resource_takes_nothing_until_there_is_one() {
    let cache = Cache::default();
    let node = node("n", 1);
    cache.seen(node.clone(), NewsSource::Watch);
    let allowance = || cache.observe(&node.key).unwrap().observed.allowance;
    assert_eq!(allowance(), Allowance::NoMesh("m".to_owned()));
    let triggers = cache.seen(object("m", 2, ResourceId::mesh("m"), json!({})), NewsSource::Watch);
    assert!(triggers.contains(&(node.key.clone(), Trigger::Look)), "{triggers:?}");
    assert_eq!(allowance(), Allowance::Allowed);
}

#[test]
fn roles_that_are_asked_for_at_once_stay_within_their_limits() {
    let cache = Cache::default();
    let limits = RoleLimits { roles: 5, roles_per_namespace: 3 };
    let nodes: Vec<Object> = ["evil", "shop", "late"]
        .iter()
        .flat_map(|namespace| {
            (0..40).map(move |n| {
                let mut node = node(&format!("{namespace}-{n}"), n + 1);
                node.key.namespace = Some((*namespace).to_owned());
                node
            })
        })
        .collect();
    for node in &nodes {
        cache.seen(node.clone(), NewsSource::Watch);
    }
    let ask = |node: &Object| cache.room_for_role(node, &limits);
    let let_in: Vec<&Object> = nodes.iter().filter(|node| ask(node).is_none()).collect();
    let of = |namespace: &str| {
        let_in.iter().filter(|node| node.key.namespace.as_deref() == Some(namespace)).count()
    };
    assert_eq!((of("evil"), of("shop"), of("late")), (3, 2, 0));
    let message = |index: usize| ask(&nodes[index]).unwrap().message;
    assert!(message(3).contains("the nodes of namespace evil have 3 IAM roles"), "{}", message(3));
    assert!(message(80).contains("nodes have 5 IAM roles"), "{}", message(80));
    // Who has room keeps it, and who lets go of a role makes room.
    assert!(let_in.iter().all(|node| ask(node).is_none()));
    cache.identity_concluded(&nodes[0], IdentityMemory::default());
    assert!(ask(&nodes[3]).is_none());
    // After a start the status says it, and what is above a limit stays what it is.
    let fresh = Cache::default();
    for node in &nodes {
        let mut node = node.clone();
        let iam = IamStatus { role_arn: Some("arn".to_owned()), ..IamStatus::default() };
        node.status.of_kind = NodeStatus { iam: Some(iam), ..NodeStatus::default() }.into();
        fresh.seen(node, NewsSource::Watch);
    }
    assert!(fresh.room_for_role(&nodes[0], &limits).is_some());
}

pub(super) fn router(version: u64) -> Object {
    let spec = json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}]});
    object("r", version, ResourceId::virtual_router("m", "r"), spec)
}

#[test]
fn a_router_is_its_owners_from_the_moment_in_which_it_is_tagged() {
    let cache = cache();
    let mut owner = router(1);
    let reported = json!({"type": "Accepted", "status": "False", "reason": "NotOwned", "message": "", "lastTransitionTime": "2026-11-29T00:00:00Z"});
    owner.status.conditions = vec![serde_json::from_value(reported).unwrap()];
    cache.seen(owner.clone(), NewsSource::List);
    let attack = guest(route("x", 2, "own"));
    cache.seen(attack.clone(), NewsSource::List);
    let missing = || cache.observe(&attack.key).unwrap().observed.permission.missing;
    assert_eq!(missing(), [], "as long as it is somebody else's there is nobody to be asked");
    // Adopted: the tags are written, the report is not.
    let triggers = cache.tagged(&owner.id, TagReading::Resource(Tagged::by(&owner)));
    assert!(
        triggers.contains(&(attack.key.clone(), Trigger::Look)),
        "what was written meanwhile goes: {triggers:?}"
    );
    assert!(matches!(missing().as_slice(), [one] if one.owner_exists), "{:?}", missing());
}

#[test]
fn nobody_has_a_contested_name_before_the_tags_are_read() {
    let cache = cache();
    let owner = router(5);
    // Older, and its status, which somebody else wrote, names the object.
    let thief = guest(reported(router(1), 1));
    let attack = guest(route("x", 6, "own"));
    for object in [&owner, &thief, &attack] {
        cache.seen(object.clone(), NewsSource::List);
    }
    let observed = |object: &Object| cache.observe(&object.key).unwrap().observed;
    assert_eq!(observed(&owner).evidence, Evidence::Contested);
    let missing = observed(&attack).permission.missing;
    assert!(
        matches!(missing.as_slice(), [one] if one.owner == owner.key && one.contested && !one.owner_exists),
        "{missing:?}"
    );
    cache.tagged(&owner.id, TagReading::Resource(Tagged::by(&owner)));
    assert_eq!(claim(&cache, &owner), OwnerClaim::Ours);
    assert_eq!(claim(&cache, &thief), OwnerClaim::Taken(owner.key.clone()));
    assert!(matches!(observed(&attack).permission.missing.as_slice(), [one] if one.owner_exists));
    // Somebody outside of the cluster made it: a status that says otherwise has no name by that.
    let triggers = cache.tagged(&owner.id, TagReading::Elsewhere);
    assert!(!triggers.is_empty());
    assert_eq!(claim(&cache, &owner), OwnerClaim::Taken(thief.key.clone()), "the older of two that are new");
    assert_eq!(observed(&thief).own, None, "and what the object is it has to read");
}

#[test]
fn who_merely_claims_a_name_does_not_hold_up_what_is_in_force() {
    let cache = cache();
    let (user, new) = (route("x", 2, "n"), route("y", 3, "n"));
    for object in [&user, &new] {
        cache.seen(object.clone(), NewsSource::List);
    }
    cache.tagged(&user.id, TagReading::Resource(Tagged::by(&user)));
    let mut claimant = guest(node("n", 4));
    cache.seen(claimant.clone(), NewsSource::Watch);
    let triggers = cache.tagged(&claimant.id, TagReading::Elsewhere);
    assert!(triggers.contains(&(new.key.clone(), Trigger::Look)), "{triggers:?}");
    let reported = json!({"type": "Accepted", "status": "False", "reason": "NotOwned", "message": "", "lastTransitionTime": "2026-11-29T00:00:00Z"});
    claimant.status.conditions = vec![serde_json::from_value(reported).unwrap()];
    claimant.resource_version = "5".to_owned();
    cache.seen(claimant.clone(), NewsSource::OwnWrite);
    assert!(triggers.contains(&(user.key.clone(), Trigger::Look)), "{triggers:?}");
    let reach = |object: &Object| {
        let observed = cache.observe(&object.key).unwrap().observed;
        assert_eq!(observed.permission.missing, []);
        let node = observed.referents.into_iter().find(|one| one.reference.target == claimant.id);
        node.unwrap().reach
    };
    assert_eq!(reach(&user), Reach::Unmanaged);
    assert_eq!(reach(&new), Reach::Unmanaged, "it takes nothing over");
    claimant.management.adoption_policy = AdoptionPolicy::Adopt;
    claimant.resource_version = "6".to_owned();
    cache.seen(claimant.clone(), NewsSource::Watch);
    assert_eq!(reach(&user), Reach::Unmanaged);
    assert_eq!(reach(&new), Reach::Pending(claimant.key.clone()), "it may adopt the node");
    claimant.deleting = true;
    claimant.resource_version = "7".to_owned();
    cache.seen(claimant.clone(), NewsSource::Watch);
    assert_eq!(cache.observe(&claimant.key).unwrap().observed.dependents, [], "what they need stays");
}

#[test]
fn who_waits_with_a_name_of_somebody_elses_holds_up_nobody() {
    // The attack: a service of `web` has the name of one that Terraform made. It waits for a node that never comes, and so
    // nothing reports that the name is not its own.
    let cache = cache();
    let mut waits = guest(service(2));
    for object in [&guest(node("n", 3)), &waits] {
        cache.seen(object.clone(), NewsSource::List);
    }
    let observed = |object: &Object| cache.observe(&object.key).unwrap().observed;
    assert_eq!(observed(&waits).reads(false), Reads::Nothing, "it concerns nobody yet");
    let backend = json!({"virtualService": {"virtualServiceName": "s"}});
    let caller =
        object("caller", 4, ResourceId::virtual_node("m", "caller"), json!({ "backends": [backend] }));
    let triggers = cache.seen(caller.clone(), NewsSource::Watch);
    assert!(triggers.contains(&(waits.key.clone(), Trigger::Look)), "{triggers:?}");
    assert_eq!(observed(&caller).permission.missing.len(), 1, "it may be about to make one");
    assert_eq!(observed(&waits).reads(false), Reads::ObjectAndTags, "whose is the name?");
    let triggers = cache.tagged(&waits.id, TagReading::Elsewhere);
    assert!(triggers.contains(&(caller.key.clone(), Trigger::Look)), "{triggers:?}");
    assert_eq!(observed(&caller).permission.missing, []);
    // A status that says otherwise changes nothing.
    let forged = json!({"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": "2026-11-29T00:00:00Z"});
    waits.status.conditions = vec![serde_json::from_value(forged).unwrap()];
    waits.resource_version = "5".to_owned();
    cache.seen(waits.clone(), NewsSource::Watch);
    assert_eq!(observed(&caller).permission.missing, []);
    assert_eq!(observed(&waits).reads(false), Reads::Nothing, "it is known");
    // There is none any more: it may make one, and is asked.
    cache.tagged(&waits.id, TagReading::Absent);
    assert_eq!(observed(&caller).permission.missing.len(), 1);
}

#[test]
fn who_leaves_and_is_kept_from_it_has_no_name() {
    let cache = cache();
    let mut kept = guest(node("n", 2));
    kept.deleting = true;
    kept.finalizers = vec!["example.com/kept".to_owned()];
    let user = route("x", 3, "n");
    for object in [&kept, &user] {
        cache.seen(object.clone(), NewsSource::List);
    }
    assert_eq!(cache.observe(&user.key).unwrap().observed.permission.missing, []);
    // Its status says that it has it: that is looked at.
    cache.seen(reported(kept.clone(), 4), NewsSource::Watch);
    assert_eq!(cache.observe(&user.key).unwrap().observed.permission.missing.len(), 1);
    assert_eq!(cache.observe(&kept.key).unwrap().observed.reads(false), Reads::ObjectAndTags);
    cache.tagged(&kept.id, TagReading::Absent);
    assert_eq!(cache.observe(&user.key).unwrap().observed.permission.missing, []);
    let owner = Object { uid: "other".to_owned(), ..node("n", 5) };
    cache.seen(owner.clone(), NewsSource::Watch);
    assert_eq!(claim(&cache, &owner), OwnerClaim::Ours);
}

#[test]
fn who_knows_nothing_of_what_it_has_looks_at_it() {
    // The attack: status and finalizer are taken away, and somebody else who claims the name reads whose it is.
    let cache = cache();
    let mine = guest(route("x", 1, "n"));
    cache.seen(mine.clone(), NewsSource::List);
    cache.tagged(&mine.id, TagReading::Resource(Tagged::by(&mine)));
    let evidence = || cache.observe(&mine.key).unwrap().observed.evidence;
    assert_eq!(evidence(), Evidence::Unread);
    cache.conclude(&mine, written(1));
    assert_eq!(evidence(), Evidence::Read);
}

#[test]
fn who_would_lose_what_it_names_keeps_others_from_adopting_it() {
    let cache = cache();
    let user = guest(route("x", 2, "n"));
    let mut adopter = node("n", 3);
    adopter.management.adoption_policy = AdoptionPolicy::Adopt;
    for object in [&user, &adopter] {
        cache.seen(object.clone(), NewsSource::List);
    }
    cache.tagged(&adopter.id, TagReading::Elsewhere);
    let kept = || cache.observe(&adopter.key).unwrap().observed.user;
    assert_eq!(kept(), None, "it is not in force, and would be held back");
    cache.tagged(&user.id, TagReading::Resource(Tagged::by(&user)));
    assert_eq!(kept(), Some(user.key.clone()));
    cache.grant("apps", "g", Some(grant(&[("Route", "web")], nodes_of_apps())));
    assert_eq!(kept(), None, "it would be permitted");
    cache.grant("apps", "g", None);
    // After a start, before its tags were read.
    let fresh = self::cache();
    fresh.seen(reported(user.clone(), 4), NewsSource::List);
    fresh.seen(adopter.clone(), NewsSource::List);
    fresh.tagged(&adopter.id, TagReading::Elsewhere);
    assert_eq!(fresh.observe(&adopter.key).unwrap().observed.user, Some(user.key.clone()));
    fresh.tagged(&user.id, TagReading::Elsewhere);
    assert_eq!(fresh.observe(&adopter.key).unwrap().observed.user, None, "its status was forged");
    cache.tagged(&adopter.id, TagReading::Resource(Tagged::by(&adopter)));
    assert_eq!(kept(), None, "who has it already takes nothing");
}

#[test]
fn what_may_be_in_the_way_is_what_is_near_and_not_known_to_be_in_force() {
    let cache = cache();
    let router = object("r", 1, ResourceId::virtual_router("m", "r"), json!({}));
    let route = |name: &str, version| {
        let action = json!({"weightedTargets": [{"virtualNode": "n", "weight": 1}]});
        let spec = json!({"httpRoute": {"match": {"prefix": "/"}, "action": action}});
        object(name, version, ResourceId::route("m", "r", name), spec)
    };
    let mut leaving = route("leaving", 1);
    leaving.deleting = true;
    for object in [node("n", 1), node("other", 1), router.clone(), route("a", 1), route("b", 1), leaving] {
        cache.seen(object, NewsSource::Watch);
    }
    let around = |object: &Object| -> Vec<String> {
        cache.pending_around(object).into_iter().map(|key| key.name).collect()
    };
    assert_eq!(around(&router), ["m", "a", "b"]);
    assert_eq!(around(&route("a", 1)), ["n", "r"]);
    cache.conclude(&route("a", 1), written(1));
    cache.conclude(&router, written(1));
    assert_eq!(around(&router), ["m", "b"], "it is in force");
    let changed = Object { generation: 2, resource_version: "2".to_owned(), ..route("a", 1) };
    cache.seen(changed, NewsSource::Watch);
    assert_eq!(around(&router), ["m", "a", "b"]);

    // The others of a commit look at it, and so does who failed because of one of them.
    cache.conclude(&node("n", 1), Conclusion { failed: true, ..Conclusion::default() });
    let written = [router, route("a", 1)].map(std::sync::Arc::new);
    let mut triggers = cache.written_together(&written);
    triggers.sort();
    let names: Vec<&str> = triggers.iter().map(|(key, _)| key.name.as_str()).collect();
    assert_eq!(names, ["n", "a"]);
}
