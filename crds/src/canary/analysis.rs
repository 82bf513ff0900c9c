//! By what new targets are judged. Pure data and its rules.

use std::time::Duration;

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::{add_rule, exactly_one_of, plain_enum, union};
use kube_core::Duration as DurationText;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::duration::{up_to_10_minutes, up_to_30_days};

/// The most metrics of an analysis.
pub const MAX_METRICS: usize = 10;

const DEFAULT_INTERVAL: Duration = Duration::from_secs(30);
const DEFAULT_HOLD_TIMEOUT: Duration = Duration::from_secs(1800);
const DEFAULT_FAILURE_LIMIT: u32 = 2;

/// What names of metrics and webhooks look like: a DNS label, as in Kubernetes.
pub(super) const NAME_PATTERN: &str = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$";

pub(crate) const SOME_BOUND: Rule =
    Rule { cel: "has(self.min) || has(self.max)", message: "at least one of min and max must be set" };
pub(crate) const BOUNDS_IN_ORDER: Rule = Rule {
    cel: "!(has(self.min) && has(self.max)) || self.min <= self.max",
    message: "min must not be greater than max",
};
pub(crate) const ABORT_BELOW_MIN: Rule = Rule {
    cel: "!(has(self.abortBelow) && has(self.thresholdRange.min)) || self.abortBelow <= self.thresholdRange.min",
    message: "abortBelow must not be greater than thresholdRange.min",
};
pub(crate) const PERCENT: Rule = Rule {
    cel: "!has(self.source.loadReport) || ((!has(self.thresholdRange.min) || (self.thresholdRange.min >= 0.0 && self.thresholdRange.min <= 100.0)) && (!has(self.thresholdRange.max) || (self.thresholdRange.max >= 0.0 && self.thresholdRange.max <= 100.0)))",
    message: "thresholdRange of a loadReport must be within 0 to 100: it is a success rate in percent",
};

fn metrics(schema: &mut Schema) {
    schema.insert("maxItems".into(), json!(MAX_METRICS));
    schema.insert("x-kubernetes-list-type".into(), json!("map"));
    schema.insert("x-kubernetes-list-map-keys".into(), json!(["name"]));
}

fn range_rules(schema: &mut Schema) {
    for rule in [&SOME_BOUND, &BOUNDS_IN_ORDER] {
        add_rule(schema, rule);
    }
}

fn one_source(schema: &mut Schema) {
    exactly_one_of(schema, &["address", "provider"]);
}

fn metric_rules(schema: &mut Schema) {
    for rule in [&ABORT_BELOW_MIN, &PERCENT] {
        add_rule(schema, rule);
    }
}

/// By what and how the new targets are judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// How many failures of one metric in a row fail the rollout, 1 to 100; 2 when absent. A pass begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_limit: Option<i32>,
    /// How long nothing can be judged, or a step lacks its requests, before the rollout pauses, 1s to 720h; 30m when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = up_to_30_days)]
    pub hold_timeout: Option<DurationText>,
    /// How often each metric is judged, and over how long a window, 1s to 10m; 30s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = up_to_10_minutes)]
    pub interval: Option<DurationText>,
    /// What is judged, at most 10 metrics; by default `request-success-rate`, from the load reports, at least 99
    /// percent. An empty list judges nothing: steps then go by their time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = metrics)]
    pub metrics: Option<Vec<Metric>>,
    /// What it means that a source cannot be asked, or that no load report came: Hold when absent. It never rolls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// What it means that there is nothing to judge, because there was no request or a query gave no number; Hold when
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_no_data: Option<OnNoData>,
}

impl Analysis {
    /// How often metrics are judged, and the length of the window.
    pub fn interval(&self) -> Duration {
        self.interval.map_or(DEFAULT_INTERVAL, Duration::from)
    }

    /// How long nothing may be judged before the rollout pauses.
    pub fn hold_timeout(&self) -> Duration {
        self.hold_timeout.map_or(DEFAULT_HOLD_TIMEOUT, Duration::from)
    }

    /// How many failures in a row fail the rollout.
    pub fn failure_limit(&self) -> u32 {
        self.failure_limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(DEFAULT_FAILURE_LIMIT).max(1)
    }

    /// What is judged.
    pub fn effective_metrics(&self) -> Vec<Metric> {
        let default = || Metric {
            abort_below: None,
            dry_run: false,
            name: "request-success-rate".to_owned(),
            source: MetricSource::LoadReport(LoadReport {}),
            threshold_range: ThresholdRange { max: None, min: Some(99.0) },
        };
        self.metrics.clone().unwrap_or_else(|| vec![default()])
    }
}

/// One number that the new targets are judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = metric_rules)]
pub struct Metric {
    /// A value below this rolls back at once, whatever `failureLimit` and `onFailure` say; at most `thresholdRange.min`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort_below: Option<f64>,
    /// Whether the metric is only shown: it then neither advances nor holds nor fails anything. False when absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// The metric's name, unique in the route: 1 to 63 lower-case letters, digits and dashes.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAME_PATTERN))]
    pub name: String,
    /// Where the number comes from.
    pub source: MetricSource,
    /// Which numbers pass.
    pub threshold_range: ThresholdRange,
}

/// Where a number comes from; exactly one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = union)]
pub enum MetricSource {
    /// The success rate that the callers' proxies report to the control plane.
    LoadReport(LoadReport),
    /// A query to a Prometheus.
    Prometheus(Prometheus),
}

/// The success rate in percent of all new targets together: of the requests that callers sent to them and that ended in
/// the window, how many succeeded. Needs a Fleetmesh control plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LoadReport {}

/// An instant query to a Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = one_source)]
pub struct Prometheus {
    /// The server's address, without user, query and fragment; at most 2048 characters. Only where the operator runs with
    /// `--canary-direct-addresses`, and not for addresses of the operator's own host or of the metadata service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^\s]+$"))]
    pub address: Option<String>,
    /// The name of a MetricProvider that allows the Route's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub provider: Option<String>,
    /// The query, 1 to 8192 characters; it must give one number.
    #[schemars(length(min = 1, max = 8192))]
    pub query: String,
}

/// Which numbers pass: both bounds are included. At least one must be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = range_rules)]
pub struct ThresholdRange {
    /// The greatest number that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The smallest number that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
}

impl ThresholdRange {
    /// Whether a number passes; what is not a number does not.
    pub fn contains(&self, value: f64) -> bool {
        !value.is_nan() && self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)
    }
}

/// What it means that there is nothing to judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum OnNoData {
    /// The rollout stays where it is until there is, and pauses after `holdTimeout`.
    #[default]
    Hold,
    /// It counts as a pass.
    Pass,
    /// It counts as a failure.
    Fail,
}

/// What it means that a source cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum OnError {
    /// The rollout stays where it is until the source answers, and pauses after `holdTimeout`.
    #[default]
    Hold,
    /// The rollout pauses at once.
    Pause,
}
