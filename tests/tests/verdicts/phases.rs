//! A route in each phase of a rollout. Everything else of it is well.

use std::collections::BTreeSet;

use fleetmesh_crds::{Phase, Status, Verb};
use fleetmesh_simulation::canary::fixtures::{canary, quick, quick_with};
use fleetmesh_simulation::canary::world::CanaryWorld;
use jiff::Timestamp;
use serde_json::json;

use crate::table::Row;

fn rolling() -> CanaryWorld {
    let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
    world.apply("v2=100").until_step(10, 1).run(2);
    world
}

fn changed(change: impl Fn(&mut CanaryWorld)) -> CanaryWorld {
    let mut world = rolling();
    change(&mut world);
    world
}

/// Worlds whose route is where their names say.
fn worlds() -> Vec<(&'static str, CanaryWorld)> {
    let by_hand = json!({"steps": [{"setWeight": 25, "pause": {}}, {"setWeight": 100, "pause": {}}]});
    let silent = |world: &mut CanaryWorld| world.rate = 0;
    vec![
        ("nothing was rolled out", CanaryWorld::new("v1=100", Some(canary(quick())))),
        ("a step is under way", rolling()),
        (
            "no traffic",
            changed(|world| {
                silent(world);
                world.until_phase(20, Phase::Held);
            }),
        ),
        (
            "a hold timed out",
            changed(|world| {
                silent(world);
                world.until_phase(200, Phase::Paused);
            }),
        ),
        (
            "somebody paused",
            changed(|world| {
                world.applied(Verb::Pause).run(2);
            }),
        ),
        ("a step waits for a promotion", {
            let mut world = CanaryWorld::new("v1=100", Some(quick_with(&by_hand)));
            world.apply("v2=100").until_phase(20, Phase::Paused);
            world
        }),
        (
            "the last step bakes",
            changed(|world| {
                world.until_phase(120, Phase::Baking);
            }),
        ),
        (
            "the old targets drain",
            changed(|world| {
                world.in_flight.insert("v1".to_owned(), 1);
                world.until_phase(200, Phase::Draining);
            }),
        ),
        (
            "promoted",
            changed(|world| {
                world.until_phase(300, Phase::Promoted);
            }),
        ),
        (
            "the analysis failed",
            changed(|world| {
                world.failing.insert("v2".to_owned(), 100);
                world.until_phase(60, Phase::Aborted);
            }),
        ),
        (
            "somebody aborted",
            changed(|world| {
                world.applied(Verb::Abort).run(2);
            }),
        ),
        (
            "the spec went back",
            changed(|world| {
                world.apply("v1=100").until_phase(20, Phase::RolledBack);
            }),
        ),
        (
            "the spec went elsewhere",
            changed(|world| {
                world.apply("v3=100").run(1);
            }),
        ),
    ]
}

pub fn rows() -> Vec<Row> {
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for (name, world) in worlds() {
        let phase = world.phase();
        seen.insert(phase);
        let mut status = crate::kinds::ready_route();
        let (before, now) = (Status::default(), Timestamp::from_second(1_000_000).unwrap());
        let conditions = &world.last.as_ref().unwrap().conditions;
        status
            .conditions
            .extend(conditions.iter().map(|(kind, finding)| finding.condition(*kind, &before, 1, now)));
        rows.push(Row::new("Route", &format!("{phase:?}: {name}"), 1, &status));
    }
    // Superseded is how an earlier rollout ended, for the history; the route itself is in the phase of the next.
    let every = [
        Phase::Stable,
        Phase::Progressing,
        Phase::Held,
        Phase::Paused,
        Phase::Baking,
        Phase::Draining,
        Phase::Promoted,
        Phase::Aborted,
        Phase::RolledBack,
    ];
    assert_eq!(seen, every.into_iter().collect(), "every phase has a row");
    rows
}
