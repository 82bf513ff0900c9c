//! What must hold of every decision, whatever is observed. Random walks: each draws a route, its targets and its canary, and
//! then decision after decision about what a hostile world shows; the checks know nothing of how decisions are made.

use std::time::{Duration, Instant};

use fleetmesh_core::canary::{
    Action, Effect, Endpoint, Observations, Outcome, Reduction, Spec, reduce, targets, weights,
};
use fleetmesh_crds::canary::{MetricSource, Retire, RolloutStatus, Verdict, WebhookType};
use fleetmesh_crds::{ActionPhase, CanaryStatus, Phase, Verb};
use fleetmesh_model::route::WeightedTarget;
use jiff::{SignedDuration, Timestamp};

use crate::draw::{self, Walk};

/// How many walks; each makes [`DECISIONS`] of them.
const WALKS: u64 = 100_000;
const DECISIONS: usize = 12;
/// Half of the walks each, at the same time.
const SHARDS: u64 = 2;

/// One decision and what it was made of.
pub struct Step<'a> {
    pub spec: &'a Spec,
    pub before: &'a CanaryStatus,
    pub seen: &'a Observations,
    pub now: Timestamp,
    pub reduction: &'a Reduction,
    pub walk: &'a Walk,
}

#[test]
fn every_decision_keeps_its_promises_even_shards() {
    walks(0);
}

#[test]
fn every_decision_keeps_its_promises_odd_shards() {
    walks(1);
}

fn walks(shard: u64) {
    if let Ok(seed) = std::env::var("WALK") {
        walk(seed.parse().unwrap());
        return;
    }
    let begun = Instant::now();
    let mut seen = Seen::default();
    for seed in (shard..WALKS).step_by(usize::try_from(SHARDS).unwrap()) {
        let result = std::panic::catch_unwind(|| walk(seed));
        seen.add(&result.unwrap_or_else(|_| panic!("seed {seed}")));
    }
    println!("{} walks, {} s: {seen:?}", WALKS / SHARDS, begun.elapsed().as_secs_f32());
    seen.check();
}

/// What walks came across: a property that is never put to the test says nothing.
#[derive(Clone, Debug, Default)]
struct Seen {
    started: u64,
    advanced: u64,
    promoted: u64,
    aborted: u64,
    rolled_back: u64,
    superseded: u64,
    held: u64,
    paused: u64,
    applied: u64,
    skipped: u64,
    restarts: u64,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.advanced += other.advanced;
        self.promoted += other.promoted;
        self.aborted += other.aborted;
        self.rolled_back += other.rolled_back;
        self.superseded += other.superseded;
        self.held += other.held;
        self.paused += other.paused;
        self.applied += other.applied;
        self.skipped += other.skipped;
        self.restarts += other.restarts;
    }

    fn check(&self) {
        let Self { started, advanced, promoted, aborted, rolled_back, superseded, .. } = self;
        let Self { held, paused, applied, skipped, restarts, .. } = self;
        let all = [
            started,
            advanced,
            promoted,
            aborted,
            rolled_back,
            superseded,
            held,
            paused,
            applied,
            skipped,
            restarts,
        ];
        assert!(all.into_iter().all(|count| *count > 200), "{self:?}");
    }

    fn note(&mut self, step: &Step<'_>) {
        let (before, after) = (step.before, &step.reduction.state);
        let ended = ended(before, after);
        self.started += u64::from(after.rollouts > before.rollouts);
        self.advanced += u64::from(advance(before, after).is_some());
        self.promoted += u64::from(ended == Some(Phase::Promoted));
        self.aborted += u64::from(ended == Some(Phase::Aborted));
        self.rolled_back += u64::from(ended == Some(Phase::RolledBack));
        self.superseded += u64::from(ended == Some(Phase::Superseded));
        self.held += u64::from(after.phase == Some(Phase::Held));
        self.paused += u64::from(after.phase == Some(Phase::Paused));
        self.applied +=
            step.reduction.verdicts.iter().filter(|one| one.phase == ActionPhase::Applied).count() as u64;
        self.skipped += u64::from(after.rollout.as_ref().is_some_and(|one| one.skips_steps));
        self.restarts += u64::from(step.seen.since > draw::start());
    }
}

