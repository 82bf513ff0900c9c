//! The past: targets that lost their last request, and how former rollouts ended.

use fleetmesh_core::canary::targets::name;
use fleetmesh_core::canary::time::after;
use fleetmesh_crds::canary::{DrainStatus, HistoryEntry, Retire};
use fleetmesh_model::route::WeightedTarget;

use super::Scene;
use super::paint::{Tone, of_phase};
use super::table::{INDENT, table};
use super::words::{ago, between, full};

pub fn draining(scene: &Scene<'_>) -> Vec<String> {
    let draining = &scene.state().draining;
    if draining.is_empty() {
        return Vec::new();
    }
    let row = |drain: &DrainStatus| {
        let target = WeightedTarget { port: drain.port, virtual_node: drain.virtual_node.clone(), weight: 0 };
        let tone = if drain.drained_at.is_some() { Tone::Good } else { Tone::Going };
        vec![scene.paint.mark(tone), name(&target), state(scene, drain)]
    };
    let mut lines = vec![scene.paint.paint(Tone::Title, "Draining")];
    lines.extend(table(&draining.iter().map(row).collect::<Vec<_>>(), &[]));
    lines
}

fn state(scene: &Scene<'_>, drain: &DrainStatus) -> String {
    let at = |time| ago(time, scene.now);
    let Some(drained) = &drain.drained_at else {
        return match &drain.settled_at {
            Some(settled) => {
                let length = between(settled.0, scene.now);
                format!("waits for its last requests, with weight 0 everywhere for {length}")
            }
            None => format!("got weight 0 {}; not every proxy has it yet", at(drain.since.0)),
        };
    };
    let mut words = format!("drained {}", at(drained.0));
    if let Some(deprecated) = &drain.deprecated_at {
        words.push_str(&format!(", deprecated {}", at(deprecated.0)));
    }
    if let Some(retired) = &drain.retired_at {
        words.push_str(&format!(", retired {}", at(retired.0)));
    } else if let Some(plan) = scene.canary().map(|canary| canary.effective_drain()).filter(|_| drain.retires)
    {
        let due = after(drained.0, plan.scale_down_delay());
        let left = between(scene.now, due);
        match plan.retire() {
            Retire::Deprecate => {}
            Retire::ScaleToZero => words.push_str(&format!(", scaled to zero in {left}")),
            Retire::Delete => words.push_str(&format!(", deleted in {left}")),
        }
    }
    words
}

pub fn lines(scene: &Scene<'_>, count: usize) -> Vec<String> {
    let history = &scene.state().history;
    if history.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![scene.paint.paint(Tone::Title, "History")];
    for entry in history.iter().take(count) {
        lines.extend(former(scene, entry));
    }
    if history.len() > count {
        let more = format!("and {} more: --history", history.len() - count);
        lines.push(format!("{INDENT}{}", scene.paint.paint(Tone::Faint, more)));
    }
    lines
}

fn former(scene: &Scene<'_>, entry: &HistoryEntry) -> [String; 2] {
    let outcome = scene.paint.paint(of_phase(entry.outcome), format!("{:?}", entry.outcome));
    let took = between(entry.started_at.0, entry.ended_at.0);
    let change = Scene::change(&entry.from, &entry.targets);
    let why = format!("in step {}: {}: {}", entry.step_index, entry.reason, entry.message);
    [
        format!("{INDENT}{outcome} {} after {took}: {change}", full(entry.ended_at.0)),
        format!("{INDENT}{INDENT}{}", scene.paint.paint(Tone::Faint, why)),
    ]
}
