//! Which resources have a rollout to decide about, and how actions on the others are answered.

use std::sync::Arc;

use fleetmesh_core::canary::{Action, CanaryTurn, turn};
use fleetmesh_core::{
    Allowance, Distribution, Evidence, Object, ObjectKey, Observed, OwnerClaim, Remote, RemoteObject,
};
use fleetmesh_crds::{ActionPhase, CanaryStatus, Reason, Route, Verb};
use fleetmesh_model::Kind;
use fleetmesh_simulation::canary::fixtures::start;
use serde_json::{Value, json};

fn observed(canary: Value, weight: i32) -> Observed {
    let route: Route = serde_json::from_value(json!({
        "apiVersion": "fleetmesh.dev/v1alpha1", "kind": "Route",
        "metadata": { "name": "r", "namespace": "apps", "uid": "uid" },
        "spec": {
            "meshName": "apps", "virtualRouterName": "r", "canary": canary,
            "tcpRoute": { "action": { "weightedTargets": [{ "virtualNode": "v1", "weight": weight }] } },
        },
    }))
    .expect("a Route");
    Observed {
        object: Arc::new(Object::read(&route)),
        claim: OwnerClaim::Ours,
        allowance: Allowance::Allowed,
        mesh_leaves: false,
        permission: fleetmesh_core::Permission::default(),
        referents: Vec::new(),
        patience: false,
        uid: None,
        user: None,
        own: None,
        evidence: Evidence::Read,
        in_force: false,
        unanswered: Vec::new(),
        permitted_by: None,
        dependents: Vec::new(),
        former_tags: None,
        remote: Remote::Absent,
        ties: Vec::new(),
        distribution: Distribution::Pending,
        waited: None,
        owners: fleetmesh_core::canary::Owners::default(),
        deprecation: None,
        parts_gone: true,
    }
}

fn with(observed: &Observed, edit: impl FnOnce(&mut Object)) -> Observed {
    let mut object = Object::clone(&observed.object);
    edit(&mut object);
    Observed { object: Arc::new(object), ..observed.clone() }
}

/// What an action for the route comes to when nothing is decided about it.
fn refused(observed: &Observed) -> Option<(Reason, String)> {
    let action = Action {
        name: "a".to_owned(),
        uid: "uid-a".to_owned(),
        verb: Verb::Abort,
        rollout_id: "1".to_owned(),
        step_index: None,
    };
    let verdict = turn(observed, "cluster").refuses(&action, start())?;
    assert_eq!((verdict.phase, verdict.uid.as_str()), (ActionPhase::Refused, "uid-a"));
    Some((verdict.reason, verdict.message))
}

#[test]
fn a_route_under_canary_is_decided_about_and_so_is_what_is_left_of_one() {
    let canary = observed(json!({}), 100);
    assert_eq!(refused(&canary), None);
    let left = with(&observed(Value::Null, 100), |object| {
        let canary = CanaryStatus { rollouts: 1, ..object.status.canary().clone() };
        object.status = object.status.clone().with_canary(canary);
    });
    assert_ne!(*left.object.status.canary(), CanaryStatus::default());
    assert!(matches!(turn(&left, "cluster"), CanaryTurn::Decide(spec) if spec.canary.is_none()));
}

#[test]
fn an_action_on_a_route_without_a_rollout_gets_an_answer() {
    let plain = observed(Value::Null, 100);
    assert_eq!(turn(&plain, "cluster"), CanaryTurn::NoRollout);
    let (reason, message) = refused(&plain).expect("an answer");
    assert_eq!(reason, Reason::NoRollout);
    assert_eq!(message, "the Route has no canary: its targets are in force at once");
}

#[test]
fn a_rollout_that_must_be_left_alone_says_why() {
    let canary = observed(json!({}), 100);
    let older = ObjectKey { kind: Kind::Route, namespace: None, name: "older".to_owned() };
    let foreign = RemoteObject {
        identity: fleetmesh_core::RemoteIdentity {
            arn: "arn".to_owned(),
            uid: "theirs".to_owned(),
            version: 1,
        },
        spec: canary.object.effective_spec.clone(),
        tags: Some(fleetmesh_model::tag::Tags::new()),
    };
    let mesh = ObjectKey { kind: Kind::Mesh, namespace: None, name: "m".to_owned() };
    let not_allowed = Allowance::Refused { mesh, namespace: "apps".to_owned() };
    let cases = [
        (with(&canary, |object| object.deleting = true), "being deleted"),
        (Observed { claim: OwnerClaim::Taken(older), ..canary.clone() }, "Accepted"),
        (Observed { allowance: not_allowed, ..canary.clone() }, "Accepted"),
        (Observed { remote: Remote::Present(foreign), ..canary.clone() }, "Accepted"),
    ];
    for (observed, words) in cases {
        let (reason, message) = refused(&observed).expect(words);
        assert_eq!(reason, Reason::NotApplicable, "{words}");
        assert!(message.contains(words), "{message}");
    }
}
