//! The members of a Route's status that are about `canary`: what the operator remembers of rollouts. Pure data.

use fleetmesh_model::route::WeightedTarget;
use fleetmesh_model::schema::plain_enum;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rollout::RolloutStatus;
use crate::condition::Reason;
use crate::route_action::{ActionPhase, Verb};

/// The most entries of `history`.
pub const MAX_HISTORY: usize = 10;
/// The most entries of `actions`.
pub const MAX_ACTIONS: usize = 10;
/// The most entries of `draining`.
pub const MAX_DRAINING: usize = 20;

/// What the operator remembers of a route's rollouts; members of the Route's status. It is written before the mesh is
/// touched, and read after a restart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// The last 10 RouteActions that were decided about, the newest first. Routes with `canary` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionRecord>,
    /// The last verdict of each metric in the rollout. Routes with `canary` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub analysis: Vec<MetricStatus>,
    /// How far `effectiveTargets` got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataplane: Option<DataplaneStatus>,
    /// Targets that lost their last request, until nothing has to be remembered of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub draining: Vec<DrainStatus>,
    /// The targets with the weights that are to be in force now: what the mesh is given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effective_targets: Vec<WeightedTarget>,
    /// How the last 10 rollouts ended, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// Where the route is on its way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The rollout under way, or the one that was aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutStatus>,
    /// How many rollouts there were.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub rollouts: i64,
    /// The targets that the last finished rollout made the stable ones: where a rollback goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stable_targets: Vec<WeightedTarget>,
    /// The last answer of each webhook in the rollout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhooks: Vec<WebhookStatus>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Where a route is on its way, and how a rollout ended.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(transform = plain_enum)]
pub enum Phase {
    /// The spec's targets are in force, and nothing is rolled out.
    #[default]
    Stable,
    /// A rollout is under way.
    Progressing,
    /// Nothing can be judged, or somebody has to agree: the rollout stays where it is and goes on by itself.
    Held,
    /// The rollout waits for a person.
    Paused,
    /// The spec's weights are in force, still watched, and the old targets are still warm.
    Baking,
    /// The rollout succeeded; the old targets finish their last requests.
    Draining,
    /// The rollout succeeded, and the old targets have no request left.
    Promoted,
    /// The rollout was given up; the stable targets serve, whatever the spec says, until it changes or somebody retries.
    Aborted,
    /// The spec went back to the stable targets during a rollout, or after one that was aborted.
    RolledBack,
    /// Other targets took the rollout's place. Only in `history`.
    Superseded,
}

impl Phase {
    /// The word of the status, which metrics have as a label, too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "Stable",
            Self::Progressing => "Progressing",
            Self::Held => "Held",
            Self::Paused => "Paused",
            Self::Baking => "Baking",
            Self::Draining => "Draining",
            Self::Promoted => "Promoted",
            Self::Aborted => "Aborted",
            Self::RolledBack => "RolledBack",
            Self::Superseded => "Superseded",
        }
    }
}

/// How far `effectiveTargets` got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataplaneStatus {
    /// Connected proxies that acknowledged them; absent where the endpoint does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked: Option<i32>,
    /// Connected proxies that refused them; absent where the endpoint does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nacked: Option<i32>,
    /// Connected proxies that need the route; absent where the endpoint does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxies: Option<i32>,
    /// Since when every one of them is known, or taken, to run `effectiveTargets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<MicroTime>,
    /// The version of the App Mesh route that has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// When that version was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_at: Option<MicroTime>,
}

/// The last verdict of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// When the judged window ended.
    pub at: MicroTime,
    /// What there was instead of a number, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Of `requests`, how many failed. Load reports only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<i64>,
    /// How many verdicts in a row failed.
    pub failed: i32,
    /// The metric's name.
    pub name: String,
    /// Why there is no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The requests to the new targets that ended in the window. Load reports only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<i64>,
    /// The number that was judged; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
}

/// What an analysis says of one metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum Verdict {
    /// The number is within the range.
    Pass,
    /// The number is outside of the range.
    Fail,
    /// There was nothing to judge: no request, or no number.
    NoData,
    /// The source did not answer, or no report came.
    Error,
}

impl Verdict {
    /// The word of the status, which metrics have as a label, too.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::NoData => "NoData",
            Self::Error => "Error",
        }
    }
}

/// The last answer of one webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookStatus {
    /// What it answered.
    pub answer: WebhookAnswer,
    /// When.
    pub at: MicroTime,
    /// The same in words, when there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The webhook's name.
    pub name: String,
    /// The step that it was asked in.
    pub step_index: i32,
}

/// What a webhook answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum WebhookAnswer {
    /// It agrees (2xx).
    Confirmed,
    /// It has not made up its mind (202 or 425).
    NotYet,
    /// It does not agree (any other 4xx).
    Refused,
    /// It could not be asked (no answer in time, or 5xx).
    Error,
}

/// A target that lost its last request, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainStatus {
    /// Since when its virtual node says `Deprecated=True`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecated_at: Option<MicroTime>,
    /// Since when it has no request in flight, or none is waited for any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drained_at: Option<MicroTime>,
    /// The node's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// When its instances were scaled to zero, or its resource was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<MicroTime>,
    /// Whether a promotion replaced it, so that its virtual node retires.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retires: bool,
    /// Since when every connected proxy runs weight 0, or those that do not are waited for no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<MicroTime>,
    /// When it got weight 0.
    pub since: MicroTime,
    /// The virtual node's name.
    pub virtual_node: String,
}

/// A RouteAction that was decided about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionRecord {
    /// When.
    pub at: MicroTime,
    /// What it did, or why it was refused, in words.
    pub message: String,
    /// The RouteAction's name.
    pub name: String,
    /// What became of it.
    pub phase: ActionPhase,
    /// Why: a reason of `docs/reference/conditions.md`.
    pub reason: Reason,
    /// The RouteAction's metadata.uid.
    pub uid: String,
    /// The verb.
    pub verb: Verb,
}

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When it ended.
    pub ended_at: MicroTime,
    /// The stable targets that it began from.
    pub from: Vec<WeightedTarget>,
    /// The rollout's id.
    pub id: String,
    /// Why it ended so, in words.
    pub message: String,
    /// How it ended: Promoted, Aborted, RolledBack or Superseded.
    pub outcome: Phase,
    /// Why it ended so: a reason of `docs/reference/conditions.md`.
    pub reason: Reason,
    /// When it began.
    pub started_at: MicroTime,
    /// The step it was in.
    pub step_index: i32,
    /// Where it was to go.
    pub targets: Vec<WeightedTarget>,
}

#[cfg(test)]
mod tests {
    use super::Phase::{
        Aborted, Baking, Draining, Held, Paused, Progressing, Promoted, RolledBack, Stable, Superseded,
    };
    use super::*;

    #[test]
    fn labels_of_metrics_are_the_words_of_the_status() {
        let word =
            |value: Result<serde_json::Value, _>| value.ok().and_then(|word| Some(word.as_str()?.to_owned()));
        let phases =
            [Stable, Progressing, Held, Paused, Baking, Draining, Promoted, Aborted, RolledBack, Superseded];
        for phase in phases {
            assert_eq!(word(serde_json::to_value(phase)).as_deref(), Some(phase.as_str()));
        }
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::NoData, Verdict::Error] {
            assert_eq!(word(serde_json::to_value(verdict)).as_deref(), Some(verdict.as_str()));
        }
    }
}
