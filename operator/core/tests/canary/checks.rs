//! What must hold of each decision. Nothing here knows how decisions are made.

use std::time::Duration;

use fleetmesh_core::canary::{
    Action, AskOutcome, CanaryEffect, Observations, ProxyReports, Reduction, ReportingEndpoint, Spec, reduce,
    targets,
};
use fleetmesh_crds::canary::{MetricSource, MetricStatus, Retire, RolloutStatus, Verdict, WebhookType};
use fleetmesh_crds::{CanaryStatus, Phase, Verb};
use fleetmesh_model::route::WeightedTarget;
use jiff::{SignedDuration, Timestamp};

use crate::walk::{Walk, begins};

/// One decision and what it was made of.
pub struct CheckedStep<'a> {
    pub spec: &'a Spec,
    pub before: &'a CanaryStatus,
    pub seen: &'a Observations,
    pub now: Timestamp,
    pub reduction: &'a Reduction,
    pub walk: &'a Walk,
}

pub fn check(step: &CheckedStep<'_>) {
    weights_are_stable_or_spec_or_a_step_between(step);
    weights_are_monotone_within_a_rollout(step);
    no_advance_before_time_requests_acknowledgements_and_verdicts(step);
    verdicts_say_what_was_observed(step);
    load_reports_are_judged_by_requests_since_the_rollout_began(step);
    an_end_that_is_no_promotion_is_one_push_to_stable(step);
    an_aborted_rollout_stays_aborted(step);
    bounds(step);
    // These decide once or twice more each.
    if step.now.as_microsecond() / 1000 % 4 == 0 {
        a_revert_equals_an_abort(step);
        the_same_again_is_the_same(step);
    }
}

fn under_way(state: &CanaryStatus) -> Option<&RolloutStatus> {
    state.rollout.as_ref().filter(|_| state.phase != Some(Phase::Aborted))
}

pub fn ended(before: &CanaryStatus, after: &CanaryStatus) -> Option<Phase> {
    let news = after.history.first() != before.history.first();
    news.then(|| after.history.first().map(|entry| entry.outcome)).flatten()
}

/// The rollout before and the weight after, when it got further; 101 stands for the promotion.
pub fn advance<'a>(before: &'a CanaryStatus, after: &CanaryStatus) -> Option<(&'a RolloutStatus, i32)> {
    let rollout = under_way(before)?;
    if let Some(next) = under_way(after)
        && next.id == rollout.id
    {
        return (next.set_weight > rollout.set_weight).then_some((rollout, next.set_weight));
    }
    let entry = after.history.first().filter(|entry| entry.id == rollout.id)?;
    (entry.outcome == Phase::Promoted && ended(before, after).is_some()).then_some((rollout, 101))
}

pub fn serving(all: &[WeightedTarget]) -> Vec<(targets::TargetKey, i32)> {
    let mut all: Vec<_> =
        all.iter().filter(|one| one.weight > 0).map(|one| (targets::key(one), one.weight)).collect();
    all.sort();
    all
}

fn weights_are_stable_or_spec_or_a_step_between(step: &CheckedStep<'_>) {
    let state = &step.reduction.state;
    if step.spec.canary.is_none() || state.phase.is_none() {
        return assert!(state.effective_targets.is_empty());
    }
    let effective = serving(&state.effective_targets);
    let sum: i32 = effective.iter().map(|(_, weight)| weight).sum();
    let sum_of = |all: &[WeightedTarget]| serving(all).iter().map(|(_, weight)| weight).sum::<i32>();
    let Some(rollout) = under_way(state) else {
        return assert_eq!(effective, serving(&state.stable_targets));
    };
    match rollout.set_weight {
        0 => assert_eq!(effective, serving(&state.stable_targets)),
        100 => assert_eq!(effective, serving(&step.spec.targets)),
        percent => {
            let (from, to) = (sum_of(&state.stable_targets), sum_of(&rollout.targets));
            assert_eq!(sum, if from == to && to >= 100 { to } else { 100 });
            // Within one part of the exact share, and another of rounding a list whose sum is another.
            for (key, weight) in &effective {
                let share = |all: &[WeightedTarget], total: i32| {
                    let own = serving(all).iter().find(|(known, _)| known == key).map_or(0, |(_, own)| *own);
                    f64::from(own) / f64::from(total) * f64::from(sum)
                };
                let part = f64::from(percent) / 100.0;
                let exact =
                    share(&state.stable_targets, from) * (1.0 - part) + share(&rollout.targets, to) * part;
                assert!((exact - f64::from(*weight)).abs() <= 2.0, "{key:?}: {weight} instead of {exact}");
            }
        }
    }
}

