//! The course of a rollout: its steps, what begins it, what takes its place, and what undoes it.

use fleetmesh_core::canary::{Health, ReportingEndpoint, reduce};
use fleetmesh_crds::{CanaryStatus, ConditionType, Phase};
use fleetmesh_simulation::canary::fixtures::{canary, quick, quick_with, secs, start};
use fleetmesh_simulation::canary::world::{CanaryWorld, Crash};
use serde_json::json;

#[test]
fn a_rollout_goes_from_stable_to_spec_by_itself() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    assert_eq!((world.phase(), world.weights().as_str()), (Phase::Stable, "v1=100"));
    world.apply("v2=100").until_phase(200, Phase::Promoted).run(1);
    assert_eq!(
        world.pushed(),
        ["v1=100", "v1=100 v2=0", "v2=25 v1=75", "v2=50 v1=50", "v2=100 v1=0", "v2=100"]
    );
    let at: Vec<i64> =
        world.pushes.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0).as_secs()).collect();
    // A step lasts 20 s from when every proxy has it, which the next decision, a second later, sees.
    assert_eq!(at[2..4], [21, 21]);
    assert_eq!(world.ended(), Some((Phase::Promoted, "Promoted")));
    assert!(world.nodes["v1"].deprecated && !world.nodes["v2"].deprecated);
    for reason in ["RolloutStarted", "Promoted", "Drained", "Replaced"] {
        assert_eq!(world.events_with(reason), 1, "{reason}");
    }
    assert_eq!(world.events_with("StepStarted"), 3);
    let conditions =
        [ConditionType::Progressing, ConditionType::Promoted, ConditionType::Stalled, ConditionType::Paused];
    let holds = conditions.map(|kind| world.condition(kind).0);
    assert_eq!(holds, [Some(false), Some(true), Some(false), Some(false)]);
}

#[test]
fn canary_without_members_is_25_percent_then_100_for_10_minutes_each() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(json!({}))));
    world.apply("v2=100").until_step(5, 1);
    let begun = world.now;
    world.until_step(700, 2);
    assert_eq!(world.now.duration_since(begun).as_secs() / 10, 60);
    world.until_phase(3, Phase::Baking).until_phase(700, Phase::Draining);
    assert_eq!(world.now.duration_since(begun).as_secs() / 10, 120);
    assert_eq!(world.pushed()[1..4], ["v1=100 v2=0", "v2=25 v1=75", "v2=100 v1=0"]);
    assert_eq!(world.stored.analysis[0].name, "request-success-rate");

    world.failing.insert("v1".to_owned(), 4);
    world.apply("v1=100").until_phase(100, Phase::Aborted);
    assert_eq!(world.ended(), Some((Phase::Aborted, "AnalysisFailed")), "96 percent is less than 99");
}

#[test]
fn steps_that_end_below_100_are_followed_by_100_for_10_minutes() {
    let steps = json!({ "steps": [{ "setWeight": 40, "pause": { "duration": "10s" } }] });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&steps)));
    world.apply("v2=100").until_phase(60, Phase::Baking);
    assert_eq!(world.stored.rollout.as_ref().unwrap().step, "2/2");
    world.run(590);
    assert_eq!(world.phase(), Phase::Baking);
    world.until_phase(20, Phase::Draining);
}

#[test]
fn a_new_route_is_made_as_the_spec_says() {
    let spec = CanaryWorld::new("v1=75 v2=25", Some(canary(quick()))).spec;
    let mut world = CanaryWorld::new("v1=75 v2=25", Some(canary(quick())));
    assert_eq!(world.pushed(), ["v1=75 v2=25"]);
    assert_eq!((world.phase(), world.stored.rollouts), (Phase::Stable, 0));

    // The status is written and the operator dies: the route is still new, and not a rollout.
    world.stored = CanaryStatus::default();
    world.written = CanaryStatus::default();
    world.route = None;
    world.reconcile(Crash::BeforeMesh);
    world.run(3);
    assert_eq!((world.phase(), world.stored.rollouts), (Phase::Stable, 0));

    // What the endpoint has is not known: nothing is decided, and the mesh stays as it is.
    let mut seen = world.observe();
    seen.endpoint = ReportingEndpoint::Unread;
    let nothing = reduce(&spec, &CanaryStatus::default(), &seen, start());
    assert_eq!(nothing.state, CanaryStatus::default());
    assert_eq!(spec.in_force(&nothing.state), None);
    assert!(nothing.conditions.is_empty());
}

