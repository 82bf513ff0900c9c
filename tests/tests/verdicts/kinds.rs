//! Each kind in each state that a reconcile leaves it in.

use std::sync::Arc;

use fleetmesh_api::distribution::{ObjectStatus, Rejection};
use fleetmesh_core::{
    Allowance, Distribution, FailureClass, ObjectKey, Observed, Outcome, Parts, decide, status,
};
use fleetmesh_crds::{ConditionType, Management, Status};
use fleetmesh_model::{Kind, ResourceId};
use fleetmesh_simulation::cluster::{Fault, World, key, settings, spec};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::table::Row;

/// Every class of failed calls.
const CLASSES: [FailureClass; 13] = [
    FailureClass::Throttled,
    FailureClass::Server,
    FailureClass::Unreachable,
    FailureClass::Ended,
    FailureClass::Conflict,
    FailureClass::NotFound,
    FailureClass::Unsettled,
    FailureClass::InUse,
    FailureClass::Credentials,
    FailureClass::Denied,
    FailureClass::Limit,
    FailureClass::Invalid,
    FailureClass::Malformed,
];

/// A kind under test, in a mesh where all that it refers to exists.
struct KindScene {
    kind: Kind,
    key: ObjectKey,
    id: ResourceId,
    spec: Value,
    other: Value,
}

fn scenes() -> [KindScene; Kind::ALL.len()] {
    let targets = |weight: i32| json!({"tcpRoute": {"action": {"weightedTargets": [{"virtualNode": "a", "weight": weight}]}}});
    let scene = |kind: Kind, id: ResourceId, spec: Value, other: Value| KindScene {
        kind,
        key: key(kind, "it"),
        id,
        spec,
        other,
    };
    let dns = |name: &str| json!({"serviceDiscovery": {"dns": {"hostname": name}}});
    let egress = json!({"egressFilter": {"type": "ALLOW_ALL"}});
    let listeners = json!({"listeners": [{"portMapping": {"port": 80, "protocol": "http"}}]});
    let gateway = |port: i32| json!({"listeners": [{"portMapping": {"port": port, "protocol": "http"}}]});
    let leads = |prefix: &str| {
        let target = json!({"virtualService": {"virtualServiceName": "s"}});
        json!({"httpRoute": {"match": {"prefix": prefix}, "action": {"target": target}}})
    };
    let provider = json!({"provider": {"virtualNode": {"virtualNodeName": "a"}}});
    [
        scene(Kind::Mesh, ResourceId::mesh("it"), json!({}), egress),
        scene(Kind::VirtualNode, ResourceId::virtual_node("m", "it"), dns("a.local"), dns("b.local")),
        scene(Kind::VirtualRouter, ResourceId::virtual_router("m", "it"), json!({}), listeners),
        scene(Kind::Route, ResourceId::route("m", "r", "it"), targets(1), targets(2)),
        scene(Kind::VirtualService, ResourceId::virtual_service("m", "it"), json!({}), provider),
        scene(Kind::VirtualGateway, ResourceId::virtual_gateway("m", "it"), gateway(80), gateway(81)),
        scene(Kind::GatewayRoute, ResourceId::gateway_route("m", "g", "it"), leads("/"), leads("/api")),
    ]
}

/// What the API server shows before the operator's first report, as the definitions say.
fn unseen(kind: Kind) -> Value {
    let definition =
        fleetmesh_crds::all().into_iter().find(|definition| definition.spec.names.kind == kind.as_str());
    let schema = definition.unwrap().spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
    let default = schema.properties.unwrap()["status"].default.clone();
    json!({"metadata": {"generation": 1}, "status": default.map(|default| default.0)})
}

/// The status of a route with everything but a rollout.
pub fn ready_route() -> Status {
    let scene = scenes().into_iter().find(|scene| scene.kind == Kind::Route).unwrap();
    scene.stored(&scene.ready())
}

pub fn rows() -> Vec<Row> {
    scenes().iter().flat_map(KindScene::rows).collect()
}

impl KindScene {
    fn row(&self, state: &str, generation: i64, status: &Status) -> Row {
        Row::new(self.kind.as_str(), state, generation, status)
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![Row {
            kind: self.kind.as_str(),
            state: "created, not seen".to_owned(),
            object: unseen(self.kind),
        }];
        if self.kind != Kind::Mesh {
            let mut world = World::default();
            world.apply(
                &key(Kind::Mesh, "m"),
                &ResourceId::mesh("m"),
                spec(Kind::Mesh, json!({})),
                Management::default(),
            );
            self.apply(&mut world, &self.spec);
            rows.push(self.row("the mesh is not there yet", 1, &self.reconcile(&mut world, Fault::None)));
        }
        let ready = self.ready();
        let stored = self.stored(&ready);
        rows.push(self.row("done", 1, &stored));
        rows.push(self.row("changed, not seen", 2, &stored));
        for class in CLASSES {
            let mut world = ready.clone();
            self.apply(&mut world, &self.other);
            let status = self.reconcile(&mut world, Fault::Fails(0, class));
            rows.push(self.row(&format!("an update fails: {class:?}"), 2, &status));
        }
        rows.extend(self.among_proxies(&ready));
        rows.extend(self.of_others());
        rows.extend(self.going(&ready));
        rows
    }

