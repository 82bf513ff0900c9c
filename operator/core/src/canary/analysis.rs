//! The analysis: which metrics are due, what they say, and what follows. Pure.
//!
//! A window counts when everything in it came after the new targets got their first request, after a resume, and
//! after this process began to decide; windows of one metric do not overlap. The load reports of a window may be
//! older than the window by their lag ([`Loads::lag`](crate::load::Loads::lag)), so it begins that much later.

use std::time::Duration;

use fleetmesh_api::loads::Load;
use fleetmesh_crds::Reason;
use fleetmesh_crds::canary::{Metric, MetricSource, MetricStatus, OnError, OnNoData, RolloutStatus, Verdict};
use fleetmesh_model::route::WeightedTarget;
use jiff::Timestamp;

use super::clock::entered;
use super::observations::{Observations, ProxyReports};
use super::reducer::Reducer;
use super::reduction::{CanaryEffect, Destination};
use super::targets::{growing, serving_nodes};
use super::time::{after, before, in_words as long, micro};
use super::verdict::{MetricReading, in_words, judge, together};
use super::witness::{requests, success_rate_of};
use crate::load::Loads;

/// What follows from an analysis at once.
pub(super) enum Consequence {
    /// A metric is below its `abortBelow`.
    Abort(Reason, String),
    /// A metric failed so often that the rollout failed.
    Fail(Reason, String),
    /// A source is blind, and the spec wants a person to look.
    Pause(Reason, String),
}

/// What the analysis says of an advance.
pub(super) enum MetricStanding {
    /// Every metric that decides passed in a fresh window.
    Passed,
    /// One fails, not often enough to fail the rollout.
    Failing(String),
    /// One cannot be judged.
    Held(Reason, String),
    /// A fresh window is not over.
    Awaited(String),
}

/// Loads in a window that may be counted, and the targets that they are of.
struct Counted<'a> {
    at: Timestamp,
    loads: &'a Loads,
    nodes: Vec<WeightedTarget>,
}

impl<'a> Reducer<'a> {
    /// Judges what is due, asks for what is missing, and says what follows at once.
    pub fn analyse(&mut self) -> Option<Consequence> {
        let from = self.watched_from()?;
        self.count_requests();
        let mut follows = None;
        for metric in self.analysis.effective_metrics() {
            let from = after(from, self.lag(&metric).unwrap_or_default());
            let due =
                after(self.last_verdict(&metric).map_or(from, |last| last.at.0.max(from)), self.interval());
            match self.read(&metric, due) {
                Some((reading, load, at)) => {
                    let status = self.record(&metric, &reading, load, at);
                    let found = self.follows(&metric, &status);
                    follows = follows.or(found);
                    self.look(after(at, self.interval()));
                }
                None => self.look(due),
            }
        }
        follows
    }

    /// From when on windows count; `None` while the new targets get no request.
    fn watched_from(&self) -> Option<Timestamp> {
        let rollout = self.rollout().filter(|rollout| rollout.set_weight > 0)?;
        let fresh = rollout.fresh_since.as_ref().map_or(Timestamp::MIN, |since| since.0);
        Some(fresh.max(self.seen.since))
    }

    fn interval(&self) -> Duration {
        self.analysis.interval()
    }

    /// How much later than something a window must begin to contain nothing from before it; `None` when nobody reports. The
    /// range of a query is its own business.
    fn lag(&self, metric: &Metric) -> Option<Duration> {
        match (&metric.source, &self.seen.loads) {
            (MetricSource::Prometheus(_), _) => Some(Duration::ZERO),
            (MetricSource::LoadReport(_), ProxyReports::Reported { loads, .. }) => Some(loads.lag),
            (MetricSource::LoadReport(_), ProxyReports::Unsupported | ProxyReports::Pending) => None,
        }
    }

    fn last_verdict(&self, metric: &Metric) -> Option<&MetricStatus> {
        self.state.analysis.iter().find(|status| status.name == metric.name)
    }

