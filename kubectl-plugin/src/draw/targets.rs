//! The targets, stable, in force and desired, and how many proxies run them.

use fleetmesh_core::canary::targets::{key, name, with_zeros};
use fleetmesh_crds::canary::DataplaneStatus;
use fleetmesh_model::route::WeightedTarget;

use super::paint::Tone;
use super::table::{INDENT, table};
use super::words::ago;
use super::{Scene, destination};

pub fn lines(scene: &Scene<'_>) -> Vec<String> {
    let (state, spec) = (scene.state(), destination(scene.route));
    let paint = scene.paint;
    let all = with_zeros(state.stable_targets.clone(), spec.iter().chain(&state.effective_targets));
    let head = ["", "stable", "now", "spec"].map(|text| paint.paint(Tone::Faint, text));
    let mut rows = vec![head.to_vec()];
    for target in &all {
        let lists = [&state.stable_targets, &state.effective_targets, spec];
        let mut row = vec![name(target)];
        row.extend(lists.map(|list| weight(list, target)));
        rows.push(row);
    }
    let mut lines = vec![paint.paint(Tone::Title, "Targets")];
    lines.extend(table(&rows, &[1, 2, 3]));
    lines.push(format!("{INDENT}{}", proxies(scene)));
    lines
}

fn weight(list: &[WeightedTarget], target: &WeightedTarget) -> String {
    let found = list.iter().find(|known| key(known) == key(target));
    found.map_or_else(|| "-".to_owned(), |found| found.weight.to_string())
}

fn proxies(scene: &Scene<'_>) -> String {
    let paint = scene.paint;
    let Some(DataplaneStatus { acked, nacked, proxies, settled_at, version, written_at }) =
        &scene.state().dataplane
    else {
        return paint.paint(Tone::Waiting, "proxies: the endpoint does not have these weights yet");
    };
    let version = version.map(|version| format!(" version {version}")).unwrap_or_default();
    let since = settled_at.as_ref().or(written_at.as_ref());
    let since = since.map(|time| format!(", {}", ago(time.0, scene.now))).unwrap_or_default();
    let Some(proxies) = proxies else {
        let words = if settled_at.is_some() { "is assumed to be on all of them" } else { "was written" };
        return format!("proxies: the endpoint does not report them;{version} {words}{since}");
    };
    let (acked, refused) = (acked.unwrap_or(0), nacked.unwrap_or(0));
    let tone = if refused == 0 && acked >= *proxies { Tone::Good } else { Tone::Waiting };
    let count = paint.paint(tone, format!("{acked} of {proxies}"));
    let refused =
        if refused > 0 { paint.paint(Tone::Bad, format!(", {refused} refused")) } else { String::new() };
    format!("proxies: {count} acknowledged{version}{refused}{since}")
}
