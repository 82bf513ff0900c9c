//! `canary` of a Route: how a change of its targets is rolled out, and what is reported of it. Pure data and its rules.
//!
//! No member has a default in the schema: what a user applied stays, byte for byte, what the API server keeps. The
//! defaults are methods here, and each member's text says its own.

pub mod analysis;
pub mod duration;
pub mod rollout;
pub mod status;
pub mod step;
pub mod webhook;

use std::time::Duration;

use fleetmesh_model::schema::plain_enum;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use analysis::{
    Analysis, LoadReport, Metric, MetricSource, OnError, OnNoData, Prometheus, ThresholdRange,
};
pub use rollout::{Hold, RolloutStatus};
pub use status::{
    ActionRecord, CanaryStatus, DataplaneStatus, DrainStatus, HistoryEntry, MetricStatus, Phase, Verdict,
    WebhookAnswer, WebhookStatus,
};
pub use step::{Step, StepPause};
pub use webhook::{Webhook, WebhookType};

use step::{DEFAULT_PAUSE, steps};

const DEFAULT_PROGRESS_DEADLINE: Duration = Duration::from_secs(3600);
const DEFAULT_PROPAGATION_DELAY: Duration = Duration::from_secs(60);
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(600);
const DEFAULT_SCALE_DOWN_DELAY: Duration = Duration::from_secs(1800);

fn webhooks(schema: &mut Schema) {
    schema.insert("maxItems".into(), json!(webhook::MAX_WEBHOOKS));
    fleetmesh_model::schema::add_rule(schema, &webhook::NAMES_ONCE);
}

/// How a change of the route's targets is rolled out; `{}` takes every default. Without `canary` a change is in force at
/// once. The spec states the destination and is never written; the weights on the way are in the status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// By what the new targets are judged; by default by the success rate that their callers' proxies report, which must
    /// be at least 99 percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    /// What happens to targets that lost their last request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
    /// What happens when the analysis fails or there is no progress; Rollback when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// How long a rollout may go without progress before it failed, 1 to 2592000 s; 3600 when absent. Pauses and holds
    /// of the analysis do not count: they have their own times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_592_000))]
    pub progress_deadline_seconds: Option<i32>,
    /// Where the endpoint does not report on proxies (AWS's own): how long after a write every proxy is taken to run it, 0
    /// to 3600 s; 60 when absent. A Fleetmesh control plane reports on them, and this is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub propagation_delay_seconds: Option<i32>,
    /// Which former targets may come back without steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_window: Option<RollbackWindow>,
    /// The way to the destination, 1 to 20 steps of strictly increasing `setWeight`; by default 25 percent for 10 minutes,
    /// then 100 percent for 10 minutes. A last step below 100 is followed by one of 100 percent for 10 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = steps)]
    pub steps: Option<Vec<Step>>,
    /// Who is asked, or notified, over HTTP; at most 10, with different names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = webhooks)]
    pub webhooks: Vec<Webhook>,
}

impl Canary {
    /// The steps in effect: strictly increasing, the last of them 100. What breaks the rules, which the API server does
    /// not let in, is left out.
    pub fn effective_steps(&self) -> Vec<Step> {
        let wait = |set_weight| Step {
            min_requests: None,
            pause: Some(StepPause { duration: Some(DEFAULT_PAUSE.into()) }),
            set_weight,
        };
        let Some(wanted) = &self.steps else { return vec![wait(25), wait(100)] };
        let mut steps: Vec<Step> = Vec::with_capacity(wanted.len() + 1);
        for step in wanted {
            let before = steps.last().map_or(0, |step| step.set_weight);
            if step.set_weight > before && step.set_weight <= 100 {
                steps.push(*step);
            }
        }
        if steps.last().is_none_or(|step| step.set_weight < 100) {
            steps.push(wait(100));
        }
        steps
    }

