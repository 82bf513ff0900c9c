//! What is decided together: in any order, all or nothing, and one alone as it is decided alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_model::Spec;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::decide::alone;
use crate::refusal::Class;
use crate::testing::{record, view};
use crate::view::{Meshes, Record};

fn id(path: &str) -> ResourceId {
    record(path, &spec_of(path), 1).id.clone()
}

/// Some spec of the kind of `path`.
fn spec_of(path: &str) -> Value {
    match path.split('/').rev().nth(1) {
        Some("route") => route("http", None, &[]),
        _ => json!({}),
    }
}

fn create(path: &str, spec: &Value) -> MeshRequest {
    MeshRequest::Create(Record::clone(&record(path, spec, 1)))
}

fn update(path: &str, spec: &Value) -> MeshRequest {
    let id = id(path);
    let spec = Spec::from_json(id.kind(), spec.clone()).expect("a spec");
    MeshRequest::Update { id, spec, now: Timestamp::UNIX_EPOCH }
}

fn delete(path: &str) -> MeshRequest {
    MeshRequest::Delete(id(path))
}

fn listening(ports: &[(u16, &str)]) -> Value {
    let listener =
        |(port, protocol): &(u16, &str)| json!({"portMapping": {"port": port, "protocol": protocol}});
    json!({"listeners": ports.iter().map(listener).collect::<Vec<_>>()})
}

/// A route for a protocol to these nodes on these ports.
fn route(protocol: &str, port: Option<u16>, targets: &[(&str, Option<u16>)]) -> Value {
    let target = |(node, port): &(&str, Option<u16>)| match port {
        Some(port) => json!({"virtualNode": node, "weight": 1, "port": port}),
        None => json!({"virtualNode": node, "weight": 1}),
    };
    let action = json!({"weightedTargets": targets.iter().map(target).collect::<Vec<_>>()});
    let mut matcher = if protocol == "tcp" { json!({}) } else { json!({"prefix": "/"}) };
    if let Some(port) = port {
        matcher["port"] = json!(port);
    }
    json!({format!("{protocol}Route"): {"action": action, "match": matcher}})
}

const ROUTER: &str = "virtualRouter/r";
const ROUTE: &str = "virtualRouter/r/route/x";
const OTHER: &str = "virtualRouter/r/route/y";
const NODE: &str = "virtualNode/n";

/// A router for http with a route to a node on port 80.
fn mesh() -> Meshes {
    let objects = [
        (NODE, listening(&[(80, "http")])),
        (ROUTER, listening(&[(80, "http")])),
        (ROUTE, route("http", None, &[("n", Some(80))])),
    ];
    [("apps".into(), Arc::new(view(&objects)))].into()
}

/// What becomes of these together, the first account's.
fn decided(meshes: &Meshes, requests: &[MeshRequest], quotas: &Quotas) -> Result<Vec<Change>, Vec<Fault>> {
    let parts: Vec<usize> = (0..requests.len()).collect();
    together(Tip::new(meshes, 1), Account::First, &"apps".into(), requests, &parts, quotas)
}

fn faults(requests: &[MeshRequest]) -> Vec<(usize, Class)> {
    let found = decided(&mesh(), requests, &Quotas::default()).expect_err("it is refused");
    found.into_iter().map(|fault| (fault.part, fault.refusal.class)).collect()
}

/// In each order of two it is the same; alone each is refused.
fn only_together(one: MeshRequest, other: MeshRequest) {
    for request in [&one, &other] {
        let alone = alone(Tip::new(&mesh(), 1), Account::First, request, &Quotas::default());
        assert!(alone.is_err(), "{request:?} is refused alone");
    }
    for requests in [[one.clone(), other.clone()], [other, one]] {
        let changes = decided(&mesh(), &requests, &Quotas::default()).expect("decided");
        for (change, request) in changes.iter().zip(&requests) {
            match (change, request) {
                (Change::Put(write), request) => assert_eq!(&write.record.id, request.id()),
                (Change::Delete { id, .. }, request) => assert_eq!(id, request.id()),
            }
        }
    }
}

#[test]
fn what_blocks_each_other_is_decided_together_in_any_order() {
    let to_node = route("tcp", None, &[("n", Some(80))]);
    only_together(update(ROUTER, &listening(&[(80, "tcp")])), update(ROUTE, &to_node));
    let moved = route("http", None, &[("n", Some(81))]);
    only_together(update(NODE, &listening(&[(81, "http")])), update(ROUTE, &moved));
    let ported = route("http", Some(81), &[("n", Some(80))]);
    let ported = [update(ROUTE, &ported), update(ROUTER, &listening(&[(81, "http")]))];
    assert!(decided(&mesh(), &ported, &Quotas::default()).is_ok());
    // A node goes while the route leaves it, to one that is made by the same commit.
    let elsewhere = [
        delete(NODE),
        update(ROUTE, &route("http", None, &[("m", None)])),
        create("virtualNode/m", &listening(&[(80, "http")])),
    ];
    assert_eq!(decided(&mesh(), &elsewhere, &Quotas::default()).map(|changes| changes.len()), Ok(3));
    // A router with its routes comes and goes, in any order.
    let comes = [
        create("virtualService/s", &json!({"provider": {"virtualRouter": {"virtualRouterName": "new"}}})),
        create("virtualRouter/new/route/x", &to_node),
        create("virtualRouter/new", &listening(&[(80, "tcp")])),
    ];
    assert!(decided(&mesh(), &comes, &Quotas::default()).is_ok());
    let goes = [delete(ROUTER), delete(ROUTE), delete(NODE)];
    assert!(decided(&mesh(), &goes, &Quotas::default()).is_ok());
}

