//! The steps of a rollout. Pure data and its rules.

use std::time::Duration;

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::add_rule;
use kube_core::Duration as DurationText;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::duration::up_to_30_days;

/// The most steps of a rollout.
pub const MAX_STEPS: usize = 20;

/// How long the default steps last, and the last one that is added to steps that end below 100.
pub(super) const DEFAULT_PAUSE: Duration = Duration::from_secs(600);

pub(crate) const INCREASING: Rule = Rule {
    cel: "self.map(step, step.setWeight).isSorted() && self.all(a, self.exists_one(b, a.setWeight == b.setWeight))",
    message: "setWeight must grow from step to step",
};

pub(super) fn steps(schema: &mut Schema) {
    schema.insert("minItems".into(), json!(1));
    schema.insert("maxItems".into(), json!(MAX_STEPS));
    add_rule(schema, &INCREASING);
}

/// One step of a rollout. It ends when every connected proxy runs its weights, its pause is over, it had its requests and
/// a full window of the analysis since then passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// How many requests the new targets must have answered in the step, 0 to 1000000000; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub min_requests: Option<i64>,
    /// How long the step lasts at least; no longer than the rest takes when absent. In the last step this is the time in
    /// which the old targets are still warm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<StepPause>,
    /// How far the weights are on their way from the stable targets to the spec's, 1 to 100 percent.
    #[schemars(range(min = 1, max = 100))]
    pub set_weight: i32,
}

/// How long a step lasts at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepPause {
    /// The time from when every connected proxy runs the step's weights, 1s to 720h; until somebody promotes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = up_to_30_days)]
    pub duration: Option<DurationText>,
}
