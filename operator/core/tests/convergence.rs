//! Whatever people and faults do to the cluster and to the endpoint: when they stop, everything settles, nothing of ours
//! is left behind, nothing of others is touched, nothing rests on a reference that nobody permits, and further reconciles of
//! everything write nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use fleetmesh_api::tags::{OWNER_GRANTS_TAG, OWNER_UID_TAG};
use fleetmesh_core::{FailureClass, ObjectKey};
use fleetmesh_crds::management::MAX_USER_TAGS;
use fleetmesh_crds::{
    AdoptionPolicy, ConditionType, DeletionPolicy, Management, Reason, ReferenceGrantSpec, UNASKED,
};
use fleetmesh_model::{Kind, ResourceId, Spec, differences};
use fleetmesh_simulation::cluster::{Fault, World, key, spec};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The places where resources may be: two of them claim the same virtual node, three are in another namespace.
const SLOTS: usize = 9;

fn slot(index: usize) -> (ObjectKey, ResourceId) {
    let node = |name: &str| ResourceId::virtual_node("m", name);
    match index {
        0 => (key(Kind::Mesh, "m"), ResourceId::mesh("m")),
        1 => (key(Kind::VirtualNode, "n0"), node("n0")),
        2 => (key(Kind::VirtualNode, "n1"), node("n1")),
        3 => (elsewhere(Kind::VirtualNode, "n1-too"), node("n1")),
        4 => (key(Kind::VirtualRouter, "r"), ResourceId::virtual_router("m", "r")),
        5 => (key(Kind::Route, "x"), ResourceId::route("m", "r", "x")),
        6 => (elsewhere(Kind::Route, "y"), ResourceId::route("m", "r", "y")),
        7 => (key(Kind::VirtualService, "s"), ResourceId::virtual_service("m", "s")),
        _ => (elsewhere(Kind::VirtualService, "t"), ResourceId::virtual_service("m", "t")),
    }
}

fn elsewhere(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey { namespace: Some("web".to_owned()), ..key(kind, name) }
}

const GRANTS: usize = 4;

/// A grant, with the namespace that it is in.
fn grant(index: usize) -> (&'static str, ReferenceGrantSpec) {
    let (place, from, to) = match index {
        0 => ("apps", json!([["Route", "web"]]), json!(["VirtualRouter"])),
        1 => ("apps", json!([["Route", "web"], ["VirtualService", "web"]]), json!(["VirtualNode"])),
        2 => (
            "apps",
            json!([["VirtualNode", "web"], ["VirtualService", "web"]]),
            json!(["VirtualService", "VirtualRouter"]),
        ),
        _ => (
            "web",
            json!([["Route", "apps"], ["VirtualService", "apps"], ["VirtualNode", "apps"]]),
            json!(["VirtualNode"]),
        ),
    };
    let group = "fleetmesh.dev";
    let list = |value: &Value, entry: &dyn Fn(&Value) -> Value| {
        value.as_array().unwrap().iter().map(entry).collect::<Vec<_>>()
    };
    let from = list(&from, &|one| json!({"group": group, "kind": one[0], "namespace": one[1]}));
    let to = list(&to, &|kind| json!({"group": group, "kind": kind}));
    (place, serde_json::from_value(json!({"from": from, "to": to})).unwrap())
}

/// A spec for a slot; `variant` picks among a few, some of which are invalid or name what is not there.
fn variant(kind: Kind, variant: u8) -> Spec {
    let target = |name: &str, weight: u8| json!({"virtualNode": name, "weight": weight});
    let route = |targets: Value| json!({"httpRoute": {"match": {"prefix": "/"}, "action": {"weightedTargets": targets}}});
    let json = match (kind, variant % 4) {
        (Kind::Mesh, 0 | 1) => json!({}),
        (Kind::Mesh, _) => json!({"egressFilter": {"type": "ALLOW_ALL"}}),
        (Kind::VirtualNode, 0) => json!({}),
        (Kind::VirtualNode, 1) => json!({"backends": [{"virtualService": {"virtualServiceName": "s"}}]}),
        (Kind::VirtualNode, _) => {
            json!({"serviceDiscovery": {"dns": {"hostname": format!("N{variant}.local")}}})
        }
        (Kind::VirtualRouter, which) => {
            json!({"listeners": [{"portMapping": {"port": 80 + i32::from(which), "protocol": "http"}}]})
        }
        (Kind::Route, 0) => route(json!([target("n0", 1)])),
        (Kind::Route, 1) => route(json!([target("n0", 75), target("n1", 25)])),
        (Kind::Route, 2) => route(json!([target("n1", 100), target("n0", 0)])),
        (Kind::Route, _) => route(json!([target("n0", 0)])),
        (Kind::VirtualService, 0) => json!({}),
        (Kind::VirtualService, 1) => json!({"provider": {"virtualNode": {"virtualNodeName": "n0"}}}),
        (Kind::VirtualService, 2) => json!({"provider": {"virtualRouter": {"virtualRouterName": "r"}}}),
        (Kind::VirtualService, _) => json!({"provider": {"virtualNode": {"virtualNodeName": "n1"}}}),
        #[allow(unreachable_patterns, reason = "a kind that is added has no slot")]
        (kind, _) => panic!("no slot is a {kind}"),
    };
    spec(kind, json)
}

