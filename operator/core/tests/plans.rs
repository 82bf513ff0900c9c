//! Plans as text: each script is a sequence of acts and reconciles, its plans are compared with `golden/plans.txt`. After a
//! wanted change: `FLEETMESH_BLESS=1 cargo test -p fleetmesh-core --test plans`, and read the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fmt::Write as _;

use fleetmesh_core::{FailureClass, ObjectKey};
use fleetmesh_crds::{AdoptionPolicy, ConditionType, DeletionPolicy, Management};
use fleetmesh_model::{Kind, ResourceId};
use fleetmesh_simulation::cluster::{Fault, World, key, spec};
use serde_json::{Value, json};

struct PlanScript {
    world: World,
    text: String,
}

impl PlanScript {
    fn new(title: &str) -> Self {
        Self { world: World::default(), text: format!("# {title}\n") }
    }

    fn apply(&mut self, key: &ObjectKey, id: &ResourceId, json: Value) -> &mut Self {
        self.apply_with(key, id, json, Management::default())
    }

    fn apply_with(
        &mut self,
        key: &ObjectKey,
        id: &ResourceId,
        json: Value,
        management: Management,
    ) -> &mut Self {
        writeln!(self.text, "apply {key}").unwrap();
        self.world.apply(key, id, spec(id.kind(), json), management);
        self
    }

    fn delete(&mut self, key: &ObjectKey) -> &mut Self {
        writeln!(self.text, "delete {key}").unwrap();
        self.world.delete(key);
        self
    }

    fn outside(&mut self, id: &ResourceId, json: Option<Value>) -> &mut Self {
        writeln!(self.text, "outside {} {id}", if json.is_some() { "puts" } else { "deletes" }).unwrap();
        self.world.outside(id, json.map(|json| spec(id.kind(), json)));
        self
    }

    fn reconcile(&mut self, key: &ObjectKey) -> &mut Self {
        self.struck(key, Fault::None)
    }

    fn struck(&mut self, key: &ObjectKey, fault: Fault) -> &mut Self {
        let plan = self.world.reconcile(key, fault);
        let ready =
            self.world.objects.get(key).and_then(|object| object.status.condition(ConditionType::Ready));
        let ready = ready.map_or("-", |ready| ready.reason.as_str());
        let fault = if fault == Fault::None { String::new() } else { format!(" [{fault:?}]") };
        writeln!(self.text, "  {key}{fault}: {plan} => {ready}").unwrap();
        self
    }

    fn end(&mut self) -> String {
        format!("{}\n", self.text)
    }
}

fn mesh() -> (ObjectKey, ResourceId) {
    (key(Kind::Mesh, "m"), ResourceId::mesh("m"))
}

fn node(name: &str) -> (ObjectKey, ResourceId) {
    (key(Kind::VirtualNode, name), ResourceId::virtual_node("m", name))
}

fn create_change_delete() -> String {
    let ((m, m_id), (n, n_id)) = (mesh(), node("n"));
    PlanScript::new("create, change, delete")
        .apply(&n, &n_id, json!({}))
        .reconcile(&n)
        .apply(&m, &m_id, json!({}))
        .reconcile(&n)
        .reconcile(&m)
        .reconcile(&n)
        .reconcile(&n)
        .apply(&n, &n_id, json!({"serviceDiscovery": {"dns": {"hostname": "N.local"}}}))
        .reconcile(&n)
        .apply(
            &n,
            &n_id,
            json!({"serviceDiscovery": {"dns": {"hostname": "n.local", "responseType": "LOADBALANCER"}}}),
        )
        .reconcile(&n)
        .delete(&m)
        .reconcile(&m)
        .delete(&n)
        .reconcile(&n)
        .reconcile(&m)
        .end()
}