fn walk(seed: u64) -> Seen {
    let mut walk = Walk::new(seed);
    let mut noted = Seen::default();
    for _ in 0..DECISIONS {
        let (seen, now) = walk.next();
        let before = walk.state.clone();
        let reduction = reduce(&walk.spec, &before, &seen, now);
        let step =
            Step { spec: &walk.spec, before: &before, seen: &seen, now, reduction: &reduction, walk: &walk };
        if std::env::var_os("WALK").is_some() {
            let short = |state: &CanaryStatus| {
                let rollout = state.rollout.as_ref();
                let line = rollout.map(|one| {
                    format!("{} {} {:?} {:?}", one.id, one.step, one.hold, targets::in_short(&one.targets))
                });
                let ends = state
                    .history
                    .iter()
                    .map(|one| format!("{:?} {}", one.outcome, one.id))
                    .collect::<Vec<_>>();
                format!(
                    "{:?} {} / {} {line:?} {ends:?}",
                    state.phase,
                    targets::in_short(&state.stable_targets),
                    targets::in_short(&state.effective_targets)
                )
            };
            println!(
                "{now} {:?} {:?}\n  spec {}\n  {}\n  {}\n",
                seen.endpoint,
                seen.actions,
                targets::in_short(&walk.spec.targets),
                short(&before),
                short(&reduction.state)
            );
        }
        check(&step);
        noted.note(&step);
        walk.follow(&reduction, &seen);
    }
    noted
}

fn check(step: &Step<'_>) {
    weights_are_stable_or_spec_or_a_step_between(step);
    weights_are_monotone_within_a_rollout(step);
    no_advance_before_time_requests_acknowledgements_and_verdicts(step);
    verdicts_say_what_was_observed(step);
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

fn ended(before: &CanaryStatus, after: &CanaryStatus) -> Option<Phase> {
    let news = after.history.first() != before.history.first();
    news.then(|| after.history.first().map(|entry| entry.outcome)).flatten()
}

/// The rollout before and the weight after, when it got further; 101 stands for the promotion.
fn advance<'a>(before: &'a CanaryStatus, after: &CanaryStatus) -> Option<(&'a RolloutStatus, i32)> {
    let rollout = under_way(before)?;
    if let Some(next) = under_way(after)
        && next.id == rollout.id
    {
        return (next.set_weight > rollout.set_weight).then_some((rollout, next.set_weight));
    }
    let entry = after.history.first().filter(|entry| entry.id == rollout.id)?;
    (entry.outcome == Phase::Promoted && ended(before, after).is_some()).then_some((rollout, 101))
}

fn serving(all: &[WeightedTarget]) -> Vec<(targets::Key, i32)> {
    let mut all: Vec<_> =
        all.iter().filter(|one| one.weight > 0).map(|one| (targets::key(one), one.weight)).collect();
    all.sort();
    all
}

