//! How many instances to launch and which to terminate, by the rules of a Kubernetes Deployment: the operator never runs more than
//! replicas plus `maxSurge`, and never reduces the ready ones below replicas minus `maxUnavailable`. Pure.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::observed::{Checks, FleetProxies, Instance, InstanceState};

/// How long an instance may take from its launch until its proxy is connected. Docker, image and application have to be
/// fetched meanwhile.
pub const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It cannot serve: stopped, failing EC2's checks, or without a proxy beyond [`GRACE`].
    Failed,
    /// It is on its way.
    Coming,
    /// It serves.
    Ready,
}

/// An instance and what counts about it.
#[derive(Clone, Copy, Debug)]
pub struct FleetMember<'a> {
    /// The instance, live and not drained.
    pub instance: &'a Instance,
    /// How far it is, whether or not callers find it.
    pub serves: Stage,
    /// How far it is: where callers find instances in Cloud Map it is ready only when they find it.
    pub stage: Stage,
    /// Whether it came from what the spec says now.
    pub updated: bool,
}

/// What is demanded.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// How many instances there are to be.
    pub replicas: i32,
    /// How many more there may be while some are replaced.
    pub max_surge: i32,
    /// How many fewer may be ready while some are replaced.
    pub max_unavailable: i32,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// How many to launch.
    pub launch: i32,
    /// Which to end, by id.
    pub end: Vec<String>,
}

/// How far `instance` is. `registered` says whether callers find it, where they find it in Cloud Map.
pub fn stage(instance: &Instance, proxies: &FleetProxies, registered: Option<bool>, now: Timestamp) -> Stage {
    let late = now.duration_since(instance.missed_since) > GRACE;
    let broken = matches!(instance.state, InstanceState::Stopping | InstanceState::Stopped)
        || instance.checks == Checks::Failed;
    let serves = match (proxies, proxies.of(instance)) {
        (FleetProxies::Unsupported, _) => instance.checks == Checks::Passed,
        (FleetProxies::Reported(_), Some(acknowledged)) => acknowledged,
        (FleetProxies::Reported(_), None) if late => return Stage::Failed,
        (FleetProxies::Reported(_), None) => false,
    };
    match (broken, instance.state == InstanceState::Running && serves && registered != Some(false)) {
        (true, _) => Stage::Failed,
        (false, true) => Stage::Ready,
        (false, false) => Stage::Coming,
    }
}

/// The move that brings `members` nearer to `demand`.
pub fn scale(members: &[FleetMember<'_>], demand: Demand) -> Move {
    let Demand { replicas, max_surge, max_unavailable } = demand;
    let count = |wanted: fn(&FleetMember<'_>) -> bool| -> i32 {
        i32::try_from(members.iter().filter(|member| wanted(member)).count()).unwrap_or(i32::MAX)
    };
    let total = count(|_| true);
    let fit = count(|member| member.fits());
    let most = if total > fit { replicas.saturating_add(max_surge) } else { replicas };
    let launch = (replicas - fit).min(most - total).max(0);
    let mut end: Vec<String> = Vec::new();
    let mut ids =
        |members: Vec<&FleetMember<'_>>| end.extend(members.iter().map(|member| member.instance.id.clone()));
    ids(in_order(members, |member| member.fits())
        .into_iter()
        .take(usize::try_from(fit - replicas).unwrap_or(0))
        .collect());
    // What is not ready serves nobody, but it counts: as long as the new ones are not ready, most of the old ones stay,
    // even when they seem to be broken. Else an outage of the control plane would end a whole fleet.
    let least_ready = (replicas - max_unavailable).max(0);
    let coming = count(|member| member.fits() && member.stage == Stage::Coming);
    let mut may_end = total - least_ready - coming - (fit - replicas).max(0);
    let mut to_spare = count(|member| member.stage == Stage::Ready) - least_ready;
    let outdated = in_order(members, |member| !member.fits()).into_iter().filter(|member| {
        let ready = member.stage == Stage::Ready;
        let ends = may_end > 0 && (!ready || to_spare > 0);
        may_end -= i32::from(ends);
        to_spare -= i32::from(ends && ready);
        ends
    });
    ids(outdated.collect());
    Move { launch, end }
}

/// The instances above `replicas`, in the order in which they are ended, where nobody says which are outdated.
pub fn surplus(members: &[FleetMember<'_>], replicas: i32) -> Vec<String> {
    let more = members.len().saturating_sub(usize::try_from(replicas).unwrap_or(0));
    in_order(members, |_| true).into_iter().take(more).map(|member| member.instance.id.clone()).collect()
}

impl FleetMember<'_> {
    /// Whether it is one of those that are to stay.
    pub(super) fn fits(&self) -> bool {
        self.updated && self.stage != Stage::Failed
    }
}

/// In the order in which instances are ended: those that serve least first, then those of the oldest version; of these the ones
/// in the zone that has most left of the `wanted` ones, and then the oldest.
fn in_order<'a, 'b>(
    members: &'a [FleetMember<'b>],
    wanted: fn(&FleetMember<'_>) -> bool,
) -> Vec<&'a FleetMember<'b>> {
    let mut left: Vec<&FleetMember<'b>> = members.iter().filter(|member| wanted(member)).collect();
    let mut zones: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    for member in &left {
        *zones.entry(member.instance.az.as_deref()).or_default() += 1;
    }
    let mut ordered = Vec::with_capacity(left.len());
    while let Some(index) = first(&left, &zones) {
        let next = left.swap_remove(index);
        if let Some(count) = zones.get_mut(&next.instance.az.as_deref()) {
            *count -= 1;
        }
        ordered.push(next);
    }
    ordered
}

/// The place of the one that is ended next; `zones` are how many of `left` each zone has.
fn first(left: &[&FleetMember<'_>], zones: &BTreeMap<Option<&str>, usize>) -> Option<usize> {
    let key = |(_, member): &(usize, &&FleetMember<'_>)| {
        let FleetMember { instance, serves: _, stage, updated: _ } = **member;
        let fullness = zones.get(&instance.az.as_deref()).copied().unwrap_or_default();
        (*stage, instance.template_version(), Reverse(fullness), instance.launched, instance.id.clone())
    };
    left.iter().enumerate().min_by_key(key).map(|(index, _)| index)
}

#[cfg(test)]
mod tests;