    /// Reads a metric when a window that counts is over: what there is, and when the window ended.
    fn read(&mut self, metric: &Metric, due: Timestamp) -> Option<(MetricReading, Option<Load>, Timestamp)> {
        let read = match &metric.source {
            MetricSource::LoadReport(_) => self.read_loads(metric, due)?,
            MetricSource::Prometheus(source) => {
                let fresh = |sample: &&super::Sample| sample.metric == metric.name && sample.at >= due;
                match self.seen.samples.iter().filter(fresh).max_by_key(|sample| sample.at) {
                    // A time in the future would put off what follows.
                    Some(sample) => (MetricReading::of(&sample.outcome), None, sample.at.min(self.now)),
                    None if due <= self.now => {
                        let at = Destination::of(source.provider.as_ref(), None, source.address.as_ref());
                        let (metric, query) = (metric.name.clone(), source.query.clone());
                        self.effects.push(CanaryEffect::Query { metric, at, query });
                        return None;
                    }
                    None => return None,
                }
            }
        };
        // Before every proxy has the first weight there may be nothing to see yet.
        let entered = self.rollout().is_some_and(|rollout| entered(rollout).is_some());
        let seen = matches!(read.0, MetricReading::Value(_));
        (entered || seen || self.last_verdict(metric).is_some()).then_some(read)
    }

    fn read_loads(
        &mut self,
        metric: &Metric,
        due: Timestamp,
    ) -> Option<(MetricReading, Option<Load>, Timestamp)> {
        if let Some(Counted { at, loads, nodes }) = self.counted(before(due, self.interval())) {
            let nodes = serving_nodes(&nodes);
            let reading = success_rate_of(loads, &nodes, &self.seen.owners, metric);
            return Some((reading, Some(together(loads, &nodes)), at));
        }
        let now = self.now;
        let blind =
            |detail: &str| Some((MetricReading::Blind(Reason::NoReport, detail.to_owned()), None, now));
        if due > self.now {
            return None;
        }
        if self.seen.loads == ProxyReports::Unsupported {
            return blind(
                "the endpoint does not show what proxies report: judge by a prometheus source, or run a Fleetmesh control plane",
            );
        }
        // A window may be late, because the control plane restarted or was not asked in time.
        let overdue = after(due, self.interval());
        self.look(overdue);
        if overdue > self.now {
            None
        } else {
            blind("the control plane did not report a full window of loads")
        }
    }

