//! Weighted targets as sets of shares: which are the same, which are new, which lose everything. Pure.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_model::route::WeightedTarget;

/// The most targets of a route (App Mesh).
pub const MAX_TARGETS: usize = 10;

/// What distinguishes targets: the virtual node and its port.
pub type TargetKey = (String, Option<i32>);

/// What distinguishes `target` from others.
pub fn key(target: &WeightedTarget) -> TargetKey {
    (target.virtual_node.clone(), target.port)
}

/// The target with another weight.
pub fn weighing(target: &WeightedTarget, weight: u32) -> WeightedTarget {
    WeightedTarget { weight: i32::try_from(weight).unwrap_or(i32::MAX), ..target.clone() }
}

/// The target's weight; one out of App Mesh's bounds, which the API server does not let in, is the bound.
pub fn weight(target: &WeightedTarget) -> u32 {
    u32::try_from(target.weight.clamp(0, 100)).unwrap_or(0)
}

/// The sum of the weights.
pub fn sum(targets: &[WeightedTarget]) -> u32 {
    targets.iter().map(weight).sum()
}

/// The weight of each target.
pub fn weights(targets: &[WeightedTarget]) -> BTreeMap<TargetKey, u32> {
    targets.iter().map(|target| (key(target), weight(target))).collect()
}

/// Whether both lists have the same targets with the same weights, in whatever order.
pub fn same(a: &[WeightedTarget], b: &[WeightedTarget]) -> bool {
    a.len() == b.len() && (a == b || weights(a) == weights(b))
}

/// Whether both share requests in the same way: targets of weight 0 and the scale of the weights do not matter.
pub fn same_shares(a: &[WeightedTarget], b: &[WeightedTarget]) -> bool {
    if a == b {
        return true;
    }
    let (a_sum, b_sum) = (sum(a), sum(b));
    let shares = |targets: &[WeightedTarget], scale: u32| -> BTreeMap<TargetKey, u32> {
        let served = targets.iter().filter(|target| target.weight > 0);
        served.map(|target| (key(target), weight(target) * scale)).collect()
    };
    shares(a, b_sum) == shares(b, a_sum)
}

/// The targets whose share grows from `from` to `to`: the ones that a rollout is about.
pub fn growing(from: &[WeightedTarget], to: &[WeightedTarget]) -> Vec<WeightedTarget> {
    let (before, from_sum, to_sum) = (weights(from), sum(from), sum(to));
    let grows = |target: &&WeightedTarget| {
        let share = before.get(&key(target)).copied().unwrap_or(0);
        weight(target) * from_sum > share * to_sum
    };
    to.iter().filter(grows).cloned().collect()
}

/// The targets that have a weight in `from` and none in `to`.
pub fn losing(from: &[WeightedTarget], to: &[WeightedTarget]) -> Vec<WeightedTarget> {
    let after = weights(to);
    let loses =
        |target: &&WeightedTarget| target.weight > 0 && after.get(&key(target)).is_none_or(|left| *left == 0);
    from.iter().filter(loses).cloned().collect()
}

/// The names of the virtual nodes of the targets that have a weight.
pub fn serving_nodes(targets: &[WeightedTarget]) -> BTreeSet<&str> {
    targets.iter().filter(|target| target.weight > 0).map(|target| target.virtual_node.as_str()).collect()
}

/// `base` and, with weight 0, the targets of `extra` that it lacks.
pub fn with_zeros<'a>(
    mut base: Vec<WeightedTarget>,
    extra: impl IntoIterator<Item = &'a WeightedTarget>,
) -> Vec<WeightedTarget> {
    for target in extra {
        if !base.iter().any(|known| known.virtual_node == target.virtual_node && known.port == target.port) {
            base.push(weighing(target, 0));
        }
    }
    base
}

/// The targets for people to read, for example `serviceB=75 serviceBv2:8080=25`.
pub fn in_short(targets: &[WeightedTarget]) -> String {
    let text = |target: &WeightedTarget| format!("{}={}", name(target), target.weight);
    targets.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// A target for people to read, for example `serviceBv2:8080`.
pub fn name(target: &WeightedTarget) -> String {
    match target.port {
        Some(port) => format!("{}:{port}", target.virtual_node),
        None => target.virtual_node.clone(),
    }
}
