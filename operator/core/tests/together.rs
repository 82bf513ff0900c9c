//! Writes that block each other: whatever is changed in one go, in whatever order, and whatever strikes the operator meanwhile, it
//! converges; what nothing blocks goes alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use fleetmesh_core::together::{JointWrite, may_be_blocked, widened};
use fleetmesh_core::{Failure, FailureClass, Object, ObjectKey, Plan, Step, decide};
use fleetmesh_crds::{AdoptionPolicy, ConditionType, Management};
use fleetmesh_model::{Kind, ResourceId, Spec, differences};
use fleetmesh_simulation::cluster::{Fault, World, key, settings, spec};
use proptest::prelude::*;
use serde_json::{Value, json};

fn listening(ports: &[u16], protocol: &str) -> Value {
    let listener = |port: &u16| json!({"portMapping": {"port": port, "protocol": protocol}});
    json!({"listeners": ports.iter().map(listener).collect::<Vec<_>>()})
}

/// A node's.
fn serving(ports: &[u16], protocol: &str) -> Value {
    let mut spec = listening(ports, protocol);
    spec["serviceDiscovery"] = json!({"dns": {"hostname": "x.local"}});
    spec
}

fn route(protocol: &str, targets: &[(&str, u16)]) -> Value {
    let target = |(node, port): &(&str, u16)| json!({"virtualNode": node, "port": port, "weight": 1});
    let action = json!({"weightedTargets": targets.iter().map(target).collect::<Vec<_>>()});
    match protocol {
        "tcp" => json!({"tcpRoute": {"action": action}}),
        _ => json!({format!("{protocol}Route"): {"action": action, "match": {"prefix": "/"}}}),
    }
}

fn mesh() -> (ObjectKey, ResourceId) {
    (key(Kind::Mesh, "m"), ResourceId::mesh("m"))
}

fn node(name: &str) -> (ObjectKey, ResourceId) {
    (key(Kind::VirtualNode, name), ResourceId::virtual_node("m", name))
}

fn router() -> (ObjectKey, ResourceId) {
    (key(Kind::VirtualRouter, "r"), ResourceId::virtual_router("m", "r"))
}

fn route_of(name: &str) -> (ObjectKey, ResourceId) {
    (key(Kind::Route, name), ResourceId::route("m", "r", name))
}

fn apply(world: &mut World, (key, id): &(ObjectKey, ResourceId), json: Value) {
    world.apply(key, id, spec(id.kind(), json), Management::default());
}

/// Two routes of one router to two nodes, for a protocol, on a port.
fn state(world: &mut World, protocol: &str, port: u16, order: &[usize]) {
    let objects = [
        (router(), listening(&[80], protocol)),
        (route_of("x"), route(protocol, &[("a", port)])),
        (route_of("y"), route(protocol, &[("a", port), ("b", port)])),
        (node("a"), serving(&[port], "http")),
        (node("b"), serving(&[port], "http")),
    ];
    for index in order {
        let (object, json) = &objects[*index];
        apply(world, object, json.clone());
        // As the watch brings it: each is reconciled as soon as it is there.
        world.reconcile(&object.0, Fault::None);
    }
}

const ALL: [usize; 5] = [0, 1, 2, 3, 4];

fn settled(protocol: &str, port: u16) -> World {
    let mut world = World::default();
    apply(&mut world, &mesh(), json!({}));
    state(&mut world, protocol, port, &ALL);
    world.settle();
    assert!(in_force(&world), "{world:#?}");
    world
}

/// Whether each object is Ready and the endpoint has what it says.
fn in_force(world: &World) -> bool {
    world.objects.values().all(|object| {
        let ready = object.status.condition(ConditionType::Ready);
        let stored = world.remote.get(&object.id);
        ready.is_some_and(|ready| ready.status == "True")
            && stored.is_some_and(|stored| differences(&object.effective_spec, &stored.spec).is_empty())
    })
}

#[test]
fn what_blocks_each_other_goes_in_one_commit_and_the_rest_alone() {
    let mut world = settled("http", 80);
    assert_eq!(world.commits, 0, "nothing blocked anything");
    state(&mut world, "tcp", 80, &[0, 1, 2]);
    world.settle();
    assert!(in_force(&world));
    assert_eq!(world.commits, 1, "the router and both routes");
    let versions = |world: &World| -> Vec<i64> {
        [router(), route_of("x"), route_of("y"), node("a"), node("b")]
            .iter()
            .map(|(_, id)| world.remote[id].identity.version)
            .collect()
    };
    assert_eq!(versions(&world), [2, 2, 2, 1, 1], "each is written once");
    // A single change is a single write.
    apply(&mut world, &route_of("x"), route("tcp", &[("a", 80), ("b", 80)]));
    world.settle();
    assert!(in_force(&world));
    assert_eq!((world.commits, versions(&world)), (1, vec![2, 3, 2, 1, 1]));
    // Ports of the nodes, and with them the other protocol: all that is connected, once.
    state(&mut world, "http", 81, &[3, 4, 2, 1, 0]);
    world.settle();
    assert!(in_force(&world));
    assert_eq!(versions(&world), [3, 4, 3, 2, 2]);
}

