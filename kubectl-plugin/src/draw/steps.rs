//! The steps: completed ones, the one in force and what it waits for, and the remaining ones.

use fleetmesh_core::canary::plan::{Lasts, lasts};
use fleetmesh_core::canary::targets::in_short;
use fleetmesh_core::canary::time::in_words;
use fleetmesh_core::canary::weights;
use fleetmesh_crds::Phase;
use fleetmesh_crds::canary::{RolloutStatus, Step};

use super::paint::{Tone, of_phase};
use super::table::table;
use super::words::{between, clock};
use super::{Scene, destination};
use crate::action::word;

pub fn lines(scene: &Scene<'_>) -> Vec<String> {
    let Some(canary) = scene.canary() else { return Vec::new() };
    let steps = canary.effective_steps();
    let mut rows = Vec::with_capacity(steps.len() + 1);
    let rollout = scene.rollout().filter(|_| !scene.is_aborted());
    if let Some(rollout) = rollout.filter(|rollout| rollout.step_index == 0) {
        let shares = in_short(&scene.state().effective_targets);
        let cells = ["0", "0%", &shares, "until every proxy knows the new targets"].map(ToOwned::to_owned);
        rows.push(row(scene, of_phase(scene.phase()), cells, in_force(scene, rollout, None)));
    }
    for (index, step) in (1..).zip(&steps) {
        let (tone, note) = match scene.rollout() {
            Some(rollout) if rollout.step_index == index && scene.is_aborted() => {
                (Tone::Bad, "given up".to_owned())
            }
            Some(rollout) if rollout.step_index == index => {
                (going(scene.phase()), in_force(scene, rollout, Some(step)))
            }
            Some(rollout) if rollout.step_index > index => (Tone::Good, String::new()),
            _ => (Tone::Faint, String::new()),
        };
        let cells = [index.to_string(), format!("{}%", step.set_weight), shares(scene, step), length(step)];
        rows.push(row(scene, tone, cells, note));
    }
    let title = if scene.rollout().is_some() { "Steps" } else { "Steps of the next rollout" };
    let mut lines = vec![scene.paint.paint(Tone::Title, title)];
    lines.extend(table(&rows, &[1, 2]));
    lines
}

/// The step in force keeps its mark when it waits.
fn going(phase: Phase) -> Tone {
    match of_phase(phase) {
        Tone::Waiting => Tone::Waiting,
        _ => Tone::Going,
    }
}

fn row(scene: &Scene<'_>, tone: Tone, cells: [String; 4], note: String) -> Vec<String> {
    let mut row = vec![scene.paint.mark(tone)];
    row.extend(
        cells.map(|cell| if tone == Tone::Faint { scene.paint.paint(Tone::Faint, cell) } else { cell }),
    );
    row.push(note);
    row
}

/// The weights of a step, as far as they are known: a rollout says from where it goes.
fn shares(scene: &Scene<'_>, step: &Step) -> String {
    let Some(rollout) = scene.rollout() else { return String::new() };
    debug_assert!(!destination(scene.route).is_empty());
    let percent = u32::try_from(step.set_weight).unwrap_or(0);
    in_short(&weights::between(&scene.state().stable_targets, &rollout.targets, percent))
}

/// How long a step lasts at least.
fn length(step: &Step) -> String {
    let time = match lasts(step) {
        Lasts::For(time) if time.is_zero() => None,
        Lasts::For(time) => Some(in_words(time)),
        Lasts::UntilPromoted => Some("until promoted".to_owned()),
    };
    let requests =
        step.min_requests.filter(|requests| *requests > 0).map(|requests| format!("{requests} requests"));
    match (time, requests) {
        (Some(time), Some(requests)) => format!("{time}, {requests}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "as soon as the analysis agrees".to_owned(),
    }
}

/// What the step in force has had, and what it waits for by its plan.
fn in_force(scene: &Scene<'_>, rollout: &RolloutStatus, step: Option<&Step>) -> String {
    let mut notes = Vec::new();
    match &rollout.step_entered_at {
        Some(entered) => notes.push(format!("in force for {}", between(entered.0, scene.now))),
        None => notes.push("waits until every proxy has the weights".to_owned()),
    }
    if let Some(next) = &rollout.next_step_not_before {
        notes.push(if next.0 > scene.now {
            format!("next in {} at {}", between(scene.now, next.0), clock(next.0, scene.now))
        } else {
            format!("next was due {}", clock(next.0, scene.now))
        });
    }
    if let Some(wanted) = step.and_then(|step| step.min_requests).filter(|wanted| *wanted > 0) {
        notes.push(format!("{} of {wanted} requests", rollout.step_requests));
    } else if rollout.step_requests > 0 {
        notes.push(format!("{} requests", rollout.step_requests));
    }
    if let Some(verb) = rollout.told {
        notes.push(format!("{} requested", word(verb)));
    }
    notes.join(", ")
}