fn weights_are_monotone_within_a_rollout(step: &CheckedStep<'_>) {
    let (before, after) = (step.before, &step.reduction.state);
    let (Some(was), Some(is)) = (under_way(before), under_way(after)) else { return };
    // Between two steps both are in parts of the same sum; the ends may be written in others.
    let between = |percent: i32| (1..100).contains(&percent);
    if was.id != is.id || !between(was.set_weight) || !between(is.set_weight) {
        return;
    }
    let weight = |all: &[WeightedTarget], key: &targets::TargetKey| {
        all.iter().find(|one| targets::key(one) == *key).map_or(0, |one| one.weight)
    };
    let grows = targets::growing(&after.stable_targets, &is.targets);
    for target in &after.effective_targets {
        let key = targets::key(target);
        let (old, new) = (weight(&before.effective_targets, &key), target.weight);
        let grower = grows.iter().any(|one| targets::key(one) == key);
        assert!(if grower { new >= old } else { new <= old + 1 }, "{key:?}: {old} to {new}");
    }
}

fn length(seconds: Duration) -> SignedDuration {
    SignedDuration::try_from(seconds).unwrap()
}

/// By what was observed and by the spec, not by what the decision says of itself.
fn no_advance_before_time_requests_acknowledgements_and_verdicts(step: &CheckedStep<'_>) {
    let Some((rollout, weight)) = advance(step.before, &step.reduction.state) else { return };
    let canary = step.spec.canary.as_ref().expect("a canary");
    assert!(step.walk.settled(step.seen, step.now), "not every proxy has the weights");
    let actions = step.seen.actions.iter().filter(|action| action.rollout_id == rollout.id);
    let verbs: Vec<Verb> = actions.map(|action| action.verb).chain(rollout.told).collect();
    if verbs.contains(&Verb::PromoteFull) {
        return;
    }
    let steps = canary.effective_steps();
    if weight < 101 && !rollout.skips_steps {
        let next = steps.iter().find(|one| one.set_weight > rollout.set_weight).expect("a next step");
        assert_eq!(weight, next.set_weight, "a step was left out");
    }
    if verbs.contains(&Verb::SkipStep) {
        return;
    }
    let confirmed = |type_: WebhookType| {
        let mut hooks = canary.webhooks.iter().filter(|hook| hook.type_ == type_);
        hooks.all(|hook| step.walk.confirmed(hook.effective_name(), rollout, step.seen))
    };
    let asked =
        if weight == 101 { WebhookType::ConfirmPromotion } else { WebhookType::ConfirmTrafficIncrease };
    assert!(confirmed(asked), "nobody asked {asked:?}");
    if rollout.set_weight == 0 {
        return assert!(confirmed(WebhookType::ConfirmRollout));
    }
    the_step_had_its_time_and_verdicts(step, rollout, verbs.contains(&Verb::Promote));
}

fn the_step_had_its_time_and_verdicts(step: &CheckedStep<'_>, rollout: &RolloutStatus, promoted: bool) {
    let canary = step.spec.canary.as_ref().expect("a canary");
    let steps = canary.effective_steps();
    let entered = step.walk.entered(&rollout.id, rollout.set_weight).unwrap_or(step.now);
    if let Some(own) = steps.iter().find(|one| one.set_weight == rollout.set_weight) {
        let pause = own.pause.map(|pause| pause.duration);
        let lasts = pause.flatten().map_or(SignedDuration::ZERO, |duration| length(duration.into()));
        assert!(promoted || pause != Some(None), "nobody promoted");
        assert!(promoted || step.now >= entered + lasts, "before its time");
        assert!(step.walk.requests(entered) >= own.min_requests.unwrap_or(0), "too few requests");
    }
    let analysis = canary.effective_analysis();
    let fresh = entered.max(step.seen.since) + length(analysis.interval());
    assert!(step.now >= fresh, "before a full fresh window");
    for metric in analysis.effective_metrics().iter().filter(|metric| !metric.dry_run) {
        assert!(step.walk.passed(metric, fresh, step.seen), "{} did not pass since {fresh}", metric.name);
    }
}

