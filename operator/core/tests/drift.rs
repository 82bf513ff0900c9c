//! What counts as a change from outside: an audit signal must never be false.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "a test fails by panicking")]

use std::sync::Arc;

use fleetmesh_api::tags::{HTTP_TAGS, PROXY_DNS_TAG};
use fleetmesh_core::{Drift, FailureClass, ObjectKey, Observed, Plan, Step, decide, owner};
use fleetmesh_crds::extension::{Extension, NodeExtension};
use fleetmesh_crds::fleet::{Fleet, Proxy};
use fleetmesh_crds::{Http, Management};
use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Kind, ResourceId, Spec};
use fleetmesh_simulation::cluster::{Fault, World, key as of, settings, spec};
use serde_json::json;

fn node(hostname: &str) -> Spec {
    spec(Kind::VirtualNode, json!({"serviceDiscovery": {"dns": {"hostname": hostname}}}))
}

struct DriftScript {
    world: World,
    key: ObjectKey,
    id: ResourceId,
}

impl DriftScript {
    /// The node with the first spec in force.
    fn new() -> Self {
        let (key, id) = (of(Kind::VirtualNode, "n"), ResourceId::virtual_node("m", "n"));
        let mut world = World::default();
        world.apply(
            &of(Kind::Mesh, "m"),
            &ResourceId::mesh("m"),
            spec(Kind::Mesh, json!({})),
            Management::default(),
        );
        let mut script = Self { world, key, id };
        script.wants("first.local");
        script.world.settle();
        script
    }

    fn wants(&mut self, hostname: &str) {
        self.world.apply(&self.key, &self.id, node(hostname), Management::default());
    }

    fn observed(&self) -> Observed {
        self.world.observe(&self.key, false).unwrap()
    }

    fn drift(&self) -> Option<Drift> {
        decide(&self.observed(), &settings()).drift
    }
}

#[test]
fn a_write_of_our_own_that_is_tried_again_is_no_drift() {
    for class in
        [FailureClass::Server, FailureClass::Unreachable, FailureClass::Invalid, FailureClass::Conflict]
    {
        let mut script = DriftScript::new();
        script.wants("second.local");
        assert_eq!(script.drift(), None, "a change of the spec");
        script.world.reconcile(&script.key, Fault::Fails(0, class));
        assert!(script.world.objects[&script.key].reported(), "the failure is reported");
        let decision = decide(&script.observed(), &settings());
        assert!(matches!(decision.plan, Plan::Steps(_)), "{decision:?}");
        assert_eq!(decision.drift, None, "{class:?}");
        script.world.settle();
        script.world.outside(&script.id, Some(node("evil.local")));
        assert!(matches!(script.drift(), Some(Drift::Changed { .. })), "{class:?}");
    }
}

#[test]
fn a_write_of_our_own_that_comes_late_is_no_drift() {
    let mut script = DriftScript::new();
    script.wants("second.local");
    script.world.settle();
    let late = node("first.local");
    script.world.outside(&script.id, Some(late.clone()));
    let mut observed = script.observed();
    assert!(matches!(decide(&observed, &settings()).drift, Some(Drift::Changed { .. })));
    observed.unanswered = vec![node("other.local"), late];
    let decision = decide(&observed, &settings());
    assert!(matches!(decision.plan, Plan::Steps(_)), "it is put back: {decision:?}");
    assert_eq!(decision.drift, None);
}

#[test]
fn a_fleet_says_by_a_tag_whether_names_resolve_on_its_machines() {
    let mut script = DriftScript::new();
    let tag = Tags::from([(PROXY_DNS_TAG.to_owned(), "true".to_owned())]);
    let with = |script: &DriftScript, dns| {
        let mut observed = script.observed();
        let fleet = Some(Fleet { proxy: Some(Proxy { dns, ..Proxy::default() }), ..Fleet::default() });
        Arc::make_mut(&mut observed.object).extension =
            Extension::Node(Box::new(NodeExtension { fleet, ..NodeExtension::default() }));
        observed
    };
    let steps = |observed: &Observed| match decide(observed, &settings()).plan {
        Plan::Steps(steps) => steps,
        _ => Vec::new(),
    };
    let remote =
        |script: &mut DriftScript| script.world.remote.get_mut(&script.id).unwrap().tags.extend(tag.clone());
    let on = with(&script, true);
    assert!(matches!(&steps(&on)[..], [Step::TagResource { tags, .. }] if *tags == tag), "{:?}", steps(&on));
    assert_eq!(decide(&on, &settings()).drift, None, "the spec may have changed");
    let mut taken = with(&script, true);
    taken.former_tags = Some(owner::asked_tags(&taken.object));
    assert!(matches!(decide(&taken, &settings()).drift, Some(Drift::Changed { .. })), "somebody took it");

    remote(&mut script);
    assert_eq!(steps(&with(&script, true)), []);
    assert_eq!(steps(&script.observed()), [], "without a fleet it is for others to say");
    let off = with(&script, false);
    let keys = [PROXY_DNS_TAG.to_owned()];
    assert!(matches!(&steps(&off)[..], [Step::UntagResource { keys: gone, .. }] if *gone == keys));
    assert_eq!(decide(&off, &settings()).drift, None);
}

#[test]
fn how_proxies_take_http_is_in_tags_and_goes_with_its_member() {
    let mut script = DriftScript::new();
    let wants = |script: &mut DriftScript, http| {
        let object = script.world.objects.get_mut(&script.key).unwrap();
        object.extension = Extension::Node(Box::new(NodeExtension { http, ..NodeExtension::default() }));
        object.generation += 1;
        assert_eq!(script.drift(), None, "a change of the spec");
        script.world.settle();
        let tags = &script.world.remote[&script.id].tags;
        HTTP_TAGS.map(|tag| tags.get(tag).cloned())
    };
    let http =
        Http { max_headers: Some(200), max_request_headers_kib: Some(128), preserve_header_case: Some(true) };
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(wants(&mut script, Some(http)), [said("128"), said("200"), said("true")]);
    let less = Http { max_headers: None, ..http };
    assert_eq!(wants(&mut script, Some(less)), [said("128"), None, said("true")]);
    assert_eq!(wants(&mut script, None), [None, None, None]);
}
