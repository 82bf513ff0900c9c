//! The rules of `canary`. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use fleetmesh_model::rule::{Rule, Violations};
use kube_core::Duration as DurationText;

use crate::canary::analysis::{ABORT_BELOW_MIN, BOUNDS_IN_ORDER, PERCENT, SOME_BOUND};
use crate::canary::duration::{UP_TO_1_MINUTE, UP_TO_10_MINUTES, UP_TO_30_DAYS};
use crate::canary::step::INCREASING;
use crate::canary::webhook::{NAMES_ONCE, PATH_OF_A_PROVIDER};
use crate::canary::{Analysis, Canary, Metric, MetricSource, Step, Webhook};

const MINUTE: Duration = Duration::from_secs(60);
const DAYS: Duration = Duration::from_secs(720 * 3600);

pub(super) fn judge(canary: &Canary, found: &mut Violations) {
    canary.analysis.iter().for_each(|analysis| judge_analysis(analysis, found));
    canary.steps.iter().for_each(|steps| judge_steps(steps, found));
    judge_webhooks(&canary.webhooks, found);
}

fn within(at: &str, given: Option<DurationText>, longest: Duration, rule: &Rule, found: &mut Violations) {
    let Some(given) = given else { return };
    if !(Duration::from_secs(1)..=longest).contains(&Duration::from(given)) {
        found.broken(at, rule, format!("{given:?}"));
    }
}

fn judge_analysis(analysis: &Analysis, found: &mut Violations) {
    let at = "spec.canary.analysis";
    within(&format!("{at}.holdTimeout"), analysis.hold_timeout, DAYS, &UP_TO_30_DAYS, found);
    within(&format!("{at}.interval"), analysis.interval, 10 * MINUTE, &UP_TO_10_MINUTES, found);
    for (index, metric) in analysis.metrics.iter().flatten().enumerate() {
        judge_metric(&format!("{at}.metrics[{index}]"), metric, found);
    }
}

fn judge_metric(at: &str, metric: &Metric, found: &mut Violations) {
    let range = metric.threshold_range;
    let bounds = format!("min {:?}, max {:?}", range.min, range.max);
    if range.min.is_none() && range.max.is_none() {
        found.broken(&format!("{at}.thresholdRange"), &SOME_BOUND, "neither");
    }
    if range.min.zip(range.max).is_some_and(|(min, max)| min > max) {
        found.broken(&format!("{at}.thresholdRange"), &BOUNDS_IN_ORDER, &bounds);
    }
    if metric.abort_below.zip(range.min).is_some_and(|(below, min)| below > min) {
        found.broken(at, &ABORT_BELOW_MIN, format!("{:?}, {bounds}", metric.abort_below));
    }
    let mut numbers = range.min.iter().chain(&range.max);
    if matches!(metric.source, MetricSource::LoadReport(_))
        && numbers.any(|number| !(0.0..=100.0).contains(number))
    {
        found.broken(at, &PERCENT, &bounds);
    }
}

fn judge_steps(steps: &[Step], found: &mut Violations) {
    for (index, step) in steps.iter().enumerate() {
        let at = format!("spec.canary.steps[{index}].pause.duration");
        within(&at, step.pause.and_then(|pause| pause.duration), DAYS, &UP_TO_30_DAYS, found);
    }
    if let Some(pair) = steps.windows(2).find(|pair| pair[0].set_weight >= pair[1].set_weight) {
        let weights = format!("{} and then {}", pair[0].set_weight, pair[1].set_weight);
        found.broken("spec.canary.steps", &INCREASING, weights);
    }
}

fn judge_webhooks(webhooks: &[Webhook], found: &mut Violations) {
    let mut names = BTreeSet::new();
    if let Some(webhook) = webhooks.iter().find(|webhook| !names.insert(webhook.effective_name())) {
        found.broken("spec.canary.webhooks", &NAMES_ONCE, format!("{} twice", webhook.effective_name()));
    }
    for (index, webhook) in webhooks.iter().enumerate() {
        let at = format!("spec.canary.webhooks[{index}]");
        within(&format!("{at}.timeout"), webhook.timeout, MINUTE, &UP_TO_1_MINUTE, found);
        if webhook.path.is_some() && webhook.provider.is_none() {
            found.broken(&at, &PATH_OF_A_PROVIDER, "no provider");
        }
    }
}