#[derive(Clone, Debug)]
enum ObjectAct {
    Apply {
        slot: usize,
        variant: u8,
        adopt: bool,
        retain: bool,
        tag: Option<u8>,
    },
    Delete {
        slot: usize,
    },
    Orphan {
        slot: usize,
    },
    Outside {
        slot: usize,
        variant: Option<u8>,
    },
    Grant {
        which: usize,
        stands: bool,
    },
    /// The mesh refuses the namespace `web`, or allows it.
    Shut {
        shut: bool,
    },
    /// Somebody who may write statuses says that the App Mesh object of the name is this resource's, or takes out what it
    /// rests on.
    Forge {
        slot: usize,
        uid: bool,
    },
    Reconcile {
        slot: usize,
        fault: Fault,
    },
}

fn fault() -> impl Strategy<Value = Fault> {
    let class = prop_oneof![
        Just(FailureClass::Throttled),
        Just(FailureClass::Server),
        Just(FailureClass::Unreachable),
        Just(FailureClass::Denied)
    ];
    prop_oneof![
        3 => Just(Fault::None),
        2 => (0..3_usize).prop_map(Fault::CrashBefore),
        2 => (0..3_usize).prop_map(Fault::ReplyLost),
        1 => (0..3_usize, class).prop_map(|(step, class)| Fault::Fails(step, class)),
    ]
}

fn act() -> impl Strategy<Value = ObjectAct> {
    prop_oneof![
        4 => (0..SLOTS, any::<u8>(), any::<bool>(), prop::bool::weighted(0.2), prop::option::of(0..3_u8)).prop_map(
            |(slot, variant, adopt, retain, tag)| ObjectAct::Apply { slot, variant, adopt, retain, tag }
        ),
        1 => (0..SLOTS).prop_map(|slot| ObjectAct::Delete { slot }),
        1 => (0..SLOTS).prop_map(|slot| ObjectAct::Orphan { slot }),
        1 => (0..SLOTS, prop::option::of(any::<u8>())).prop_map(|(slot, variant)| ObjectAct::Outside { slot, variant }),
        2 => (0..GRANTS, any::<bool>()).prop_map(|(which, stands)| ObjectAct::Grant { which, stands }),
        1 => any::<bool>().prop_map(|shut| ObjectAct::Shut { shut }),
        1 => (0..SLOTS, any::<bool>()).prop_map(|(slot, uid)| ObjectAct::Forge { slot, uid }),
        6 => (0..SLOTS, fault()).prop_map(|(slot, fault)| ObjectAct::Reconcile { slot, fault }),
    ]
}

fn perform(world: &mut World, act: ObjectAct) {
    match act {
        ObjectAct::Apply { slot: index, variant: which, adopt, retain, tag } => {
            let (key, id) = slot(index);
            let management = Management {
                adoption_policy: if adopt { AdoptionPolicy::Adopt } else { AdoptionPolicy::Refuse },
                deletion_policy: if retain { DeletionPolicy::Retain } else { DeletionPolicy::Delete },
                tags: tag.map(|tag| ("team".to_owned(), format!("{tag}"))).into_iter().collect(),
            };
            world.apply(&key, &id, variant(id.kind(), which), management);
        }
        ObjectAct::Delete { slot: index } => world.delete(&slot(index).0),
        ObjectAct::Orphan { slot: index } => {
            if let Some(object) = world.objects.get_mut(&slot(index).0) {
                object.orphan = true;
            }
            world.delete(&slot(index).0);
        }
        ObjectAct::Outside { slot: index, variant: which } => {
            let (_, id) = slot(index);
            let spec = which.map(|which| variant(id.kind(), which));
            if spec.as_ref().is_none_or(|spec| spec.violations().is_empty()) {
                world.outside(&id, spec);
            }
        }
        ObjectAct::Grant { which, stands } => {
            let (place, spec) = grant(which);
            world.grants.set(place, &which.to_string(), stands.then_some(spec));
        }
        ObjectAct::Shut { shut } => world.shut = shut,
        ObjectAct::Forge { slot: index, uid } => world.forge(&slot(index).0, uid),
        ObjectAct::Reconcile { slot: index, fault } => {
            world.reconcile(&slot(index).0, fault);
        }
    }
}