fn ownership() -> String {
    let (m, m_id) = mesh();
    let adopt = Management { adoption_policy: AdoptionPolicy::Adopt, ..Management::default() };
    let retain = Management { deletion_policy: DeletionPolicy::Retain, ..adopt.clone() };
    let rival = key(Kind::Mesh, "rival");
    PlanScript::new("somebody else's object is left alone until it is adopted; retained, it stays")
        .outside(&m_id, Some(json!({"egressFilter": {"type": "ALLOW_ALL"}})))
        .apply(&m, &m_id, json!({}))
        .reconcile(&m)
        .reconcile(&m)
        .apply_with(&m, &m_id, json!({}), adopt)
        .reconcile(&m)
        .reconcile(&m)
        .apply(&rival, &m_id, json!({}))
        .reconcile(&rival)
        .apply_with(&m, &m_id, json!({}), retain)
        .reconcile(&m)
        .delete(&m)
        .reconcile(&m)
        .reconcile(&rival)
        .end()
}

fn drift() -> String {
    let (m, m_id) = mesh();
    PlanScript::new("what was changed or deleted outside comes back")
        .apply(&m, &m_id, json!({}))
        .reconcile(&m)
        .outside(&m_id, Some(json!({"egressFilter": {"type": "ALLOW_ALL"}})))
        .reconcile(&m)
        .outside(&m_id, None)
        .reconcile(&m)
        .reconcile(&m)
        .end()
}

fn crashes() -> String {
    let (m, m_id) = mesh();
    PlanScript::new("crashes, lost replies and failures")
        .apply(&m, &m_id, json!({}))
        .struck(&m, Fault::CrashBefore(0))
        .struck(&m, Fault::CrashBefore(1))
        .struck(&m, Fault::ReplyLost(0))
        .struck(&m, Fault::CrashBefore(1))
        .reconcile(&m)
        .apply(&m, &m_id, json!({"egressFilter": {"type": "ALLOW_ALL"}}))
        .struck(&m, Fault::Fails(0, FailureClass::Throttled))
        .struck(&m, Fault::ReplyLost(0))
        .reconcile(&m)
        .delete(&m)
        .struck(&m, Fault::CrashBefore(1))
        .reconcile(&m)
        .end()
}

fn references() -> String {
    let ((m, m_id), (a, a_id)) = (mesh(), node("a"));
    let (r, r_id) = (key(Kind::VirtualRouter, "r"), ResourceId::virtual_router("m", "r"));
    let (x, x_id) = (key(Kind::Route, "x"), ResourceId::route("m", "r", "x"));
    let to = |targets: &[&str]| {
        let targets: Vec<Value> =
            targets.iter().map(|name| json!({"virtualNode": name, "weight": 1})).collect();
        json!({"tcpRoute": {"action": {"weightedTargets": targets}}})
    };
    PlanScript::new("references bind late; a wrong one keeps the last good state")
        .apply(&m, &m_id, json!({}))
        .apply(&r, &r_id, json!({}))
        .apply(&x, &x_id, to(&["a"]))
        .reconcile(&m)
        .reconcile(&r)
        .reconcile(&x)
        .apply(&a, &a_id, json!({}))
        .reconcile(&x)
        .reconcile(&a)
        .reconcile(&x)
        .apply(&x, &x_id, to(&["a", "nobody"]))
        .reconcile(&x)
        .apply(
            &x,
            &x_id,
            json!({"tcpRoute": {"action": {"weightedTargets": [{"virtualNode": "a", "weight": 0}]}}}),
        )
        .reconcile(&x)
        .delete(&a)
        .reconcile(&a)
        .delete(&x)
        .reconcile(&x)
        .reconcile(&a)
        .end()
}

#[test]
fn plans_are_as_written_down() {
    let found: String = [create_change_delete(), ownership(), drift(), crashes(), references()].concat();
    let path = "tests/golden/plans.txt";
    if std::env::var_os("FLEETMESH_BLESS").is_some() {
        std::fs::create_dir_all("tests/golden").unwrap();
        std::fs::write(path, &found).unwrap();
    }
    let golden = std::fs::read_to_string(path).expect("the golden file");
    assert!(found == golden, "plans differ from {path}:\n{found}");
}