#[test]
fn the_part_at_fault_is_the_one_that_depends_on_the_other() {
    let grpc = listening(&[(80, "grpc")]);
    assert_eq!(
        faults(&[update(ROUTER, &grpc), update(ROUTE, &route("tcp", None, &[]))]),
        [(1, Class::BadRequest)]
    );
    // What is not changed is in the way of the router.
    let other = create(OTHER, &route("tcp", None, &[("n", Some(80))]));
    let tcp = listening(&[(80, "tcp")]);
    assert_eq!(faults(&[other, update(ROUTER, &tcp)]), [(1, Class::Conflict)]);
    // Several at once, each with its own; none hides another.
    let all = [
        create(ROUTE, &route("http", None, &[])),
        update("virtualNode/none", &json!({})),
        update(ROUTER, &listening(&[(80, "http")])),
        delete("virtualRouter/none"),
    ];
    assert_eq!(faults(&all), [(0, Class::Conflict), (1, Class::NotFound), (3, Class::NotFound)]);
    assert_eq!(
        faults(&[delete(NODE), delete(ROUTER)]),
        [(0, Class::ResourceInUse), (1, Class::ResourceInUse)]
    );
}

#[test]
fn what_is_no_commit_of_one_mesh_is_refused() {
    let twice = [update(NODE, &listening(&[(80, "http")])), delete(NODE)];
    assert_eq!(faults(&twice), [(1, Class::BadRequest)]);
    assert_eq!(faults(&[delete("")]), [(0, Class::BadRequest)]);
    let of_another = MeshRequest::Delete(ResourceId::virtual_node("other", "n"));
    assert_eq!(faults(&[delete(OTHER), of_another]), [(0, Class::NotFound), (1, Class::BadRequest)]);
    let none = decided(&Meshes::new(), &[delete(NODE)], &Quotas::default()).expect_err("no mesh");
    assert_eq!(none[0].refusal, absent(&ResourceId::mesh("apps")));
    let tags = MeshRequest::Retag { id: id(NODE), set: [("a".into(), "b".into())].into(), remove: [].into() };
    let changed =
        decided(&mesh(), &[update("", &json!({})), tags, update(NODE, &json!({}))], &Quotas::default());
    assert_eq!(changed.expect_err("the route needs port 80").len(), 1);
}

#[test]
fn tags_and_spec_of_one_resource_are_two_parts() {
    let set: BTreeMap<String, String> = [("a".into(), "b".into())].into();
    let tags = |remove: &[&str]| MeshRequest::Retag {
        id: id(NODE),
        set: set.clone(),
        remove: remove.iter().map(|key| (*key).to_owned()).collect(),
    };
    let two = listening(&[(80, "http"), (81, "http")]);
    let changes = decided(&mesh(), &[tags(&[]), update(NODE, &two), tags(&["b"])], &Quotas::default());
    let versions: Vec<(Option<i64>, i64, bool)> = changes
        .expect("decided")
        .into_iter()
        .filter_map(|change| match change {
            Change::Put(Write { record, replaces }) => Some((replaces, record.version, record.tags == set)),
            Change::Delete { .. } => None,
        })
        .collect();
    assert_eq!(versions, [(Some(1), 1, true), (Some(1), 2, true), (Some(2), 2, true)]);
}

#[test]
fn quotas_count_what_there_is_after_all() {
    let quotas = Quotas::new(vec!["virtual-nodes=1".parse().expect("a quota")]);
    let new = create("virtualNode/m", &json!({}));
    let refused = decided(&mesh(), std::slice::from_ref(&new), &quotas).expect_err("there is one already");
    assert_eq!((refused[0].part, refused[0].refusal.class), (0, Class::LimitExceeded));
    let replaced = [new, update(ROUTE, &route("http", None, &[("m", None)])), delete(NODE)];
    assert!(decided(&mesh(), &replaced, &quotas).is_ok());
}

#[test]
fn parts_that_were_carried_out_before_are_not_decided() {
    let requests = [delete("virtualNode/none"), update(NODE, &listening(&[(80, "http")]))];
    let tip = mesh();
    let quotas = Quotas::default();
    let changes = together(Tip::new(&tip, 1), Account::First, &"apps".into(), &requests, &[1], &quotas);
    assert_eq!(changes.map(|changes| changes.len()), Ok(1));
}

