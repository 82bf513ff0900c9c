//! The table of transitions is what `docs/canary.md` draws, and what random walks go through.

use std::collections::BTreeSet;

use fleetmesh_core::canary::{transition, transitions};
use fleetmesh_crds::{Phase, Verb};
use fleetmesh_simulation::canary::fixtures::{canary, quick};
use fleetmesh_simulation::canary::world::CanaryWorld;

/// `FROM TRIGGER TO`, as the diagram names them.
fn edge(from: Option<Phase>, trigger: impl std::fmt::Debug, to: impl std::fmt::Debug) -> String {
    let from = from.map_or("[*]".to_owned(), |from| format!("{from:?}"));
    format!("{from} {trigger:?} {to:?}")
}

fn page() -> String {
    std::fs::read_to_string("../../docs/canary.md").unwrap()
}

/// The edges of the page's state diagram: lines `FROM --> TO: TRIGGER, TRIGGER`.
fn drawn(page: &str) -> BTreeSet<String> {
    let diagram = page.split("stateDiagram-v2\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut edges = BTreeSet::new();
    for line in diagram.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (from, rest) = line.split_once(" --> ").unwrap_or_else(|| panic!("no edge: {line}"));
        let (to, triggers) = rest.split_once(": ").unwrap_or_else(|| panic!("no trigger: {line}"));
        for trigger in triggers.split(", ") {
            assert!(edges.insert(format!("{from} {trigger} {to}")), "drawn twice: {line}");
        }
    }
    edges
}

#[test]
fn the_diagram_is_the_table_of_transitions() {
    let table: BTreeSet<String> =
        transitions().map(|(from, trigger, to, _)| edge(from, trigger, to)).collect();
    let drawn = drawn(&page());
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    assert_eq!(
        (only(&drawn, &table), only(&table, &drawn)),
        (vec![], vec![]),
        "only drawn, only in the table"
    );
}

#[test]
fn the_page_says_what_each_trigger_is_and_which_reason_it_reports() {
    let page = page();
    for (_, trigger, _, reason) in transitions() {
        let begin = format!("| `{trigger:?}` |");
        let row = page.lines().find(|line| line.starts_with(&begin));
        let row = row.unwrap_or_else(|| panic!("docs/canary.md has no row {begin}"));
        assert!(row.ends_with(&format!("| `{reason}` |")), "{row}: the reason is {reason}");
    }
}

#[test]
fn a_trigger_leads_to_one_phase_or_nowhere() {
    let all: Vec<_> = transitions().collect();
    let states: BTreeSet<Option<String>> =
        all.iter().map(|(from, ..)| from.map(|from| format!("{from:?}"))).collect();
    assert_eq!(states.len(), 10, "every phase but Superseded, and none: {states:?}");
    for (_, trigger, ..) in &all {
        for from in all.iter().map(|(from, ..)| *from).chain([Some(Phase::Superseded)]) {
            let rows: Vec<_> = all.iter().filter(|row| (row.0, row.1) == (from, *trigger)).collect();
            let expected = rows.first().map(|(_, _, to, reason)| (*to, *reason));
            assert!(rows.len() <= 1 && transition(from, *trigger) == expected, "{from:?} {trigger:?}");
        }
    }
}

/// Also from those that the table knows no way on from, with a rollout in the state.
#[test]
fn no_phase_that_somebody_wrote_by_hand_is_a_dead_end() {
    let promoted = |world: &CanaryWorld| world.ended() == Some((Phase::Promoted, "Promoted"));
    let phases: BTreeSet<Option<Phase>> =
        transitions().flat_map(|(from, _, to, _)| [from, Some(to)]).collect();
    let phases = phases.into_iter().filter(|phase| *phase != Some(Phase::Aborted));
    for phase in phases.chain([Some(Phase::Superseded)]) {
        for percent in [0, 25, 100] {
            let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
            world.apply("v2=100").until(200, |world| {
                world.stored.rollout.as_ref().is_some_and(|rollout| rollout.set_weight == percent)
            });
            world.stored.phase = phase;
            if phase == Some(Phase::Paused) {
                // This one waits for a person, if it has a reason to.
                world.send(Verb::Resume);
            }
            world.until(200, promoted);
        }
        let mut world = CanaryWorld::new("v1=100", Some(canary(quick())));
        world.run(5).stored.phase = phase;
        world.apply("v2=100").until(200, promoted);
    }
}

/// The transitions that are not in `seen`, which no walk went through.
pub fn unseen(seen: &BTreeSet<String>) -> Vec<String> {
    transitions()
        .map(|(from, trigger, to, _)| edge(from, trigger, to))
        .filter(|edge| !seen.contains(edge))
        .collect()
}

/// The transitions that a decision went through, which lead from the phase before to the phase after.
pub fn walked(
    before: Option<Phase>,
    after: Option<Phase>,
    triggers: &[fleetmesh_core::canary::CanaryTrigger],
) -> Vec<String> {
    let mut phase = before;
    let mut edges = Vec::new();
    for trigger in triggers {
        let (to, _) = transition(phase, *trigger).unwrap_or_else(|| panic!("{phase:?} {trigger:?}"));
        edges.push(edge(phase, trigger, to));
        phase = Some(to);
    }
    assert_eq!(phase, after, "the phase came from elsewhere than {triggers:?}");
    edges
}