#[test]
fn a_canary_that_comes_with_new_targets_begins_from_what_the_endpoint_has() {
    let mut world = CanaryWorld::new("v1=100", None);
    assert_eq!(world.stored, CanaryStatus::default());
    world.spec.canary = Some(canary(quick()));
    world.apply("v2=100").until_step(5, 1);
    assert_eq!(world.pushed(), ["v1=100", "v1=100 v2=0", "v2=25 v1=75"]);
}

#[test]
fn without_canary_the_spec_is_in_force_at_once() {
    let mut world = CanaryWorld::new("v1=100", None);
    world.apply("v1=75 v2=25").run(2);
    world.apply("v1=0 v2=100").run(2);
    assert_eq!(world.pushed(), ["v1=100", "v1=75 v2=25", "v1=0 v2=100"]);
    assert!(world.last.as_ref().unwrap().conditions.is_empty() && world.keeps().is_empty());
}

#[test]
fn a_canary_that_is_removed_during_a_rollout_lets_the_spec_take_force() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(20, 1);
    world.spec.canary = None;
    world.run(2);
    assert_eq!(world.pushed().last(), Some(&"v2=100"));
    assert_eq!(world.ended(), Some((Phase::Superseded, "CanaryRemoved")));
    world.spec.canary = Some(canary(quick()));
    world.run(3);
    assert_eq!((world.phase(), world.stored.rollouts), (Phase::Stable, 1), "it begins anew");
}

#[test]
fn the_same_shares_written_otherwise_are_no_rollout() {
    let mut world = CanaryWorld::new("v1=50", Some(canary(quick())));
    world.apply("v1=100 v2=0").run(2);
    world.apply("v2=0 v1=1").run(2);
    assert_eq!((world.phase(), world.stored.rollouts), (Phase::Stable, 0));
    assert_eq!(world.pushed(), ["v1=50", "v1=100 v2=0", "v2=0 v1=1"]);

    world.apply("v2=100").until_step(5, 1);
    world.apply("v2=10 v1=0").until_phase(100, Phase::Baking);
    assert_eq!((world.stored.rollouts, world.weights().as_str()), (1, "v2=10 v1=0"));
}

#[test]
fn three_targets_and_ports_go_their_ways() {
    let mut world = CanaryWorld::new("v1=60 v2=40", Some(canary(quick())));
    world.apply("v1=10 v2=30 v3=60").until_phase(200, Phase::Promoted);
    assert_eq!(
        world.pushed(),
        ["v1=60 v2=40", "v1=60 v2=40 v3=0", "v1=47 v2=38 v3=15", "v1=35 v2=35 v3=30", "v1=10 v2=30 v3=60"]
    );
    assert!(!world.nodes.values().any(|node| node.deprecated), "nobody lost the last request");

    // Another port is another target, of a node that does not retire.
    world.apply("v1=10 v2:81=30 v3=60").until_phase(200, Phase::Promoted);
    assert_eq!(world.pushed()[6], "v1=10 v2:81=8 v3=60 v2=22");
    assert_eq!(world.pushed().last(), Some(&"v1=10 v2:81=30 v3=60"));
    assert!(!world.nodes["v2"].deprecated);
}

#[test]
fn other_targets_take_the_place_of_a_rollout() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(60, 2);
    let first = world.stored.rollout.as_ref().unwrap().id.clone();
    world.apply("v3=100").run(1);
    assert_eq!(world.ended(), Some((Phase::Superseded, "TargetsChanged")));
    let rollout = world.stored.rollout.as_ref().unwrap();
    assert_ne!(rollout.id, first);
    // What v2 has in flight may end; it loses every new request at once.
    assert!(world.pushed().contains(&"v1=100 v3=0 v2=0"));
    world.until_phase(200, Phase::Promoted);
    assert_eq!(world.weights(), "v3=100");
    assert!(world.nodes["v1"].deprecated && !world.nodes["v2"].deprecated);
}

#[test]
fn a_revert_goes_back_in_one_push() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(60, 2);
    let before = world.pushes.len();
    world.apply("v1=100").run(1);
    assert_eq!(world.pushed()[before..], ["v1=100 v2=0"]);
    assert_eq!(
        (world.phase(), world.ended()),
        (Phase::RolledBack, Some((Phase::RolledBack, "TargetsReverted")))
    );
    world.run(20);
    assert_eq!(world.pushed()[before..], ["v1=100 v2=0", "v1=100"], "and drops what has drained");
    assert!(!world.nodes["v2"].deprecated && world.stored.draining.is_empty());
    assert_eq!(world.condition(ConditionType::Stalled).0, Some(false));

    // The same targets again are another rollout.
    world.apply("v2=100").until_phase(200, Phase::Promoted);
    assert_eq!(world.stored.rollouts, 2);
}