fn weights_are_stable_or_spec_or_a_step_between(step: &Step<'_>) {
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

fn weights_are_monotone_within_a_rollout(step: &Step<'_>) {
    let (before, after) = (step.before, &step.reduction.state);
    let (Some(was), Some(is)) = (under_way(before), under_way(after)) else { return };
    // Between two steps both are in parts of the same sum; the ends may be written in others.
    let between = |percent: i32| (1..100).contains(&percent);
    if was.id != is.id || !between(was.set_weight) || !between(is.set_weight) {
        return;
    }
    let weight = |all: &[WeightedTarget], key: &targets::Key| {
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
fn no_advance_before_time_requests_acknowledgements_and_verdicts(step: &Step<'_>) {
    let Some((rollout, weight)) = advance(step.before, &step.reduction.state) else { return };
    let canary = step.spec.canary.as_ref().expect("a canary");
    assert!(step.walk.settled(step.seen, step.now), "not every proxy has the weights");
    let told = step.seen.actions.iter().filter(|action| action.rollout_id == rollout.id);
    let told: Vec<Verb> = told.map(|action| action.verb).chain(rollout.told).collect();
    if told.contains(&Verb::PromoteFull) {
        return;
    }
    let steps = canary.effective_steps();
    if weight < 101 && !rollout.skips_steps {
        let next = steps.iter().find(|one| one.set_weight > rollout.set_weight).expect("a next step");
        assert_eq!(weight, next.set_weight, "a step was left out");
    }
    if told.contains(&Verb::SkipStep) {
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
    let entered = step.walk.entered(&rollout.id, rollout.set_weight).unwrap_or(step.now);
    if let Some(own) = steps.iter().find(|one| one.set_weight == rollout.set_weight) {
        let pause = own.pause.map(|pause| pause.duration);
        let lasts = pause.flatten().map_or(SignedDuration::ZERO, |duration| length(duration.into()));
        let promoted = told.contains(&Verb::Promote);
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
fn verdicts_say_what_was_observed(step: &Step<'_>) {
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
                    Outcome::Value(value) if own && value.is_finite() => Some(*value),
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

fn an_end_that_is_no_promotion_is_one_push_to_stable(step: &Step<'_>) {
    let (before, after) = (step.before, &step.reduction.state);
    if step.spec.canary.is_none() {
        return;
    }
    if matches!(ended(before, after), Some(Phase::Aborted | Phase::RolledBack | Phase::Superseded)) {
        let shares = |all: &[WeightedTarget]| targets::same_shares(all, &before.stable_targets);
        assert!(shares(&after.stable_targets));
        // Where the stable targets are in force already, the next rollout may take its first step at once.
        let has = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Has { targets, .. } if shares(targets));
        assert!(shares(&after.effective_targets) || has(&step.seen.endpoint));
    }
}

fn an_aborted_rollout_stays_aborted(step: &Step<'_>) {
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
fn a_revert_equals_an_abort(step: &Step<'_>) {
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
    let told = Observations { actions: vec![abort], ..quiet };
    let aborted = reduce(step.spec, state, &told, step.now).state;
    assert_eq!((reverted.phase, aborted.phase), (Some(Phase::RolledBack), Some(Phase::Aborted)));
    assert_eq!(serving(&reverted.effective_targets), serving(&aborted.effective_targets));
    assert_eq!(serving(&aborted.effective_targets), serving(&state.stable_targets));
}

/// A decision whose status was not written is made again; one that was written, of the same observations, takes no step.
fn the_same_again_is_the_same(step: &Step<'_>) {
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

fn bounds(step: &Step<'_>) {
    let Reduction { state, effects, verdicts, keep, look, conditions } = step.reduction;
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
            Effect::Delete { virtual_node } => {
                assert!(
                    retire == Retire::Delete
                        && !targets::serving_nodes(&state.stable_targets).contains(virtual_node.as_str())
                );
                assert!(!targets::serving_nodes(&state.effective_targets).contains(virtual_node.as_str()));
            }
            Effect::ScaleToZero { virtual_node } => {
                assert!(retire == Retire::ScaleToZero);
                assert!(!targets::serving_nodes(&state.effective_targets).contains(virtual_node.as_str()));
            }
            _ => {}
        }
    }
}

/// Steps alone, whatever the lists: exact at the ends, in sum, monotone and within one part of the exact share.
#[test]
fn weights_between_lists_are_exact_and_monotone() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let total = random.i32(100..=300);
        let (from, to) = (draw::list_of_sum(&mut random, total), draw::list_of_sum(&mut random, total));
        let mut last: Option<Vec<WeightedTarget>> = None;
        let mut percent = 0;
        while percent <= 100 {
            let now = weights::between(&from, &to, u32::try_from(percent).unwrap());
            assert_eq!(now.iter().map(|target| target.weight).sum::<i32>(), total);
            for target in &now {
                let of = |all: &[WeightedTarget]| {
                    all.iter()
                        .find(|one| targets::key(one) == targets::key(target))
                        .map_or(0, |one| one.weight)
                };
                let exact = f64::from(of(&from) * (100 - percent) + of(&to) * percent) / 100.0;
                assert!((f64::from(target.weight) - exact).abs() < 1.5, "{exact} {target:?}");
                assert!((0..=100).contains(&target.weight));
                let before = last.as_deref().map_or(target.weight, of);
                let (low, high) = (of(&from).min(of(&to)), of(&from).max(of(&to)));
                assert!((low..=high).contains(&target.weight));
                assert!(if of(&to) >= of(&from) { target.weight >= before } else { target.weight <= before });
            }
            last = Some(now);
            percent += random.i32(1..=20);
        }
    }
    assert_eq!(serving(&weights::between(&[], &[], 50)), []);
}