    /// Everything that any kind refers to, without the object itself.
    fn world() -> World {
        let mut world = World::default();
        let others = [
            (key(Kind::Mesh, "m"), ResourceId::mesh("m")),
            (key(Kind::VirtualNode, "a"), ResourceId::virtual_node("m", "a")),
            (key(Kind::VirtualRouter, "r"), ResourceId::virtual_router("m", "r")),
            (key(Kind::VirtualService, "s"), ResourceId::virtual_service("m", "s")),
            (key(Kind::VirtualGateway, "g"), ResourceId::virtual_gateway("m", "g")),
        ];
        for (key, id) in others {
            let bare = if id.name() == "g" { json!({"listeners": []}) } else { json!({}) };
            world.apply(&key, &id, spec(id.kind(), bare), Management::default());
            world.reconcile(&key, Fault::None);
        }
        world
    }

    fn apply(&self, world: &mut World, json: &Value) {
        world.apply(&self.key, &self.id, spec(self.kind, json.clone()), Management::default());
    }

    fn reconcile(&self, world: &mut World, fault: Fault) -> Status {
        world.reconcile(&self.key, fault);
        self.stored(world)
    }

    fn stored(&self, world: &World) -> Status {
        world.objects[&self.key].status.clone()
    }

    fn ready(&self) -> World {
        let mut world = Self::world();
        self.apply(&mut world, &self.spec);
        let status = self.reconcile(&mut world, Fault::None);
        let ready = status.condition(ConditionType::Ready).unwrap();
        assert_eq!(ready.status, "True", "{}: {}", self.key, ready.message);
        world
    }

    /// The status of a reconcile that sees what the test changes in `observed`.
    fn seeing(&self, world: &World, change: impl Fn(&mut Observed)) -> Status {
        let mut observed = world.observe(&self.key, false).unwrap();
        change(&mut observed);
        let decision = decide(&observed, &settings());
        let now = Timestamp::from_second(1_000_000).unwrap();
        status(&observed, &decision, &Outcome::default(), &Parts::default(), now)
    }

    fn among_proxies(&self, ready: &World) -> Vec<Row> {
        let version = self.stored(ready).version.unwrap();
        let reported = |acknowledged: i32, rejected: Vec<Rejection>, unserved: Vec<String>| {
            let progress = ObjectStatus {
                version,
                proxies: 3,
                acknowledged,
                rejected,
                unserved,
                ..ObjectStatus::default()
            };
            Distribution::Reported(progress)
        };
        let refusal = Rejection { proxy: "p".to_owned(), message: "no".to_owned() };
        let cases = [
            ("the endpoint has reported no proxies", Distribution::Pending),
            ("every proxy has it", reported(3, vec![], vec![])),
            ("a proxy has not acknowledged", reported(2, vec![], vec![])),
            ("one of three proxies refused", reported(2, vec![refusal.clone()], vec![])),
            ("two of three proxies refused", reported(1, vec![refusal.clone(), refusal], vec![])),
            ("a member of ACM is not served", reported(3, vec![], vec!["spec.x.acm: use a file".to_owned()])),
            ("a part is not in force", reported(3, vec![], vec!["spec.x: why".to_owned()])),
        ];
        let row = |(state, distribution): (&str, Distribution)| {
            let status = self.seeing(ready, |observed| observed.distribution = distribution.clone());
            self.row(state, 1, &status)
        };
        cases.into_iter().map(row).collect()
    }

    fn of_others(&self) -> Vec<Row> {
        let mut owned = Self::world();
        owned.outside(&self.id, Some(spec(self.kind, self.spec.clone())));
        self.apply(&mut owned, &self.spec);
        let owned = self.reconcile(&mut owned, Fault::None);

        let mut claimed = Self::world();
        let older = key(self.kind, "older");
        claimed.apply(&older, &self.id, spec(self.kind, self.spec.clone()), Management::default());
        claimed.reconcile(&older, Fault::None);
        self.apply(&mut claimed, &self.spec);
        let claimed = self.reconcile(&mut claimed, Fault::None);

        let mut world = Self::world();
        self.apply(&mut world, &self.spec);
        let refused = Allowance::Refused { mesh: key(Kind::Mesh, "m"), namespace: "ns".to_owned() };
        let refused = self.seeing(&world, |observed| observed.allowance = refused.clone());
        vec![
            self.row("somebody else has the object", 1, &owned),
            self.row("an older resource has the name", 1, &claimed),
            self.row("the mesh does not allow the namespace", 1, &refused),
        ]
    }

    fn going(&self, ready: &World) -> Vec<Row> {
        let mut world = ready.clone();
        world.delete(&self.key);
        let generation = 2;
        let gone = |observed: &mut Observed| {
            let mut object = (*observed.object).clone();
            object.generation = generation;
            observed.object = Arc::new(object);
        };
        let going = self.seeing(&world, gone);
        let user = key(Kind::Route, "user");
        let blocked = self.seeing(&world, |observed| {
            gone(observed);
            observed.dependents = vec![user.clone()];
        });
        vec![
            self.row("being deleted", generation, &going).deleting(),
            self.row("its deletion is blocked", generation, &blocked).deleting(),
        ]
    }
}