/// Every resource is either served as it says, or says truthfully why not.
fn judge(world: &World) -> Result<(), TestCaseError> {
    for object in world.objects.values() {
        let ready = object.status.condition(ConditionType::Ready);
        let reason = ready.map(|ready| ready.reason.as_str()).unwrap_or_default();
        let stored = world.remote.get(&object.id);
        let is = |wanted: Reason| reason == wanted.as_str();
        if ready.is_some_and(|ready| ready.status == "True") {
            let stored = stored.expect("a Ready resource has an object");
            prop_assert_eq!(
                differences(&object.effective_spec, &stored.spec),
                vec![],
                "{} is Ready",
                object.key
            );
            prop_assert_eq!(Some(&stored.identity.uid), object.status.uid.as_ref());
        } else if is(Reason::NotOwned) {
            let owner = stored.and_then(|stored| stored.tags.get(OWNER_UID_TAG));
            prop_assert!(stored.is_some() && owner != Some(&object.uid), "{} is not owned", object.key);
        } else if is(Reason::NameConflict) {
            let older = world.objects.values().any(|other| other.id == object.id && other.key != object.key);
            prop_assert!(older, "{} has a rival", object.key);
        } else if is(Reason::MeshNotFound) {
            prop_assert!(world.holder(&ResourceId::mesh("m")).is_none(), "{} has a mesh", object.key);
        } else if is(Reason::RefNotPermitted) {
            let missing = world.permission(object, &object.effective_spec).missing;
            prop_assert!(!missing.is_empty(), "{} may name all", object.key);
        } else if is(Reason::NamespaceNotAllowed) {
            prop_assert!(world.shut && object.key.namespace.as_deref() == Some("web"));
        } else if is(Reason::InvalidSpec) {
            prop_assert!(!object.effective_spec.violations().is_empty());
        } else if is(Reason::RefNotFound) || is(Reason::WaitingForReference) {
            let references = object.effective_spec.references(&object.id);
            let missing = references.iter().any(|one| {
                let holder = world.objects.values().find(|other| other.id == one.target);
                let unready = holder.is_some_and(|holder| holder.status.uid.is_none());
                one.required && (unready || !world.remote.contains_key(&one.target))
            });
            prop_assert!(missing, "{} misses something: {:?}", object.key, ready);
        } else if is(Reason::DeletionBlocked) {
            let used = world.remote.iter().any(|(other, stored)| {
                stored.spec.references(other).iter().any(|one| one.required && one.target == object.id)
            }) || world.objects.values().any(|other| {
                other
                    .effective_spec
                    .references(&other.id)
                    .iter()
                    .any(|one| one.required && one.target == object.id)
            });
            prop_assert!(object.deleting && used, "{} is blocked", object.key);
        } else {
            prop_assert!(false, "{} says {:?} and nothing explains it", object.key, ready);
        }
    }
    // What is in force rests on references that somebody permits, unless nothing may be written at all.
    for object in world.objects.values().filter(|_| world.holder(&ResourceId::mesh("m")).is_some()) {
        let stored = world.remote.get(&object.id);
        let stored = stored.filter(|stored| stored.tags.get(OWNER_UID_TAG) == Some(&object.uid));
        let mut revoked =
            stored.map(|stored| world.permission(object, &stored.spec).missing).unwrap_or_default();
        // Who merely claims a name takes nothing out of the mesh.
        revoked.retain(|one| one.owner_exists);
        let holds = world.holder(&object.id).is_some_and(|holder| holder.key == object.key);
        // Whatever was written into statuses, and however often the process forgot what it judged.
        let unasked = object.status.permitted_by.iter().flatten().any(|by| by == UNASKED);
        prop_assert!(!unasked, "{} is of today", object.key);
        let passed_over = object.deleting || !holds || !object.effective_spec.violations().is_empty();
        prop_assert!(revoked.is_empty() || passed_over, "{} is in force: {revoked:?}", object.key);
    }
    // A namespace that the mesh refuses sends no requests anywhere in it.
    for object in world.objects.values().filter(|object| object.key.namespace.as_deref() == Some("web")) {
        let stored = world.remote.get(&object.id).filter(|_| world.shut && !object.deleting);
        let ours = stored.is_some_and(|stored| stored.tags.get(OWNER_UID_TAG) == Some(&object.uid));
        let directs = match object.key.kind {
            Kind::Route | Kind::VirtualService => true,
            // Of a virtual node the backends; others name nothing but what they lie in.
            _ => stored.is_some_and(|stored| {
                stored.spec.references(&object.id).iter().any(|one| one.path.is_some())
            }),
        };
        let mesh = world.holder(&ResourceId::mesh("m")).is_some();
        prop_assert!(!(ours && directs && mesh), "{} is in force", object.key);
    }
    // Leaks: an object that names an owner who is gone and did not let go of it.
    for (id, stored) in &world.remote {
        if let Some(owner) = stored.tags.get(OWNER_UID_TAG) {
            let lives = world.objects.values().any(|object| object.uid == *owner);
            prop_assert!(lives || world.let_go.contains(owner), "{id} leaks: its owner {owner} is gone");
        }
    }
    Ok(())
}

