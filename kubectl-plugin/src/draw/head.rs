//! The first lines: the phase, what holds the rollout, and the way out.

use fleetmesh_core::canary::targets::in_short;
use fleetmesh_crds::canary::Hold;
use fleetmesh_crds::{ConditionType, Phase, Reason};
use kube::ResourceExt as _;

use super::paint::{Tone, of_phase};
use super::table::INDENT;
use super::words::{ago, between};
use super::{Scene, destination};

pub fn lines(scene: &Scene<'_>) -> Vec<String> {
    let paint = scene.paint;
    let name = format!("{}/{}", scene.route.namespace().unwrap_or_default(), scene.route.name_any());
    let title = paint.paint(Tone::Title, format!("Route {name}"));
    if scene.canary().is_none() {
        let targets = in_short(destination(scene.route));
        let mut lines = vec![
            format!("{title}: no canary"),
            format!("{INDENT}a change of its targets is in force at once; now {targets}"),
        ];
        lines.extend(behind(scene));
        lines.extend(not_ready(scene));
        return lines;
    }
    let phase = match scene.state().phase {
        Some(phase) => paint.paint(of_phase(phase), format!("{phase:?}")),
        None => paint.paint(Tone::Waiting, "the operator has not looked at it yet"),
    };
    let mut lines = vec![format!("{title}: {phase}")];
    if let Some(rollout) = scene.rollout() {
        let change = Scene::change(&scene.state().stable_targets, &rollout.targets);
        let began = ago(rollout.started_at.0, scene.now);
        let skips = if rollout.skips_steps { ", without steps: the targets are still warm" } else { "" };
        lines.push(format!("{INDENT}rollout {}: {change}, began {began}{skips}", rollout.id));
    }
    lines.extend(behind(scene));
    lines.extend(not_ready(scene));
    lines.extend(held(scene));
    lines.extend(way_out(scene));
    lines
}

/// The spec is newer than what the status is about.
fn behind(scene: &Scene<'_>) -> Option<String> {
    let wanted = scene.route.metadata.generation.unwrap_or_default();
    let seen = scene.status.observed_generation.unwrap_or_default();
    (seen < wanted).then(|| {
        let text = format!(
            "the operator has not looked at generation {wanted} of the spec yet; this is about {seen}"
        );
        format!("{INDENT}{}", scene.paint.paint(Tone::Waiting, text))
    })
}

/// Why the Route is not ready, if that is known.
fn not_ready(scene: &Scene<'_>) -> Option<String> {
    let ready = scene.status.condition(ConditionType::Ready).filter(|ready| ready.status != "True")?;
    let title = scene.paint.paint(Tone::Waiting, format!("not ready: {}", ready.reason));
    Some(format!("{INDENT}{title}: {}", ready.message))
}

/// What keeps the rollout where it is. The conditions say it best when a person has to act.
fn held(scene: &Scene<'_>) -> Option<String> {
    let hold = scene.rollout().and_then(|rollout| rollout.hold.as_ref());
    let stalled = scene.status.condition(ConditionType::Stalled).filter(|stalled| stalled.status == "True");
    let (reason, detail) = match (stalled, hold) {
        (Some(stalled), _) => (stalled.reason.clone(), stalled.message.clone()),
        (None, Some(hold)) => (hold.reason.to_string(), hold.detail.clone()),
        (None, None) => return None,
    };
    let since = hold.map(|hold| format!(" for {}", between(hold.since.0, scene.now))).unwrap_or_default();
    let reason = scene.paint.paint(of_phase(scene.phase()), reason);
    Some(format!("{INDENT}{reason}{since}: {detail}"))
}

/// The verbs that help, if the rollout does not go on by itself.
fn way_out(scene: &Scene<'_>) -> Option<String> {
    let reason = scene.rollout().and_then(|rollout| rollout.hold.as_ref()).map(|Hold { reason, .. }| *reason);
    let verbs = match (scene.phase(), reason) {
        (Phase::Aborted, _) => "retry",
        (Phase::Paused, Some(Reason::AwaitingPromotion)) => "promote, abort",
        (Phase::Paused, Some(Reason::PausedByUser)) => "resume, abort",
        (Phase::Paused, _) => "resume, skip-step, abort",
        (Phase::Held, _) => "skip-step, abort",
        _ => return None,
    };
    Some(format!("{INDENT}{} {verbs}", scene.paint.paint(Tone::Faint, "you can:")))
}