#[test]
fn another_account_changes_only_what_it_made() {
    let consumer = Account::Other("444455556666".parse().expect("an account"));
    let made = Record { owner: consumer, ..Record::clone(&record("virtualNode/theirs", &json!({}), 1)) };
    let requests = [MeshRequest::Create(made), update(NODE, &listening(&[(80, "http")]))];
    let tip = mesh();
    let quotas = Quotas::default();
    let refused = together(Tip::new(&tip, 1), consumer, &"apps".into(), &requests, &[0, 1], &quotas);
    let refused = refused.expect_err("one part is not theirs");
    assert_eq!((refused[0].part, refused[0].refusal.class, refused.len()), (1, Class::Forbidden, 1));
}

/// One of a few requests about a small mesh, many of which are refused.
fn request() -> impl Strategy<Value = MeshRequest> {
    let ports = || prop::sample::select(vec![vec![], vec![80], vec![81], vec![80, 81]]);
    let protocol = || prop::sample::select(vec!["http", "tcp", "grpc", "http2"]);
    let listeners = (ports(), protocol()).prop_map(|(ports, protocol)| {
        listening(&ports.into_iter().map(|port| (port, protocol)).collect::<Vec<_>>())
    });
    let node = prop::sample::select(vec![NODE, "virtualNode/m"]);
    let router = prop::sample::select(vec![ROUTER, "virtualRouter/q"]);
    let routes = prop::sample::select(vec![ROUTE, OTHER, "virtualRouter/q/route/x"]);
    let target = (prop::sample::select(vec!["n", "m"]), prop::option::of(80..82_u16));
    let route = (prop::sample::select(vec!["http", "tcp"]), prop::option::of(80..82_u16), target)
        .prop_map(|(protocol, port, target)| route(protocol, port, &[target]));
    let listens = (prop_oneof![node, router], listeners);
    prop_oneof![
        listens.clone().prop_map(|(path, spec)| create(path, &spec)),
        listens.prop_map(|(path, spec)| update(path, &spec)),
        (routes.clone(), route.clone()).prop_map(|(path, spec)| create(path, &spec)),
        (routes, route).prop_map(|(path, spec)| update(path, &spec)),
        prop::sample::select(vec![NODE, "virtualNode/m", ROUTER, ROUTE, OTHER]).prop_map(delete),
    ]
}

/// Takes `changes` in.
fn applied(mut meshes: Meshes, changes: Vec<Change>) -> Meshes {
    let view = Arc::make_mut(meshes.get_mut(&"apps".into()).expect("the mesh"));
    for change in changes {
        match change {
            Change::Put(Write { record, .. }) => {
                drop(view.resources.insert(record.id.clone(), Arc::new(record)))
            }
            Change::Delete { id, .. } => drop(view.resources.remove(&id)),
        }
    }
    meshes
}

/// Whether all that is stored would be admitted as it is.
fn is_consistent(meshes: &Meshes) -> bool {
    let view = &meshes[&"apps".into()];
    view.resources.values().all(|record| rules::admit(view, &record.id, &record.spec).is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// One alone is decided as it is alone.
    #[test]
    fn one_part_is_decided_as_a_request_alone(request in request()) {
        let meshes = mesh();
        let quotas = Quotas::new(vec!["virtual-nodes=2".parse().expect("a quota")]);
        let alone = alone(Tip::new(&meshes, 1), Account::First, &request, &quotas);
        let together = decided(&meshes, &[request], &quotas);
        let together = together.map(|mut changes| changes.remove(0)).map_err(|mut faults| faults.remove(0).refusal);
        prop_assert_eq!(together, alone);
    }

    /// What is stored stays consistent, whatever was asked for in whatever order; what goes one after the other goes together.
    #[test]
    fn what_is_decided_together_leaves_a_consistent_mesh(requests in prop::collection::vec(request(), 1..6), seed in any::<u64>()) {
        let (meshes, quotas) = (mesh(), Quotas::default());
        let outcome = decided(&meshes, &requests, &quotas);
        let mut shuffled = requests.clone();
        shuffled.rotate_left(usize::try_from(seed).unwrap_or_default() % requests.len());
        let turned = decided(&meshes, &shuffled, &quotas);
        prop_assert_eq!(outcome.is_ok(), turned.is_ok(), "the order does not matter");
        let mut one_by_one = meshes.clone();
        let goes = requests.iter().all(|request| {
            match alone(Tip::new(&one_by_one, 1), Account::First, request, &quotas) {
                Ok(change) => {
                    one_by_one = applied(one_by_one.clone(), vec![change]);
                    true
                }
                Err(_) => false,
            }
        });
        let mut about: Vec<&ResourceId> = requests.iter().map(MeshRequest::id).collect();
        about.sort();
        about.dedup();
        prop_assert!(outcome.is_ok() || !goes || about.len() < requests.len(), "{outcome:?}");
        if let Ok(changes) = outcome {
            let after = applied(meshes, changes);
            prop_assert!(is_consistent(&after));
            prop_assert!(after[&"apps".into()].resources.keys().eq(one_by_one[&"apps".into()].resources.keys()) || !goes);
        }
    }
}