#[test]
fn a_changed_plan_goes_on_at_the_first_greater_weight() {
    let step = |weight: i32, seconds: i32| json!({ "setWeight": weight, "pause": { "duration": format!("{seconds}s") } });
    let steps = |list: &[serde_json::Value]| Some(quick_with(&json!({ "steps": list })));
    let mut world = CanaryWorld::new("v1=100", steps(&[step(25, 20), step(50, 20), step(100, 20)]));
    world.apply("v2=100").until_step(10, 1).run(5);
    let id = world.stored.rollout.as_ref().unwrap().id.clone();

    // The weight in force is still a step: its new pause counts from when it began.
    world.spec.canary = steps(&[step(10, 60), step(25, 30), step(100, 20)]);
    world.run(1);
    assert_eq!(world.stored.rollout.as_ref().unwrap().step, "2/3");
    world.run(18);
    assert_eq!(world.step(), Some(2), "30 s instead of 20 s");
    // Nor one of the greater steps, and no step any more: its time still runs.
    world.spec.canary = steps(&[step(60, 20), step(100, 20)]);
    world.run(3);
    assert_eq!((world.step(), world.stored.rollout.as_ref().unwrap().set_weight), (Some(0), 25));
    world.until_step(10, 1);
    assert_eq!(world.weights(), "v2=60 v1=40");
    world.until_phase(100, Phase::Promoted);
    assert_eq!(world.events_with("PlanChanged"), 2);
    assert_eq!((world.stored.rollouts, world.stored.history[0].id.as_str()), (1, id.as_str()));
    assert_eq!(world.pushed()[1..5], ["v1=100 v2=0", "v2=25 v1=75", "v2=60 v1=40", "v2=100 v1=0"]);
}

#[test]
fn a_pause_that_leaves_the_plan_is_over() {
    let forever = json!({ "steps": [{ "setWeight": 25, "pause": {} }, { "setWeight": 100 }] });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&forever)));
    world.apply("v2=100").until_phase(10, Phase::Paused);
    assert_eq!(world.hold(), Some("AwaitingPromotion"));
    world.run(200);
    assert_eq!((world.phase(), world.step()), (Phase::Paused, Some(1)), "neither deadline nor timeout");
    assert_eq!(world.condition(ConditionType::Paused), (Some(true), "AwaitingPromotion"));
    assert_eq!(world.condition(ConditionType::Stalled).0, Some(false));
    world.spec.canary = Some(quick_with(&json!({ "steps": [{ "setWeight": 25 }, { "setWeight": 100 }] })));
    world.until_step(10, 2);
}

#[test]
fn another_match_needs_acknowledgement_and_no_new_rollout() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(10, 1).run(5);
    for proxy in &mut world.proxies {
        proxy.delay = 40;
    }
    let (targets, version, _) = world.route.clone().unwrap();
    world.route = Some((targets, version + 1, world.now));
    world.run(35);
    assert_eq!((world.step(), world.hold()), (Some(1), Some("ProxiesPending")));
    world.until_step(20, 2);
    assert_eq!(world.stored.rollouts, 1);
}

#[test]
fn stable_and_new_targets_must_fit_into_a_route() {
    let many =
        |from: usize| (from..from + 6).map(|index| format!("n{index}=10")).collect::<Vec<_>>().join(" ");
    let mut world = CanaryWorld::new(&many(0), Some(canary(quick())));
    world.apply(&many(6)).run(5);
    assert_eq!((world.phase(), world.ended()), (Phase::Aborted, Some((Phase::Aborted, "TooManyTargets"))));
    assert_eq!(world.pushed(), [many(0)]);
    world.apply(&many(4)).until_phase(200, Phase::Promoted);
}

#[test]
fn a_step_begins_when_every_proxy_has_it() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.proxies[1].delay = 30;
    world.apply("v2=100").run(28);
    assert_eq!((world.step(), world.hold()), (Some(0), Some("ProxiesPending")));
    let dataplane = world.stored.dataplane.clone().unwrap();
    assert_eq!((dataplane.proxies, dataplane.acked, dataplane.nacked), (Some(3), Some(2), Some(0)));
    world.until_step(10, 1);
    let pushed = world.pushes.last().unwrap().0;
    world.until(50, |world| world.stored.rollout.as_ref().unwrap().step_entered_at.is_some());
    assert!(world.now.duration_since(pushed) >= secs(30));
    world.until_step(60, 2);
    assert!(world.now.duration_since(pushed) >= secs(50));
}

