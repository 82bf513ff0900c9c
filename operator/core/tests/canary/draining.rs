//! What becomes of targets that lost their last request, and which virtual nodes are kept.

use fleetmesh_crds::{ConditionType, Phase};
use fleetmesh_simulation::canary::fixtures::{canary, quick, quick_with, secs};
use fleetmesh_simulation::canary::world::CanaryWorld;
use serde_json::json;

fn promoting(retire: &str) -> CanaryWorld {
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&json!({ "drain": { "retire": retire } }))));
    world.apply("v2=100").until_phase(100, Phase::Baking);
    world
}

#[test]
fn requests_in_flight_are_waited_for() {
    let mut world = promoting("Deprecate");
    world.in_flight.insert("v1".to_owned(), 3);
    world.until_phase(30, Phase::Draining).run(15);
    assert_eq!((world.phase(), world.weights().as_str()), (Phase::Draining, "v2=100 v1=0"));
    assert!(!world.nodes["v1"].deprecated);
    assert_eq!(world.condition(ConditionType::Progressing), (Some(true), "Draining"));
    assert_eq!(world.condition(ConditionType::Promoted).0, Some(true));
    assert!(world.keeps().contains("v1"), "deleted in the same commit, it would stay");
    world.in_flight.clear();
    world.until_phase(5, Phase::Promoted).run(1);
    assert_eq!(world.weights(), "v2=100");
    assert!(world.nodes["v1"].deprecated && !world.keeps().contains("v1"));
}

#[test]
fn requests_in_flight_are_not_waited_for_forever() {
    for reports in [true, false] {
        let mut world = promoting("Deprecate");
        world.in_flight.insert("v1".to_owned(), 3);
        world.until_phase(30, Phase::Draining);
        world.reports = reports;
        let begun = world.now;
        world.until_phase(60, Phase::Promoted);
        assert!(world.now.duration_since(begun) >= secs(29), "drain.timeoutSeconds is 30");
    }
}

#[test]
fn no_target_is_drained_before_every_proxy_knows() {
    let mut world = promoting("Deprecate");
    world.until_phase(30, Phase::Draining);
    world.proxies[0].acknowledged = 0;
    world.proxies[0].delay = 1000;
    world.stored.draining[0].settled_at = None;
    world.run(100);
    assert_eq!(world.phase(), Phase::Draining);
}

#[test]
fn instances_retire_after_the_delay() {
    let mut world = promoting("ScaleToZero");
    world.until_phase(100, Phase::Promoted).run(2);
    assert_eq!((world.nodes["v1"].deprecated, world.nodes["v1"].replicas), (true, Some(2)));
    world.run(55);
    assert_eq!(world.nodes["v1"].replicas, Some(2), "scaleDownDelaySeconds is 60");
    world.run(10);
    assert_eq!(world.nodes["v1"].replicas, Some(0));
    assert_eq!((world.events_with("Retired"), world.stored.draining.len()), (1, 0));

    let mut world = promoting("Delete");
    world.until_phase(100, Phase::Promoted).run(50);
    assert!(world.nodes.contains_key("v1"));
    world.run(20);
    assert!(!world.nodes.contains_key("v1") && world.stored.draining.is_empty());

    let mut world = promoting("Deprecate");
    world.until_phase(100, Phase::Promoted).run(100);
    assert_eq!((world.nodes["v1"].deprecated, world.nodes["v1"].replicas), (true, Some(2)));
    assert!(world.stored.draining.is_empty());
}

#[test]
fn a_node_that_something_else_uses_does_not_retire() {
    let mut world = promoting("Delete");
    world.nodes.get_mut("v1").unwrap().used_elsewhere = true;
    world.until_phase(100, Phase::Promoted).run(100);
    assert!(!world.nodes["v1"].deprecated);
    world.nodes.get_mut("v1").unwrap().used_elsewhere = false;
    world.run(5);
    assert!(!world.nodes.contains_key("v1"));
}

#[test]
fn a_node_of_another_namespace_is_left_alone() {
    for retire in ["Delete", "ScaleToZero", "Deprecate"] {
        let mut world = promoting(retire);
        world.nodes.get_mut("v1").unwrap().off_limits = true;
        let before = world.nodes["v1"];
        world.until_phase(100, Phase::Promoted).run(200);
        assert_eq!(world.nodes.get("v1"), Some(&before), "{retire}");
        assert_eq!(
            (world.events_with("RetirementNotAllowed"), world.events_with("Retired")),
            (1, 0),
            "{retire}"
        );
        assert!(world.stored.draining.is_empty() && !world.keeps().contains("v1"), "{retire}");
    }
}

#[test]
fn a_node_that_the_spec_still_names_keeps_its_instances() {
    let drain = json!({ "drain": { "retire": "Delete" } });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&drain)));
    world.apply("v1=0 v2=100").until_phase(200, Phase::Promoted).run(100);
    assert!(world.nodes["v1"].deprecated && world.stored.draining.is_empty());
    assert_eq!(world.weights(), "v1=0 v2=100");
}

#[test]
fn a_node_that_comes_back_does_not_retire() {
    let mut world = promoting("ScaleToZero");
    world.until_phase(100, Phase::Promoted).run(20);
    assert!(world.nodes["v1"].deprecated);
    world.apply("v1=50 v2=50").run(3);
    assert!(!world.nodes["v1"].deprecated && world.stored.draining.is_empty());
    world.run(200);
    assert_eq!(world.nodes["v1"].replicas, Some(2));
}

#[test]
fn what_drains_keeps_draining_through_the_next_rollout() {
    let mut world = promoting("Deprecate");
    world.in_flight.insert("v1".to_owned(), 3);
    world.until_phase(30, Phase::Draining);
    world.apply("v3=100").until_step(10, 1);
    assert_eq!(world.weights(), "v3=25 v2=75 v1=0", "a cluster that goes would cut requests off");
    world.in_flight.clear();
    world.until_step(60, 2);
    assert_eq!(world.weights(), "v3=50 v2=50");
    assert!(world.nodes["v1"].deprecated);
    world.until_phase(200, Phase::Promoted);
}

#[test]
fn the_rollback_window_keeps_nodes_until_they_retire() {
    let patch = json!({ "rollbackWindow": { "revisions": 2 }, "drain": { "retire": "ScaleToZero" } });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&patch)));
    world.apply("v2=100").until_phase(200, Phase::Promoted).run(2);
    assert_eq!(world.keeps().into_iter().collect::<Vec<_>>(), ["v1", "v2"]);
    world.run(70);
    assert_eq!(world.keeps().into_iter().collect::<Vec<_>>(), ["v2"], "it has no instances any more");
    let before = world.pushes.len();
    world.nodes.get_mut("v1").unwrap().replicas = Some(2);
    world.apply("v1=100").until_phase(200, Phase::Promoted);
    assert!(world.pushed()[before..].contains(&"v1=25 v2=75"), "cold: by the steps");
}

#[test]
fn histories_are_bounded() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    for pass in 0..14 {
        world.apply(if pass % 2 == 0 { "v2=100" } else { "v1=100" }).run(3);
    }
    assert_eq!(world.stored.history.len(), 7, "each second one is a revert");
    for pass in 0..8 {
        world.apply(if pass % 2 == 0 { "v2=100" } else { "v3=100" }).run(3);
    }
    assert_eq!(world.stored.history.len(), 10);
}
