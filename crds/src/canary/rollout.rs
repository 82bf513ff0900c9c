//! What is reported of a rollout under way. Pure data.

use fleetmesh_model::route::WeightedTarget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::Reason;
use crate::route_action::Verb;

/// One rollout, under way or aborted. Together with the rest of the status it is all that the operator remembers: after a
/// restart it goes on from here. Times are absolute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutStatus {
    /// Until when requests are counted in `stepRequests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_until: Option<MicroTime>,
    /// From when on requests are judged: what a window saw before does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_since: Option<MicroTime>,
    /// What keeps the rollout where it is beyond its plan; absent when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The rollout's id; another for each attempt. Verbs name it, so that none hits a later rollout.
    pub id: String,
    /// When the rollout last got further; `progressDeadlineSeconds` counts from here.
    pub last_progress_at: MicroTime,
    /// Before when the next step is not taken: the end of the step's pause. Absent before the step's clock runs, and in a
    /// step that waits for somebody to promote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_step_not_before: Option<MicroTime>,
    /// The hash of the steps that the rollout goes by.
    pub plan_hash: String,
    /// How far the weights are on their way, 0 to 100 percent.
    pub set_weight: i32,
    /// Whether the targets come back within the rollback window and skip the steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skips_steps: bool,
    /// When it began.
    pub started_at: MicroTime,
    /// The step in force of how many, for people to read, for example `1/3`.
    pub step: String,
    /// Since when every connected proxy runs the step's weights; absent until they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_entered_at: Option<MicroTime>,
    /// The step in force, counted from 1; 0 while the new targets are made known with weight 0.
    pub step_index: i32,
    /// The requests that the new targets answered in the step, as far as the load reports show.
    pub step_requests: i64,
    /// The destination.
    pub targets: Vec<WeightedTarget>,
    /// The last request of somebody for the step: Promote, SkipStep or, for all that follow, PromoteFull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Verb>,
}

/// What keeps a rollout where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// The same in words, with the way out.
    pub detail: String,
    /// Why: a reason of `docs/reference/conditions.md`.
    pub reason: Reason,
    /// Since when; `holdTimeout` counts from here.
    pub since: MicroTime,
}