#[test]
fn an_object_that_is_wrong_by_itself_holds_up_nobody() {
    let mut world = settled("http", 80);
    // It is new, and for the protocol of before.
    apply(&mut world, &route_of("wrong"), route("http", &[("a", 80)]));
    state(&mut world, "tcp", 80, &[2, 1, 0]);
    // It was reconciled in between or not.
    for strike in [Fault::None, Fault::ReplyLost(0)] {
        let mut world = world.clone();
        world.reconcile(&route_of("wrong").0, strike);
        apply(&mut world, &route_of("wrong"), route("grpc", &[("a", 80)]));
        world.settle();
        let ready = |(key, _): &(ObjectKey, ResourceId)| {
            world.objects[key].status.condition(ConditionType::Ready).map(|ready| ready.status == "True")
        };
        assert_eq!([route_of("x"), route_of("y"), router()].each_ref().map(ready), [Some(true); 3]);
        assert_eq!(ready(&route_of("wrong")), Some(false));
    }
}

#[test]
fn what_is_not_changed_is_in_the_way_and_nothing_is_written() {
    let mut world = settled("http", 80);
    state(&mut world, "tcp", 80, &[0, 1]);
    world.settle();
    assert_eq!(world.commits, 0);
    assert_eq!(world.remote[&router().1].identity.version, 1);
    let ready = world.objects[&router().0].status.condition(ConditionType::Ready).unwrap();
    assert_eq!(ready.reason, "EndpointConflict");
    state(&mut world, "tcp", 80, &[2]);
    world.settle();
    assert!(in_force(&world));
}

/// The attack: an object of somebody else's, or one that would have to be taken over, does not slip through in a commit.
#[test]
fn what_is_not_ours_or_would_be_taken_over_is_in_no_commit() {
    for adopts in [false, true] {
        let mut world = settled("http", 80);
        world.remote.get_mut(&route_of("x").1).unwrap().tags.clear();
        let policy = if adopts { AdoptionPolicy::Adopt } else { AdoptionPolicy::Refuse };
        let management = Management { adoption_policy: policy, ..Management::default() };
        let (key, id) = route_of("x");
        world.apply(&key, &id, spec(Kind::Route, route("tcp", &[("a", 80)])), management);
        let (key, id) = router();
        world.apply(&key, &id, spec(Kind::VirtualRouter, listening(&[80], "tcp")), Management::default());
        let offered = world.observe(&route_of("x").0, true).unwrap();
        let mut joint = of(&world, &router().0);
        assert!(
            !joint.offer(&offered.object, &decide(&offered, &settings())),
            "it is reported by its own reconcile"
        );
        assert!(!joint.wants(&route_of("x").0));
        // The simulation asserts that nothing of others is written to.
        world.reconcile(&router().0, Fault::None);
        assert_eq!(world.commits, 0);
    }
}

/// The write of `key` alone.
fn of(world: &World, key: &ObjectKey) -> JointWrite {
    let observed = world.observe(key, true).unwrap();
    let Plan::Steps(steps) = decide(&observed, &settings()).plan else { panic!("nothing is to be written") };
    JointWrite::of(&observed.object, steps.last().unwrap())
}

#[test]
fn a_commit_has_bounds() {
    let mut world = World::default();
    apply(&mut world, &mesh(), json!({}));
    state(&mut world, "http", 80, &ALL);
    world.settle();
    state(&mut world, "tcp", 80, &[0]);
    let mut joint = of(&world, &router().0);
    let some = world.observe(&route_of("x").0, true).unwrap();
    let wanted = |number: usize| {
        let object = Object { key: key(Kind::Route, &format!("x{number}")), ..Object::clone(&some.object) };
        let step =
            Step::Update { id: object.id.clone(), spec: object.effective_spec.clone(), token: String::new() };
        let decision =
            fleetmesh_core::Decision { plan: Plan::Steps(vec![step]), ..decide(&some, &settings()) };
        (Arc::new(object), decision)
    };
    let mut taken = 0;
    for number in 0..1000 {
        let (object, decision) = wanted(number);
        taken += usize::from(joint.wants(&object.key) && joint.offer(&object, &decision));
    }
    assert_eq!(taken + 1, fleetmesh_api::commits::MAX_PARTS);
    let (first, last) = (joint.objects_of(&[0, 0, 1]), joint.objects_of(&[taken]));
    assert_eq!((first.len(), last[0].key.name.as_str()), (2, "x126"));
    // At fault, and nothing grows: they are left out, the first one stays.
    assert!(joint.is_worth_a_try(false, &first));
    assert_eq!(joint.members().len(), taken);
    assert_eq!(joint.members()[0].object.key, router().0);
    assert!(!joint.is_worth_a_try(false, &first), "nobody is left of those");
    let tries = (0..100).filter(|_| joint.is_worth_a_try(true, &[])).count();
    assert!(tries < 10, "{tries} tries");
}