    /// The loads of the new targets in the window that was reported, when it began at `from` or later and is full.
    fn counted(&self, from: Timestamp) -> Option<Counted<'a>> {
        let seen: &'a Observations = self.seen;
        let ProxyReports::Reported { at, loads } = &seen.loads else { return None };
        let rollout = self.rollout()?;
        let counts = *at <= self.now && loads.observed >= loads.window && before(*at, loads.window) >= from;
        let nodes = || growing(&self.state.stable_targets, &rollout.targets);
        counts.then(|| Counted { at: *at, loads, nodes: nodes() })
    }

    /// Counts the requests of the step: windows of it alone, each beginning after the last one that was counted.
    fn count_requests(&mut self) {
        let Some(rollout) = self.rollout() else { return };
        let Some(entered) = entered(rollout) else { return };
        let ProxyReports::Reported { loads, .. } = &self.seen.loads else { return };
        let entered = after(entered, loads.lag);
        let from = rollout.counted_until.as_ref().map_or(entered, |until| until.0.max(entered));
        let Some(Counted { at, loads, nodes }) = self.counted(from) else { return };
        let ended = requests(loads, &serving_nodes(&nodes), &self.seen.owners);
        let ended = i64::try_from(ended).unwrap_or(i64::MAX);
        self.update(|rollout| RolloutStatus {
            step_requests: rollout.step_requests.saturating_add(ended),
            counted_until: Some(micro(at)),
            ..rollout
        });
    }

    /// Notes the verdict in the state.
    fn record(
        &mut self,
        metric: &Metric,
        reading: &MetricReading,
        load: Option<Load>,
        at: Timestamp,
    ) -> MetricStatus {
        let on_no_data = self.analysis.on_no_data.unwrap_or_default();
        let mut status = judge(metric, on_no_data, reading, self.last_verdict(metric), at);
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        status.requests = load.map(|load| count(load.succeeded.saturating_add(load.failed)));
        status.errors = load.map(|load| count(load.failed));
        let all = &mut self.state.analysis;
        all.retain(|known| known.name != metric.name);
        all.push(status.clone());
        all.sort_by(|a, b| a.name.cmp(&b.name));
        status
    }

    /// What follows at once from a verdict on a metric that decides.
    fn follows(&self, metric: &Metric, status: &MetricStatus) -> Option<Consequence> {
        if metric.dry_run {
            return None;
        }
        let words = in_words(metric, status);
        if let (Some(value), Some(bound)) = (status.value, metric.abort_below)
            && value < bound
        {
            return Some(Consequence::Abort(
                Reason::AbortThreshold,
                format!("{words}; abortBelow is {bound}"),
            ));
        }
        let limit = self.analysis.failure_limit();
        if u32::try_from(status.failed).unwrap_or(0) >= limit && self.fails(status) {
            let message = format!("{words}; {} times in a row, failureLimit is {limit}", status.failed);
            return Some(Consequence::Fail(Reason::AnalysisFailed, message));
        }
        let pauses = self.analysis.on_error == Some(OnError::Pause);
        (status.verdict == Verdict::Error && pauses)
            .then(|| Consequence::Pause(status.reason.unwrap_or(Reason::MetricFailed), words))
    }

    fn fails(&self, status: &MetricStatus) -> bool {
        match status.verdict {
            Verdict::Fail => true,
            Verdict::NoData => self.analysis.on_no_data == Some(OnNoData::Fail),
            Verdict::Pass | Verdict::Error => false,
        }
    }

    /// When the first full window of this step is over, for a source without lag.
    pub fn fresh_at(&self) -> Option<Timestamp> {
        let entered = entered(self.rollout()?)?;
        Some(after(self.watched_from()?.max(entered), self.interval()))
    }

    /// Whether the analysis lets the rollout advance. The last verdict of each metric must be about a window of this step,
    /// and not older than two intervals, and its source must still report a full window.
    pub fn standing(&self) -> MetricStanding {
        let (Some(from), Some(fresh)) = (self.watched_from(), self.fresh_at()) else {
            return MetricStanding::Awaited("the step has not begun".to_owned());
        };
        let mut awaited = (self.now < fresh).then(|| self.await_words());
        let mut held = None;
        for metric in self.analysis.effective_metrics().iter().filter(|metric| !metric.dry_run) {
            let Some(last) = self.last_verdict(metric).filter(|last| last.at.0 > from) else {
                awaited.get_or_insert_with(|| self.await_words());
                continue;
            };
            if self.fails(last) {
                return MetricStanding::Failing(in_words(metric, last));
            }
            let passed = last.verdict == Verdict::Pass || self.analysis.on_no_data == Some(OnNoData::Pass);
            if !passed || last.verdict == Verdict::Error {
                held.get_or_insert((last.reason.unwrap_or(Reason::NoData), in_words(metric, last)));
            }
            let of_the_step = self.lag(metric).is_some_and(|lag| last.at.0 >= after(fresh, lag));
            let current =
                of_the_step && self.is_watched(metric) && after(last.at.0, self.interval() * 2) >= self.now;
            if !current {
                awaited.get_or_insert_with(|| self.await_words());
            }
        }
        match (held, awaited) {
            (Some((reason, words)), _) => MetricStanding::Held(reason, words),
            (None, Some(words)) => MetricStanding::Awaited(words),
            (None, None) => MetricStanding::Passed,
        }
    }

    /// Whether a full window is reported now. A control plane that began less than a window ago may have missed what came
    /// after the last verdict.
    fn is_watched(&self, metric: &Metric) -> bool {
        match (&metric.source, &self.seen.loads) {
            (MetricSource::LoadReport(_), ProxyReports::Reported { loads, .. }) => {
                loads.observed >= loads.window
            }
            _ => true,
        }
    }

    fn await_words(&self) -> String {
        format!(
            "a full window of {} since the step, the operator and the control plane began is awaited",
            long(self.interval())
        )
    }
}