/// A verdict that is new is the one that the observation demands.
fn verdicts_say_what_was_observed(step: &CheckedStep<'_>) {
    let (before, after) = (step.before, &step.reduction.state);
    let Some(canary) = &step.spec.canary else { return };
    for metric in canary.effective_analysis().effective_metrics() {
        let find = |state: &CanaryStatus| state.analysis.iter().find(|one| one.name == metric.name).cloned();
        let Some(status) = find(after).filter(|status| find(before).is_none_or(|old| old.at != status.at))
        else {
            continue;
        };
        let value = match &metric.source {
            MetricSource::Prometheus(_) => step.seen.samples.iter().rev().find_map(|sample| {
                let own = sample.metric == metric.name && sample.at.min(step.now) == status.at.0;
                match &sample.outcome {
                    AskOutcome::Value(value) if own && value.is_finite() => Some(*value),
                    _ => None,
                }
            }),
            MetricSource::LoadReport(_) => {
                step.walk.rate(step.seen).filter(|_| status.verdict != Verdict::Error)
            }
        };
        let expected = match value {
            Some(value) if metric.threshold_range.contains(value) => vec![Verdict::Pass],
            Some(_) => vec![Verdict::Fail],
            None => vec![Verdict::NoData, Verdict::Error],
        };
        assert!(expected.contains(&status.verdict), "{status:?} of {value:?}");
        if let (Some(value), Some(bound)) = (value, metric.abort_below)
            && value < bound
            && !metric.dry_run
        {
            assert_eq!(after.phase, Some(Phase::Aborted), "{value} is below {bound}");
        }
    }
}

/// Not a request counts that ended before the first weight of this rollout, or before this process began.
fn load_reports_are_judged_by_requests_since_the_rollout_began(step: &CheckedStep<'_>) {
    let (before, after) = (step.before, &step.reduction.state);
    let Some(canary) = &step.spec.canary else { return };
    for metric in canary.effective_analysis().effective_metrics() {
        let find = |state: &CanaryStatus| state.analysis.iter().find(|one| one.name == metric.name).cloned();
        let news = |one: &MetricStatus| find(before).is_none_or(|old| old.at != one.at);
        let judged = find(after).filter(|one| one.requests.is_some() && news(one));
        let (Some(judged), MetricSource::LoadReport(_)) = (judged, &metric.source) else { continue };
        let ProxyReports::Reported { at, loads } = &step.seen.loads else { panic!("{judged:?} of nothing") };
        // A rollout that was ended by this very verdict is not under way any more, but was before.
        let rollout =
            after.rollout.as_ref().filter(|one| one.fresh_since.is_some()).or(before.rollout.as_ref());
        let fresh = rollout.and_then(|rollout| rollout.fresh_since.clone()).expect("requests were sent");
        let begun = begins(*at, loads);
        assert!(begun >= fresh.0.max(step.seen.since), "{judged:?} contains {begun}, before {}", fresh.0);
    }
}

fn an_end_that_is_no_promotion_is_one_push_to_stable(step: &CheckedStep<'_>) {
    let (before, after) = (step.before, &step.reduction.state);
    if step.spec.canary.is_none() {
        return;
    }
    if matches!(ended(before, after), Some(Phase::Aborted | Phase::RolledBack | Phase::Superseded)) {
        let shares = |all: &[WeightedTarget]| targets::same_shares(all, &before.stable_targets);
        assert!(shares(&after.stable_targets));
        // Where the stable targets are in force already, the next rollout may take its first step at once.
        let has = |endpoint: &ReportingEndpoint| matches!(endpoint, ReportingEndpoint::Has { targets, .. } if shares(targets));
        assert!(shares(&after.effective_targets) || has(&step.seen.endpoint));
    }
}

