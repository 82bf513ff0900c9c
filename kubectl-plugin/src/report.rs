//! The rollout of a Route as JSON: the members of its status, and the spec's values with defaults filled in. Pure.

use fleetmesh_core::canary::plan::{Lasts, lasts};
use fleetmesh_crds::{CanaryStatus, Route};
use fleetmesh_model::route::WeightedTarget;
use kube::ResourceExt as _;
use serde::Serialize;

use crate::draw::destination;

/// What `status -o json` answers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// The Route's namespace.
    pub namespace: String,
    /// The Route's name.
    pub name: String,
    /// The generation of its spec.
    pub generation: i64,
    /// The generation that `status` is about.
    pub observed_generation: Option<i64>,
    /// Whether the spec has `canary`.
    pub canary: bool,
    /// The spec's targets.
    pub targets: Vec<WeightedTarget>,
    /// The steps in effect; none without `canary`.
    pub steps: Vec<StepReport>,
    /// The members of the Route's status that are about the rollout.
    pub status: CanaryStatus,
}

/// A step in effect.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// Which one, counted from 1.
    pub index: usize,
    /// How far the weights are on their way, in percent.
    pub set_weight: i32,
    /// How long it lasts at least, in seconds; until somebody promotes when `null`.
    pub pause_seconds: Option<u64>,
    /// How many requests it needs.
    pub min_requests: i64,
}

impl StatusReport {
    /// The report on `route`.
    pub fn of(route: &Route) -> Self {
        let status = route.status.clone().unwrap_or_default();
        let steps = route.spec.canary.as_ref().map(|canary| canary.effective_steps()).unwrap_or_default();
        let step = |(index, step): (usize, _)| {
            let fleetmesh_crds::canary::Step { set_weight, min_requests, .. } = step;
            let pause_seconds = match lasts(&step) {
                Lasts::For(length) => Some(length.as_secs()),
                Lasts::UntilPromoted => None,
            };
            StepReport { index, set_weight, pause_seconds, min_requests: min_requests.unwrap_or(0) }
        };
        Self {
            namespace: route.namespace().unwrap_or_default(),
            name: route.name_any(),
            generation: route.metadata.generation.unwrap_or_default(),
            observed_generation: status.observed_generation,
            canary: route.spec.canary.is_some(),
            targets: destination(route).to_vec(),
            steps: (1..).zip(steps).map(step).collect(),
            status: status.of_kind.canary,
        }
    }
}