#[test]
fn what_another_namespace_lent_is_not_retained() {
    // The attack: a route and a node of `web`, permitted once, are let go of so that nobody can take that back.
    for (ends, orphan) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut world = World::default();
        let backend = |name: &str| json!({"virtualService": {"virtualServiceName": name}});
        let applied = [
            (slot(0), variant(Kind::Mesh, 0)),
            (slot(1), variant(Kind::VirtualNode, 0)),
            (slot(4), variant(Kind::VirtualRouter, 0)),
            (slot(7), variant(Kind::VirtualService, 2)),
            (slot(6), variant(Kind::Route, 0)),
            (slot(3), spec(Kind::VirtualNode, json!({"backends": [backend("s"), backend("anybody")]}))),
        ];
        let retain = Management { deletion_policy: DeletionPolicy::Retain, ..Management::default() };
        for ((key, id), spec) in applied {
            let policy = if orphan { Management::default() } else { retain.clone() };
            world.apply(&key, &id, spec, policy);
        }
        for index in 0..GRANTS {
            let (place, spec) = grant(index);
            world.grants.set(place, &index.to_string(), Some(spec));
        }
        world.settle();
        let ((route, route_id), (node, node_id)) = (slot(6), slot(3));
        assert!(world.remote.contains_key(&route_id) && world.remote.contains_key(&node_id));
        if ends {
            for index in 0..GRANTS {
                world.grants.set(grant(index).0, &index.to_string(), None);
            }
        }
        for key in [&route, &node] {
            world.objects.get_mut(key).unwrap().orphan = orphan;
            world.delete(key);
            world.reconcile(key, Fault::None);
            assert!(!world.objects.contains_key(key), "{key} is released");
        }
        assert!(!world.remote.contains_key(&route_id), "the route takes no more traffic: {ends} {orphan}");
        let left = &world.remote[&node_id];
        let references = left.spec.references(&node_id);
        let named: Vec<&str> = references.iter().map(|one| one.target.name()).collect();
        assert!(named.contains(&"anybody") && !named.contains(&"s"), "{named:?}");
        assert_eq!(left.tags.contains_key(OWNER_UID_TAG), orphan);
    }
}

#[test]
fn a_permission_that_was_cleared_ends() {
    // The attack: a route of `web` is permitted, its status is cleared of that, and the grants end.
    let mut world = World::default();
    let applied = [
        (slot(0), variant(Kind::Mesh, 0)),
        (slot(1), variant(Kind::VirtualNode, 0)),
        (slot(4), variant(Kind::VirtualRouter, 0)),
        (slot(6), variant(Kind::Route, 0)),
    ];
    for ((key, id), spec) in applied {
        world.apply(&key, &id, spec, Management::default());
    }
    let grants = |world: &mut World, stand: bool| {
        for index in 0..GRANTS {
            let (place, spec) = grant(index);
            world.grants.set(place, &index.to_string(), stand.then_some(spec));
        }
    };
    grants(&mut world, true);
    world.settle();
    let (route, id) = slot(6);
    assert!(world.remote.contains_key(&id));
    for (words, ends) in
        [(None, false), (None, true), (Some(vec![]), true), (Some(vec![UNASKED.to_owned()]), true)]
    {
        grants(&mut world, true);
        world.settle();
        assert!(world.remote.contains_key(&id));
        world.objects.get_mut(&route).unwrap().status.permitted_by = words;
        if ends {
            // The process does, and forgets what it judged.
            world.judged.clear();
        }
        grants(&mut world, false);
        world.settle();
        assert!(!world.remote.contains_key(&id), "{:?}", world.objects[&route].status);
    }
    // Nothing is left of the status, and the finalizer is gone, too.
    grants(&mut world, true);
    world.settle();
    world.strip(&route);
    grants(&mut world, false);
    world.settle();
    assert!(!world.remote.contains_key(&id), "nobody would look after it any more");
    // What an operator wrote that did not ask for grants stays, is marked, and the mark outlives the process.
    grants(&mut world, true);
    world.settle();
    world.forge(&route, false);
    world.remote.get_mut(&id).unwrap().tags.remove(OWNER_GRANTS_TAG);
    grants(&mut world, false);
    for _ in 0..2 {
        world.judged.clear();
        world.settle();
        assert!(world.remote.contains_key(&id));
        assert_eq!(world.objects[&route].status.permitted_by, Some(vec![UNASKED.to_owned()]));
    }
}