#[test]
fn a_refusal_holds_the_rollout_until_the_deadline() {
    for (on_failure, phase) in [("Rollback", Phase::Aborted), ("Pause", Phase::Paused)] {
        let patch = json!({ "onFailure": on_failure });
        let mut world = CanaryWorld::new("v1=100", Some(quick_with(&patch)));
        world.apply("v2=100").until_step(10, 1);
        world.proxies[0].refuses = true;
        world.run(110);
        assert_eq!((world.phase(), world.hold()), (Phase::Progressing, Some("ProxyRejected")));
        world.run(35);
        assert_eq!(world.phase(), phase);
        assert_eq!(world.condition(ConditionType::Stalled), (Some(true), "ProgressDeadlineExceeded"));
    }
}

#[test]
fn no_weight_before_a_healthy_endpoint() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.nodes.get_mut("v2").unwrap().health = Health::None;
    world.apply("v2=100").run(30);
    assert_eq!((world.step(), world.hold()), (Some(0), Some("NodeNotReady")));
    assert_eq!(world.pushed(), ["v1=100", "v1=100 v2=0"]);
    // What is unknown is no obstacle.
    world.nodes.get_mut("v2").unwrap().health = Health::Unknown;
    world.until_step(5, 1);

    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.nodes.get_mut("v2").unwrap().health = Health::None;
    world.apply("v2=100").until_phase(125, Phase::Aborted);
    assert_eq!(world.ended(), Some((Phase::Aborted, "ProgressDeadlineExceeded")));
}

#[test]
fn targets_within_the_rollback_window_skip_the_steps() {
    let window = json!({ "rollbackWindow": { "revisions": 1 } });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&window)));
    world.apply("v2=100").until_phase(200, Phase::Promoted);
    assert!(world.keeps().contains("v1"));
    let before = world.pushes.len();
    world.apply("v1=100").until_phase(60, Phase::Promoted);
    assert_eq!(world.pushed()[before..], ["v2=100 v1=0", "v1=100 v2=0", "v1=100"]);
    assert!(!world.nodes["v1"].deprecated && world.nodes["v2"].deprecated);

    // Two promotions back is too far.
    world.apply("v3=100").until_phase(200, Phase::Promoted);
    assert!(!world.keeps().contains("v2"));
    let before = world.pushes.len();
    world.apply("v2=100").until_phase(200, Phase::Promoted);
    assert!(world.pushed()[before..].contains(&"v2=25 v3=75"));

    // Nor does what is down come back without steps.
    world.nodes.get_mut("v3").unwrap().health = Health::Unknown;
    let before = world.pushes.len();
    world.apply("v3=100").until_phase(200, Phase::Promoted);
    assert!(world.pushed()[before..].contains(&"v3=25 v2=75"));
}

#[test]
fn an_endpoint_that_reports_nothing_gets_its_time() {
    let prometheus = json!({ "prometheus": { "address": "http://prometheus:9090", "query": "rate" } });
    let metrics = json!([{ "name": "rate", "source": prometheus, "thresholdRange": { "min": 1 } }]);
    let patch = json!({ "propagationDelaySeconds": 15, "analysis": { "metrics": metrics } });
    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&patch)));
    world.supported = false;
    world.metrics.insert("rate".to_owned(), fleetmesh_core::canary::AskOutcome::Value(2.0));
    world.apply("v2=100").run(14);
    assert_eq!((world.step(), world.hold()), (Some(0), Some("ProxiesPending")));
    world.until_step(5, 1).run(34);
    assert_eq!(world.step(), Some(1));
    world.until_phase(200, Phase::Promoted);
    assert_eq!(world.weights(), "v2=100");

    let mut world = CanaryWorld::new("v1=100", Some(quick_with(&json!({ "propagationDelaySeconds": 1 }))));
    world.supported = false;
    world.apply("v2=100").until_phase(60, Phase::Held);
    assert_eq!(world.hold(), Some("NoReport"));
    assert!(world.stored.rollout.unwrap().hold.unwrap().detail.contains("prometheus"));
}

#[test]
fn ids_and_hashes_stay_the_same_in_later_versions() {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").run(1);
    let rollout = world.stored.rollout.unwrap();
    assert_eq!((rollout.id.as_str(), rollout.plan_hash.as_str()), ("60c8e1b3cb48", "d68ab75d2647"));
}
