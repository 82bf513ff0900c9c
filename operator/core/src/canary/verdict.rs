//! The verdict on one metric: a number compared with its range, or the reason that there is none. Pure.

use std::collections::BTreeSet;

use fleetmesh_api::loads::Load;
use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::{Metric, MetricStatus, OnNoData, Verdict};
use jiff::Timestamp;

use super::observations::AskOutcome;
use super::time::micro;
use crate::load::Loads;

/// What a source gave.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricReading {
    /// A finite number.
    Value(f64),
    /// Nothing to judge: why, in words.
    Nothing(Reason, String),
    /// The source failed: why, in words.
    Blind(Reason, String),
}

impl MetricReading {
    /// What a query gave. A number that is not finite (no request divided by none, say) is none.
    pub fn of(outcome: &AskOutcome) -> Self {
        match outcome {
            AskOutcome::Value(value) if value.is_finite() => Self::Value(*value),
            AskOutcome::Value(value) => Self::Nothing(Reason::NoData, format!("the query gave {value}")),
            AskOutcome::NoData => Self::Nothing(Reason::NoData, "the query gave no number".to_owned()),
            AskOutcome::Error(error) => Self::Blind(Reason::MetricFailed, error.clone()),
        }
    }
}

/// The counts of several virtual nodes together.
pub fn together(loads: &Loads, nodes: &BTreeSet<&str>) -> Load {
    let mut all = Load::default();
    for (_, load) in loads.targets.iter().filter(|(node, _)| nodes.contains(node.as_str())) {
        let Load { issued, succeeded, failed, in_progress, reports } = load;
        all.issued = all.issued.saturating_add(*issued);
        all.succeeded = all.succeeded.saturating_add(*succeeded);
        all.failed = all.failed.saturating_add(*failed);
        all.in_progress = all.in_progress.saturating_add(*in_progress);
        all.reports = all.reports.saturating_add(*reports);
    }
    all
}

/// The success rate in percent of the requests that ended. A report without a request is no traffic; no report at all is
/// an outage of the reports.
pub fn success_rate(load: &Load) -> MetricReading {
    let ended = load.succeeded.saturating_add(load.failed);
    if ended == 0 && load.reports == 0 {
        let detail = "no proxy reported the load of the new targets: check that their callers' proxies are connected and report";
        return MetricReading::Blind(Reason::NoReport, detail.to_owned());
    }
    if ended == 0 {
        let detail = "the proxies reported no request to the new targets that ended: nobody calls them, or they have no address (callers then get 503, and proxies count nothing)";
        return MetricReading::Nothing(Reason::NoTraffic, detail.to_owned());
    }
    MetricReading::Value(100.0 * precise(load.succeeded) / precise(ended))
}

/// Counts below 2^53 are exact, and greater ones near enough for a rate.
#[allow(clippy::cast_precision_loss, reason = "a rate needs no more precision than f64 has")]
pub(super) fn precise(count: u64) -> f64 {
    count as f64
}

/// Judges a metric. `before` is its last verdict, whose failures in a row go on counting.
pub fn judge(
    metric: &Metric,
    on_no_data: OnNoData,
    reading: &MetricReading,
    before: Option<&MetricStatus>,
    at: Timestamp,
) -> MetricStatus {
    let row = before.map_or(0, |before| before.failed);
    let (verdict, value, why) = match reading {
        MetricReading::Value(value) if metric.threshold_range.contains(*value) => {
            (Verdict::Pass, Some(*value), None)
        }
        MetricReading::Value(value) => (Verdict::Fail, Some(*value), None),
        MetricReading::Nothing(reason, detail) => (Verdict::NoData, None, Some((*reason, detail.clone()))),
        MetricReading::Blind(reason, detail) => (Verdict::Error, None, Some((*reason, detail.clone()))),
    };
    let failed = match (verdict, on_no_data) {
        (Verdict::Pass, _) | (Verdict::NoData, OnNoData::Pass) => 0,
        (Verdict::Fail, _) | (Verdict::NoData, OnNoData::Fail) => row.saturating_add(1),
        (Verdict::NoData, OnNoData::Hold) | (Verdict::Error, _) => row,
    };
    let (reason, detail) = why.unzip();
    MetricStatus {
        at: micro(at),
        detail,
        errors: None,
        failed,
        name: metric.name.clone(),
        reason,
        requests: None,
        value,
        verdict,
    }
}

/// The verdict for people to read.
pub fn in_words(metric: &Metric, status: &MetricStatus) -> String {
    let range = match (metric.threshold_range.min, metric.threshold_range.max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "anything".to_owned(),
    };
    let counts = match (status.requests, status.errors) {
        (Some(requests), Some(errors)) => format!(" ({errors} of {requests} requests failed)"),
        _ => String::new(),
    };
    match (status.value, &status.detail) {
        (Some(value), _) => format!("{} is {value:.2}, should be {range}{counts}", metric.name),
        (None, Some(detail)) => format!("{}: {detail}", metric.name),
        (None, None) => format!("{}: nothing to judge", metric.name),
    }
}
