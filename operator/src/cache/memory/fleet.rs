//! What the reconciles of a fleet remember. It saves calls and bridges the seconds in which EC2 does not show yet what it
//! launched; an operator that forgot it asks again. No I/O.

use std::collections::BTreeMap;

use fleetmesh_core::Failure;
use fleetmesh_core::fleet::limits::VISIBLE;
use fleetmesh_core::fleet::{Instance, ObservedFleet};
use fleetmesh_model::tag::Tags;
use jiff::{SignedDuration, Timestamp};

/// The pause after a launch that gave fewer instances than were asked for.
const SHORT: SignedDuration = SignedDuration::from_secs(30);
/// The same when the reason passes by itself, as with an instance profile that EC2 does not know yet.
const SHORT_PASSING: SignedDuration = SignedDuration::from_secs(3);

/// The memory of one fleet.
#[derive(Clone, Debug, Default)]
pub struct FleetMemory {
    /// What was observed last.
    pub observed: Option<ObservedFleet>,
    /// The SSM parameter that its AMI was read from.
    pub parameter: Option<String>,
    /// Instances that a launch gave, and when.
    launched: BTreeMap<String, Timestamp>,
    /// Until when no launch is tried, and why.
    pause: Option<(Timestamp, String)>,
    /// When each instance's proxy was seen last.
    seen: BTreeMap<String, Timestamp>,
    /// The marks of each instance, as they were seen first.
    marks: BTreeMap<String, Tags>,
}

impl FleetMemory {
    /// Notes what a launch gave.
    pub fn launched(&mut self, instances: &[String], short: Option<&Failure>, now: Timestamp) {
        self.launched.extend(instances.iter().map(|id| (id.clone(), now)));
        self.pause = short.map(|failure| {
            let pause = if failure.class.is_transient() { SHORT_PASSING } else { SHORT };
            (now.saturating_add(pause).unwrap_or(now), failure.message.clone())
        });
    }

    /// The instances that were there at the last look, and those that were launched since.
    pub fn instances(&self) -> impl Iterator<Item = &String> {
        self.marks.keys().chain(self.launched.keys())
    }

    /// Fills in the marks of each instance as they were seen first, and notes those of new ones.
    pub fn mark(&mut self, instances: &mut [Instance]) {
        let mut marks = BTreeMap::new();
        for instance in instances {
            if let Some(first) = self.marks.remove(&instance.id) {
                instance.marks = first;
            }
            marks.insert(instance.id.clone(), instance.marks.clone());
        }
        self.marks = marks;
    }

    /// Fills in since when each instance's proxy is missed, and notes the proxies that are there now. Nobody can be missed from
    /// before `since`, when this operator began to watch.
    pub fn miss(&mut self, observed: &mut ObservedFleet, since: Timestamp, now: Timestamp) {
        for instance in &mut observed.instances {
            if observed.proxies.of(instance).is_some() {
                self.seen.insert(instance.id.clone(), now);
            }
            let seen = self.seen.get(&instance.id).copied().unwrap_or(Timestamp::MIN);
            instance.missed_since = instance.launched.max(since).max(seen);
        }
        let known = |id: &String| observed.instances.iter().any(|instance| instance.id == *id);
        self.seen.retain(|id, _| known(id));
    }

    /// Whether a launch has to wait: what an earlier one gave is not shown yet, or it gave too little just now.
    pub fn settling(&mut self, instances: &[Instance], now: Timestamp) -> bool {
        let shown = |id: &String| instances.iter().any(|instance| instance.id == *id);
        self.launched.retain(|id, at| !shown(id) && now.duration_since(*at) < VISIBLE);
        !self.launched.is_empty() || self.pause.as_ref().is_some_and(|(until, _)| now < *until)
    }

    /// Why the last launch gave too little, in EC2's words; `None` when it did not.
    pub fn short(&self) -> Option<String> {
        self.pause.as_ref().map(|(_, words)| words.clone())
    }
}