#[test]
fn only_refused_writes_may_be_blocked() {
    let failure = |class| Failure { class, operation: String::new(), message: String::new() };
    let (_, id) = node("a");
    let update =
        Step::Update { id: id.clone(), spec: spec(Kind::VirtualNode, json!({})), token: String::new() };
    for (class, blocked) in [
        (FailureClass::Invalid, true),
        (FailureClass::Conflict, true),
        (FailureClass::NotFound, false),
        (FailureClass::Denied, false),
        (FailureClass::Unreachable, false),
        (FailureClass::Limit, false),
    ] {
        assert_eq!(may_be_blocked(&update, &failure(class)), blocked, "{class:?}");
        assert!(!may_be_blocked(&Step::Delete { id: id.clone() }, &failure(class)));
    }
}

#[test]
fn without_commits_listeners_are_added_first_and_removed_last() {
    let of = |kind, ports: &[u16], protocol: &str| spec(kind, listening(ports, protocol));
    let node = |ports: &[u16], protocol: &str| spec(Kind::VirtualNode, serving(ports, protocol));
    let router = |ports: &[u16], protocol: &str| of(Kind::VirtualRouter, ports, protocol);
    let listens = |spec: Option<Spec>| spec.map(|spec| serde_json::to_value(spec).unwrap());
    assert_eq!(
        listens(widened(&node(&[80], "http"), &node(&[81], "http"))),
        listens(Some(node(&[81, 80], "http")))
    );
    assert_eq!(
        listens(widened(&router(&[80], "tcp"), &router(&[81], "tcp"))),
        listens(Some(router(&[81, 80], "tcp")))
    );
    for (old, new) in [
        (router(&[80], "http"), router(&[80], "tcp")),
        (node(&[80, 81], "http"), node(&[81], "http")),
        (node(&[80], "http"), node(&[80, 81], "http")),
        (node(&[], "http"), node(&[80], "http")),
    ] {
        assert_eq!(widened(&old, &new), None, "{old:?} {new:?}");
    }
    let mut world = settled("http", 80);
    world.without_commits = true;
    state(&mut world, "http", 81, &ALL);
    world.settle();
    assert!(in_force(&world), "{world:#?}");
    assert_eq!(world.commits, 0);
    // No order exists for this one: it is said, and nothing is lost.
    state(&mut world, "tcp", 81, &ALL);
    world.settle();
    assert!(!in_force(&world));
    world.without_commits = false;
    world.settle();
    assert!(in_force(&world));
}

#[derive(Clone, Debug)]
enum Act {
    Apply { protocol: &'static str, port: u16, order: Vec<usize> },
    Reconcile { index: usize, fault: Fault },
}

fn act() -> impl Strategy<Value = Act> {
    let order = Just(ALL.to_vec()).prop_shuffle();
    let fault = prop_oneof![
        2 => Just(Fault::None),
        2 => (0..2_usize).prop_map(Fault::CrashBefore),
        2 => (0..2_usize).prop_map(Fault::ReplyLost),
        1 => (0..2_usize).prop_map(|step| Fault::Fails(step, FailureClass::Server)),
    ];
    prop_oneof![
        (prop::sample::select(vec!["http", "tcp", "http2"]), 80..83_u16, order)
            .prop_map(|(protocol, port, order)| Act::Apply { protocol, port, order }),
        (0..ALL.len(), fault).prop_map(|(index, fault)| Act::Reconcile { index, fault }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// Each state that was applied as a whole is in force in the end, whatever struck on the way there.
    #[test]
    fn whatever_is_applied_in_one_go_converges(acts in prop::collection::vec(act(), 1..12)) {
        let mut world = settled("http", 80);
        for act in acts {
            match act {
                Act::Apply { protocol, port, order } => state(&mut world, protocol, port, &order),
                Act::Reconcile { index, fault } => {
                    let keys = [router(), route_of("x"), route_of("y"), node("a"), node("b")];
                    world.reconcile(&keys[index].0, fault);
                }
            }
        }
        world.settle();
        prop_assert!(in_force(&world), "{world:#?}");
        let writes = world.writes;
        for key in world.objects.keys().cloned().collect::<Vec<_>>() {
            world.reconcile(&key, Fault::None);
        }
        prop_assert_eq!(world.writes, writes, "resyncs write nothing");
    }
}
