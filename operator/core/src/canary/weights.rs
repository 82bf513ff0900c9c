//! The weights on the way from the stable targets to the spec's. Pure.
//!
//! - 0 percent is exactly the stable weights, 100 percent exactly the spec's. In both cases every target of both lists is
//!   present, so that the proxies know it before it gets requests and as long as it has some.
//! - Steps in between are in parts of the lists' own sum when both have the same sum and it is at least 100, and otherwise in
//!   parts of 100: weights are relative, and a sum of 1 could not express 25 percent.
//! - As many parts as the rounded percentage move from the targets that lose to those that gain. They are distributed by
//!   Balinski and Young's quota method: every target is within one part of its exact share, as with the largest remainder, but
//!   no target ever gives back what it got: weights are monotone from step to step, however many targets there are.

use std::collections::BTreeMap;

use fleetmesh_model::route::WeightedTarget;

use super::targets::{TargetKey, key, sum, weighing, weights, with_zeros};

/// The targets `percent` of the way from `stable` to `spec`, 0 to 100. First those of the spec, in its order.
pub fn between(stable: &[WeightedTarget], spec: &[WeightedTarget], percent: u32) -> Vec<WeightedTarget> {
    match percent {
        0 => with_zeros(stable.to_vec(), spec),
        1..=99 => {
            let total = total(stable, spec);
            let (from, to) = (scaled(stable, total), scaled(spec, total));
            let moved = moved(&from, &to, percent);
            with_zeros(spec.to_vec(), stable)
                .iter()
                .map(|target| weighing(target, moved.get(&key(target)).copied().unwrap_or(0)))
                .collect()
        }
        _ => with_zeros(spec.to_vec(), stable),
    }
}

/// What the weights between sum to.
pub fn total(stable: &[WeightedTarget], spec: &[WeightedTarget]) -> u32 {
    match (sum(stable), sum(spec)) {
        (from, to) if from == to && to >= 100 => to,
        _ => 100,
    }
}

/// The weights as parts of `total`.
fn scaled(targets: &[WeightedTarget], total: u32) -> BTreeMap<TargetKey, u32> {
    let own = weights(targets);
    if own.values().sum::<u32>() == total { own } else { apportion(&own, total) }
}

fn moved(
    from: &BTreeMap<TargetKey, u32>,
    to: &BTreeMap<TargetKey, u32>,
    percent: u32,
) -> BTreeMap<TargetKey, u32> {
    let part = |targets: &BTreeMap<TargetKey, u32>, key: &TargetKey| targets.get(key).copied().unwrap_or(0);
    let difference =
        |a: &BTreeMap<TargetKey, u32>, b: &BTreeMap<TargetKey, u32>| -> BTreeMap<TargetKey, u32> {
            a.iter().map(|(key, weight)| (key.clone(), weight.saturating_sub(part(b, key)))).collect()
        };
    let (gains, losses) = (difference(to, from), difference(from, to));
    let parts = (gains.values().sum::<u32>() * percent + 50) / 100;
    let (gained, lost) = (apportion(&gains, parts), apportion(&losses, parts));
    let keys = from.keys().chain(to.keys());
    keys.map(|key| (key.clone(), part(from, key) + part(&gained, key) - part(&lost, key))).collect()
}

/// Shares out `parts` in proportion to `claims`, whose sum is greater than 0 unless `parts` is 0.
fn apportion(claims: &BTreeMap<TargetKey, u32>, parts: u32) -> BTreeMap<TargetKey, u32> {
    let sum: u64 = claims.values().map(|claim| u64::from(*claim)).sum();
    let mut given: Vec<(&TargetKey, u64, u64)> =
        claims.iter().map(|(key, claim)| (key, u64::from(*claim), 0)).collect();
    for part in 1..=u64::from(parts) {
        // Who would not get beyond the upper quota of this many parts, and of those who is owed most: claim/(given+1).
        let eligible = given.iter_mut().filter(|(_, claim, got)| got * sum < claim * part);
        let next = eligible
            .reduce(|best, other| if other.1 * (best.2 + 1) > best.1 * (other.2 + 1) { other } else { best });
        if let Some((_, _, got)) = next {
            *got += 1;
        }
    }
    given.into_iter().map(|(key, _, got)| (key.clone(), u32::try_from(got).unwrap_or(u32::MAX))).collect()
}