fn an_aborted_rollout_stays_aborted(step: &CheckedStep<'_>) {
    let (before, after) = (step.before, &step.reduction.state);
    let (Some(Phase::Aborted), Some(rollout)) = (before.phase, &before.rollout) else { return };
    let retried = step.seen.actions.iter().any(|action| action.verb == Verb::Retry);
    let same = targets::same_shares(&rollout.targets, &step.spec.targets);
    if same && !retried && step.spec.canary.is_some() {
        assert_eq!((after.phase, after.rollouts), (Some(Phase::Aborted), before.rollouts));
        assert_eq!(serving(&after.effective_targets), serving(&before.effective_targets));
    }
}

/// What a revert of the spec puts into force is what an abort does.
fn a_revert_equals_an_abort(step: &CheckedStep<'_>) {
    let state = &step.reduction.state;
    let (Some(rollout), Some(_)) = (under_way(state), &step.spec.canary) else { return };
    let quiet = Observations { actions: Vec::new(), ..step.seen.clone() };
    let back = Spec { targets: state.stable_targets.clone(), ..step.spec.clone() };
    let reverted = reduce(&back, state, &quiet, step.now).state;
    let abort = Action {
        name: "abort".to_owned(),
        uid: "abort".to_owned(),
        verb: Verb::Abort,
        rollout_id: rollout.id.clone(),
        step_index: None,
    };
    let acted = Observations { actions: vec![abort], ..quiet };
    let aborted = reduce(step.spec, state, &acted, step.now).state;
    assert_eq!((reverted.phase, aborted.phase), (Some(Phase::RolledBack), Some(Phase::Aborted)));
    assert_eq!(serving(&reverted.effective_targets), serving(&aborted.effective_targets));
    assert_eq!(serving(&aborted.effective_targets), serving(&state.stable_targets));
}

/// A decision whose status was not written is made again; one that was written, of the same observations, takes no step.
fn the_same_again_is_the_same(step: &CheckedStep<'_>) {
    let again = reduce(step.spec, step.before, step.seen, step.now);
    assert_eq!(&again, step.reduction);
    let state = &step.reduction.state;
    let next = reduce(step.spec, state, step.seen, step.now).state;
    if serving(&state.effective_targets) != serving(&step.before.effective_targets) {
        // The endpoint that was observed does not have them.
        assert!(advance(state, &next).is_none(), "two steps of one observation");
    }
    assert_eq!(next.rollouts, state.rollouts, "two rollouts of one change");
    assert_eq!(next.history.len(), state.history.len().max(next.history.len()));
}

fn bounds(step: &CheckedStep<'_>) {
    let Reduction { state, effects, verdicts, keep, look, conditions, triggers: _ } = step.reduction;
    assert!(state.effective_targets.len() <= targets::MAX_TARGETS);
    assert!(state.effective_targets.iter().all(|target| (0..=100).contains(&target.weight)));
    assert!(state.history.len() <= 10 && state.actions.len() <= 10 && state.draining.len() <= 20);
    assert!(look.is_none_or(|look| look > step.now));
    assert_eq!(verdicts.len(), step.seen.actions.len());
    let Some(canary) = &step.spec.canary else { return };
    assert!(state.effective_targets.iter().all(|target| keep.contains(&target.virtual_node)));
    assert!(state.stable_targets.iter().all(|target| keep.contains(&target.virtual_node)));
    assert!(conditions.iter().all(|(_, finding)| !finding.message.is_empty()));
    for effect in effects {
        let retire = canary.effective_drain().retire();
        match effect {
            CanaryEffect::Delete { virtual_node } => {
                assert!(
                    retire == Retire::Delete
                        && !targets::serving_nodes(&state.stable_targets).contains(virtual_node.as_str())
                );
                assert!(!targets::serving_nodes(&state.effective_targets).contains(virtual_node.as_str()));
            }
            CanaryEffect::ScaleToZero { virtual_node } => {
                assert!(retire == Retire::ScaleToZero);
                assert!(!targets::serving_nodes(&state.effective_targets).contains(virtual_node.as_str()));
            }
            _ => {}
        }
    }
}