#[test]
fn a_namespace_that_is_put_out_keeps_no_backend() {
    // Also none to what was nobody's, and is another team's by now.
    let mut world = World::default();
    let backends =
        spec(Kind::VirtualNode, json!({"backends": [{"virtualService": {"virtualServiceName": "s"}}]}));
    let references = |world: &World| {
        let (_, id) = slot(3);
        world.remote[&id].spec.references(&id).iter().filter(|one| !one.required).count()
    };
    let (mesh, node) = (slot(0), slot(3));
    world.apply(&mesh.0, &mesh.1, variant(Kind::Mesh, 0), Management::default());
    world.apply(&node.0, &node.1, backends, Management::default());
    world.settle();
    assert_eq!(references(&world), 1);
    world.shut = true;
    for (key, id) in [slot(4), slot(7)] {
        world.apply(&key, &id, variant(key.kind, 2), Management::default());
    }
    world.settle();
    assert_eq!(references(&world), 0);
    let accepted = world.objects[&node.0].status.condition(ConditionType::Accepted).unwrap();
    assert_eq!(accepted.reason, Reason::NamespaceNotAllowed.as_str());
    // It is allowed again, and a grant of the other team is missing.
    world.shut = false;
    world.settle();
    assert_eq!(references(&world), 0);
    for index in 0..GRANTS {
        let (place, spec) = grant(index);
        world.grants.set(place, &index.to_string(), Some(spec));
    }
    world.settle();
    assert_eq!(references(&world), 1);
    // Whose status and finalizer are taken away is put out all the same.
    world.strip(&node.0);
    world.shut = true;
    world.settle();
    assert_eq!(references(&world), 0);
}

#[test]
fn tags_that_leave_no_room_for_the_mark_do_not_take_it_away() {
    // The attack: 44 tags, and then none, make an object that looks as if no operator had asked for grants.
    let mut world = World::default();
    let (mesh, node) = (slot(0), slot(1));
    world.apply(&mesh.0, &mesh.1, variant(Kind::Mesh, 0), Management::default());
    let tags = (0..MAX_USER_TAGS).map(|index| (format!("k{index}"), String::new())).collect();
    let full = Management { tags, ..Management::default() };
    for (policy, marked) in [(full, false), (Management::default(), true)] {
        world.apply(&node.0, &node.1, variant(Kind::VirtualNode, 0), policy);
        world.settle();
        let tags = &world.remote[&node.1].tags;
        assert_eq!(tags.contains_key(OWNER_GRANTS_TAG), marked, "{} tags", tags.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn everything_settles_truthfully_and_then_stays(acts in prop::collection::vec(act(), 1..60)) {
        let mut world = World::default();
        for act in acts {
            perform(&mut world, act);
        }
        world.settle();
        judge(&world)?;
        let writes = world.writes;
        // A pass that writes nothing leaves all as it was, so three stand for any number.
        for _ in 0..3 {
            for key in world.objects.keys().cloned().collect::<Vec<_>>() {
                world.reconcile(&key, Fault::None);
            }
        }
        prop_assert_eq!(world.writes, writes, "resyncs write nothing");
    }

    #[test]
    fn deleting_everything_leaves_nothing_of_ours(acts in prop::collection::vec(act(), 1..40), order in Just((0..SLOTS).collect::<Vec<_>>()).prop_shuffle()) {
        let mut world = World::default();
        for act in acts {
            perform(&mut world, act);
        }
        for index in order {
            world.delete(&slot(index).0);
        }
        world.settle();
        judge(&world)?;
        // What is left is held up by objects of others, which are never touched.
        let others = world.remote.values().any(|stored| {
            stored.tags.get(OWNER_UID_TAG).is_none_or(|owner| world.let_go.contains(owner))
        });
        prop_assert!(world.objects.is_empty() || others, "stuck: {:?}", world.objects.keys());
    }
}
