//! What must hold of a rollout whatever happened to its operator: each step once, in order, and not before its time. Pure.

use anyhow::{Context as _, Result, ensure};
use fleetmesh_crds::CanaryStatus;
use fleetmesh_crds::canary::{Phase, RolloutStatus, Verdict};
use jiff::{SignedDuration, Timestamp};

use super::objects::{PAUSE, Story, WINDOW};
use super::record::SeenWrites;

/// That the endpoint was given the weights of `story`'s steps one after the other, and the states say the same.
pub fn course(seen: &SeenWrites, story: Story, names: [&str; 2]) -> Result<()> {
    let given = given(seen, names)?;
    let weights: Vec<[i32; 2]> = given.iter().map(|(_, weights)| *weights).collect();
    ensure!(weights == story.course(), "the endpoint was given {weights:?}, not {:?}", story.course());
    let mut id = None;
    for pair in seen.states.windows(2) {
        let [before, after] = pair else { continue };
        if let (Some(one), Some(next)) = (under_way(before), under_way(after)) {
            ensure!(one.id == next.id, "another rollout began: {}", next.id);
            progress(before, one, after, next)?;
        }
        if let Some(rollout) = under_way(after) {
            ensure!(*id.get_or_insert(&rollout.id) == &rollout.id, "a second rollout began");
        }
    }
    let steps = story.steps();
    for (step, weight) in (1..).zip(steps) {
        let taken = seen.states.iter().filter_map(under_way).find(|rollout| rollout.step_index == step);
        if story == Story::Abort && step > 1 {
            ensure!(taken.is_none(), "step {step} of a rollout that is aborted in step 1");
            continue;
        }
        let taken = taken.with_context(|| format!("step {step} was not taken"))?;
        ensure!(taken.set_weight == *weight, "step {step} has {} percent", taken.set_weight);
        // The first weights of all only make the new node known.
        let (at, _) = given.get(usize::try_from(step)?).context("weights")?;
        ensure!(
            *at >= taken.last_progress_at.0,
            "the endpoint was given step {step} before it was written down"
        );
    }
    Ok(())
}

/// The weights of the old and the new node as they were given, without repetitions: giving the same again does no harm.
fn given(seen: &SeenWrites, names: [&str; 2]) -> Result<Vec<(Timestamp, [i32; 2])>> {
    let mut given: Vec<(Timestamp, [i32; 2])> = Vec::new();
    for (at, targets) in &seen.given {
        let of = |name: &str| targets.iter().find(|(node, _)| node == name).map_or(0, |(_, weight)| *weight);
        let weights = names.map(of);
        ensure!(targets.iter().map(|(_, weight)| weight).sum::<i32>() == 100, "{targets:?} at {at}");
        ensure!(weights.iter().sum::<i32>() == 100, "others have a weight in {targets:?} at {at}");
        if given.last().is_none_or(|(_, last)| *last != weights) {
            given.push((*at, weights));
        }
    }
    Ok(given)
}

fn under_way(state: &CanaryStatus) -> Option<&RolloutStatus> {
    state.rollout.as_ref().filter(|_| state.phase != Some(Phase::Aborted))
}

/// From one written state to the next: the same step, or the next one when the step was over.
fn progress(
    before: &CanaryStatus,
    one: &RolloutStatus,
    after: &CanaryStatus,
    next: &RolloutStatus,
) -> Result<()> {
    let (from, to) = (one.step_index, next.step_index);
    if from == to {
        ensure!(one.set_weight == next.set_weight, "step {from} changed its weight");
        let (entered, still) = (&one.step_entered_at, &next.step_entered_at);
        ensure!(entered.is_none() || entered == still, "step {from} began again: {entered:?}, {still:?}");
        return Ok(());
    }
    ensure!(to == from + 1, "step {to} follows step {from}");
    if from == 0 {
        return Ok(());
    }
    let (entered, due) = times(before, one, from)?;
    let left = next.last_progress_at.0;
    ensure!(left >= due, "step {from} was left at {left}, before {due}");
    let window = entered + SignedDuration::try_from(WINDOW)?;
    for metric in &after.analysis {
        ensure!(metric.verdict == Verdict::Pass, "step {from} was left with {metric:?}");
        ensure!(metric.at.0 >= window, "step {from} was left without a window of its own: {metric:?}");
    }
    ensure!(!after.analysis.is_empty(), "step {from} was left unjudged");
    Ok(())
}

/// When a step was entered, and when it may be left at the earliest. That it was entered the struck operator may not have got
/// written down before the step was over: then it was not before it was decided.
fn times(before: &CanaryStatus, one: &RolloutStatus, step: i32) -> Result<(Timestamp, Timestamp)> {
    let pause = SignedDuration::try_from(PAUSE)?;
    let Some(entered) = &one.step_entered_at else {
        let decided = one.last_progress_at.0;
        return Ok((decided, decided + pause));
    };
    let settled = before.dataplane.as_ref().and_then(|plane| plane.settled_at.as_ref());
    ensure!(
        settled.is_some_and(|settled| settled.0 <= entered.0),
        "step {step} began before the proxy had it"
    );
    let due = one.next_step_not_before.as_ref().context("a step was left that had no end")?.0;
    ensure!(due >= entered.0 + pause, "step {step} was cut short");
    Ok((entered.0, due))
}
