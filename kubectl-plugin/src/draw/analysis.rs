//! The metrics that the rollout is judged by, and the webhooks that were asked.

use fleetmesh_core::canary::time::in_words as length;
use fleetmesh_core::canary::verdict::in_words;
use fleetmesh_crds::canary::{Metric, MetricStatus, WebhookStatus};

use super::Scene;
use super::paint::{Tone, of_answer, of_verdict};
use super::table::table;
use super::words::ago;

pub fn lines(scene: &Scene<'_>) -> Vec<String> {
    let Some(canary) = scene.canary().filter(|_| scene.rollout().is_some()) else { return Vec::new() };
    let analysis = canary.effective_analysis();
    let metrics = analysis.effective_metrics();
    if metrics.is_empty() {
        return Vec::new();
    }
    let rows: Vec<Vec<String>> =
        metrics.iter().map(|metric| row(scene, metric, analysis.failure_limit())).collect();
    let every = format!(" every {}", length(analysis.interval()));
    let mut lines = vec![format!(
        "{}{}",
        scene.paint.paint(Tone::Title, "Analysis"),
        scene.paint.paint(Tone::Faint, every)
    )];
    lines.extend(table(&rows, &[]));
    lines
}

fn row(scene: &Scene<'_>, metric: &Metric, limit: u32) -> Vec<String> {
    let status = scene.state().analysis.iter().find(|status| status.name == metric.name);
    let dry = if metric.dry_run { " (only shown)" } else { "" };
    let Some(status) = status else {
        let words = format!("{}: not judged yet{dry}", metric.name);
        return vec![scene.paint.mark(Tone::Faint), String::new(), words];
    };
    let tone = of_verdict(status.verdict);
    let words = format!(
        "{}{dry}{}, {}",
        in_words(metric, status),
        in_a_row(metric, status, limit),
        ago(status.at.0, scene.now)
    );
    vec![scene.paint.mark(tone), scene.paint.paint(tone, format!("{:?}", status.verdict)), words]
}

fn in_a_row(metric: &Metric, status: &MetricStatus, limit: u32) -> String {
    match status.failed {
        0 => String::new(),
        failed if metric.dry_run => format!(", failed {failed} times in a row"),
        failed => format!(", failed {failed} of {limit} times in a row"),
    }
}

pub fn webhooks(scene: &Scene<'_>) -> Vec<String> {
    let answers = &scene.state().webhooks;
    if answers.is_empty() {
        return Vec::new();
    }
    let row = |hook: &WebhookStatus| {
        let tone = of_answer(hook.answer);
        let detail = hook.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        let words = format!("in step {}{detail}, {}", hook.step_index, ago(hook.at.0, scene.now));
        let answer = scene.paint.paint(tone, format!("{:?}", hook.answer));
        vec![scene.paint.mark(tone), hook.name.clone(), answer, words]
    };
    let mut lines = vec![scene.paint.paint(Tone::Title, "Webhooks")];
    lines.extend(table(&answers.iter().map(row).collect::<Vec<_>>(), &[]));
    lines
}
