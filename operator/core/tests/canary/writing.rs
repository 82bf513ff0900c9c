//! What a rollout costs in writes, and what its status may be silent about for how long.

use std::time::Duration;

use fleetmesh_core::canary::{UNWRITTEN, has_news};
use fleetmesh_crds::Phase;
use fleetmesh_crds::canary::Verdict;
use fleetmesh_simulation::canary::fixtures::quick_with;
use fleetmesh_simulation::canary::world::CanaryWorld;
use jiff::SignedDuration;
use serde_json::json;

const MINUTES: usize = 20;

/// One step of 20 minutes, judged every 5 s.
fn long() -> CanaryWorld {
    let pause = json!({ "duration": format!("{MINUTES}m") });
    let steps = json!([{ "setWeight": 25, "pause": pause }, { "setWeight": 100, "pause": pause }]);
    let canary = quick_with(&json!({ "steps": steps, "progressDeadlineSeconds": 7200 }));
    let mut world = CanaryWorld::new("v1=100", Some(canary));
    world.apply("v2=100").until_step(10, 1);
    world
}

#[test]
fn a_step_that_passes_again_and_again_is_written_once_a_minute() {
    let mut world = long();
    let (before, begun) = (world.writes, world.now);
    let unwritten = SignedDuration::try_from(UNWRITTEN + Duration::from_secs(5)).unwrap();
    while world.step() == Some(1) {
        world.run(1);
        let (written, known) = (&world.written.analysis, &world.stored.analysis);
        for (written, known) in written.iter().zip(known) {
            assert!(known.at.0.duration_since(written.at.0) <= unwritten, "{written:?} {known:?}");
        }
    }
    let took = world.now.duration_since(begun).as_secs();
    assert!(took >= i64::try_from(MINUTES * 60).unwrap() - 5, "{took}");
    let writes = world.writes - before;
    // The clock starts, the first window, one a minute, and the next step.
    assert!((MINUTES..MINUTES + 6).contains(&writes), "{writes} writes in {MINUTES} minutes");
    assert_eq!(world.written.rollout.as_ref().unwrap().step_index, 2, "a step is written before it is taken");
}

#[test]
fn news_is_written_in_the_reconcile_that_brings_it() {
    let mut world = long();
    world.run(30);
    assert_ne!(world.written, world.stored, "nothing but windows that passed");
    world.failing.insert("v2".to_owned(), 10);
    world.until(10, |world| world.stored.analysis[0].verdict == Verdict::Fail);
    assert_eq!(world.written, world.stored);
    world.until_phase(10, Phase::Aborted);
    assert_eq!(world.written, world.stored);
}

#[test]
fn whatever_is_no_window_that_passed_again_is_news() {
    let mut world = long();
    world.run(30);
    assert!(!has_news(&world.written, &world.written));
    assert!(!has_news(&world.written, &world.stored));
    let mut held = world.written.clone();
    held.phase = Some(Phase::Held);
    assert!(has_news(&world.written, &held));
    let mut failed = world.written.clone();
    failed.analysis[0].failed = 1;
    assert!(has_news(&world.written, &failed));
    let mut unnamed = world.stored.clone();
    unnamed.analysis[0].name = "another".to_owned();
    assert!(has_news(&world.written, &unnamed));
}
