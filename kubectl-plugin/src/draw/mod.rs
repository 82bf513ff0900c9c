//! Draws the rollout of a Route as text. Pure: the same Route, time and style give the same picture.

mod analysis;
mod head;
mod history;
mod paint;
mod steps;
mod table;
mod targets;
mod words;

use fleetmesh_core::canary::targets::in_short;
use fleetmesh_crds::canary::RolloutStatus;
use fleetmesh_crds::{Canary, CanaryStatus, Phase, Route, RouteStatus, Status};
use fleetmesh_model::route::WeightedTarget;
use jiff::Timestamp;

use paint::Painter;
use table::wrap;

/// How many former rollouts are drawn when not all are wanted.
const FORMER: usize = 3;

/// How a picture looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether it has colours (ANSI escape sequences).
    pub colour: bool,
    /// The columns that lines are wrapped to; as long as they are when `None`.
    pub width: Option<usize>,
}

/// What a picture is about.
struct Scene<'a> {
    route: &'a Route,
    status: &'a Status<RouteStatus>,
    now: Timestamp,
    paint: Painter,
}

/// The picture of `route` at `now`, lines that end with a line feed each. `whole_history` draws every former rollout that
/// the status remembers and not the last 3 only.
pub fn draw(route: &Route, now: Timestamp, style: Style, whole_history: bool) -> String {
    let nothing = Status::default();
    let status = route.status.as_ref().unwrap_or(&nothing);
    let scene = Scene { route, status, now, paint: Painter { colour: style.colour } };
    let former = if whole_history { usize::MAX } else { FORMER };
    let mut sections = vec![head::lines(&scene)];
    if route.spec.canary.is_some() {
        sections.push(steps::lines(&scene));
        sections.push(targets::lines(&scene));
        sections.push(analysis::lines(&scene));
        sections.push(analysis::webhooks(&scene));
        sections.push(history::draining(&scene));
    }
    sections.push(history::lines(&scene, former));
    sections.retain(|section| !section.is_empty());
    let sections: Vec<String> = sections.iter().map(|lines| wrap(lines, style.width)).collect();
    sections.join("\n")
}

/// The targets in force: those of the status, or else of the spec.
pub fn in_force(route: &Route) -> &[WeightedTarget] {
    match &route.status {
        Some(status)
            if route.spec.canary.is_some() && !status.of_kind.canary.effective_targets.is_empty() =>
        {
            &status.of_kind.canary.effective_targets
        }
        _ => destination(route),
    }
}

/// The targets of the spec.
pub fn destination(route: &Route) -> &[WeightedTarget] {
    route.spec.app_mesh.action().map_or(&[], |(_, _, action)| &action.weighted_targets)
}

impl Scene<'_> {
    fn canary(&self) -> Option<&Canary> {
        self.route.spec.canary.as_ref()
    }

    fn state(&self) -> &CanaryStatus {
        &self.status.of_kind.canary
    }

    fn phase(&self) -> Phase {
        self.state().phase.unwrap_or_default()
    }

    /// The rollout, under way or aborted.
    fn rollout(&self) -> Option<&RolloutStatus> {
        self.state().rollout.as_ref()
    }

    fn is_aborted(&self) -> bool {
        self.phase() == Phase::Aborted
    }

    /// A change of targets for people to read.
    fn change(from: &[WeightedTarget], to: &[WeightedTarget]) -> String {
        format!("{} → {}", in_short(from), in_short(to))
    }
}