    /// The analysis in effect.
    pub fn effective_analysis(&self) -> Analysis {
        self.analysis.clone().unwrap_or_default()
    }

    /// The member by which a rollout goes by the number of requests; `None` when none does.
    pub fn counts_requests(&self) -> Option<String> {
        let Some(metrics) = self.analysis.as_ref().and_then(|analysis| analysis.metrics.as_ref()) else {
            return Some("no analysis.metrics: the default is a loadReport".to_owned());
        };
        let of_report = |metric: &Metric| matches!(metric.source, MetricSource::LoadReport(_));
        if let Some(index) = metrics.iter().position(of_report) {
            return Some(format!("analysis.metrics[{index}].source.loadReport"));
        }
        let index = self.steps.iter().flatten().position(|step| step.min_requests.is_some())?;
        Some(format!("steps[{index}].minRequests"))
    }

    /// What happens when a rollout fails.
    pub fn on_failure(&self) -> OnFailure {
        self.on_failure.unwrap_or_default()
    }

    /// How long a rollout may go without progress.
    pub fn progress_deadline(&self) -> Duration {
        seconds(self.progress_deadline_seconds, DEFAULT_PROGRESS_DEADLINE)
    }

    /// How long a write takes to reach every proxy where nobody reports on proxies.
    pub fn propagation_delay(&self) -> Duration {
        seconds(self.propagation_delay_seconds, DEFAULT_PROPAGATION_DELAY)
    }

    /// How many former targets may come back without steps.
    pub fn rollback_revisions(&self) -> usize {
        let revisions = self.rollback_window.map_or(0, |window| window.revisions);
        usize::try_from(revisions).unwrap_or(0)
    }

    /// The draining in effect.
    pub fn effective_drain(&self) -> Drain {
        self.drain.unwrap_or_default()
    }
}

/// What happens when the analysis fails or there is no progress. `abortBelow` and a person's abort always roll back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum OnFailure {
    /// The stable targets get everything back in one push.
    #[default]
    Rollback,
    /// The weights stay as they are, and the rollout waits for a person.
    Pause,
}

/// Which former targets may come back without steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollbackWindow {
    /// Of how many promotions back, 0 to 5, as far as the last 10 rollouts go back. Their virtual nodes are kept until they
    /// leave the window or their instances retire; those that still have a healthy endpoint go straight to the last step.
    #[schemars(range(min = 0, max = 5))]
    pub revisions: i32,
}

/// What happens to targets that lost their last request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// What becomes of the virtual nodes that a promotion replaced; Deprecate when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire: Option<Retire>,
    /// How long their instances stay warm after the last request, 0 to 2592000 s; 1800 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_592_000))]
    pub scale_down_delay_seconds: Option<i32>,
    /// How long requests in flight are waited for, 0 to 86400 s; 600 when absent. Where nobody reports them, this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub timeout_seconds: Option<i32>,
}

impl Drain {
    /// What becomes of the virtual nodes.
    pub fn retire(&self) -> Retire {
        self.retire.unwrap_or_default()
    }

    /// How long their instances stay warm.
    pub fn scale_down_delay(&self) -> Duration {
        seconds(self.scale_down_delay_seconds, DEFAULT_SCALE_DOWN_DELAY)
    }

    /// How long requests in flight are waited for.
    pub fn timeout(&self) -> Duration {
        seconds(self.timeout_seconds, DEFAULT_DRAIN_TIMEOUT)
    }
}

/// What becomes of the virtual nodes that a promotion replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum Retire {
    /// They say `Deprecated=True`, and nothing else.
    #[default]
    Deprecate,
    /// Their fleets, too, have no instances in the end (`fleet.replicas` is set to 0).
    ScaleToZero,
    /// Their resources are deleted in the end.
    Delete,
}

fn seconds(own: Option<i32>, default: Duration) -> Duration {
    own.and_then(|own| u64::try_from(own).ok()).map_or(default, Duration::from_secs)
}
