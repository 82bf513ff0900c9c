//! How many instances a class still has room for. Pure.
//!
//! One process launches for a cluster: the leader, whose writes stop when it is not. In it the [`Ledger`] stands before every
//! launch: what is to be launched is *reserved* there, in one operation that sees what all fleets of the class hold and have
//! reserved, so two nodes are never given the same room. What a fleet holds is what EC2 showed since this process began, and
//! what was reserved and is not shown yet. Of a fleet that was not looked at yet, as after a start, the most counts that it can
//! have, until whatever was launched before the start must have been shown.
//!
//! Instances outlive their nodes, with `deletionPolicy: Retain`, and their class, when a node names another. They carry the name
//! of the class that they were launched under and are counted by it, so nobody makes room by letting go. What is not shown yet is
//! counted by the class that it was reserved in, whatever class its node has by now, and by that one too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fleetmesh_api::tags::{CLASS_TAG, OWNER_NAMESPACE_TAG, OWNER_UID_TAG};
use fleetmesh_crds::fleet_class::ClassLimits;
use jiff::{SignedDuration, Timestamp};

use super::observed::{Instance, InstanceState};
use crate::object::Object;

/// How long EC2 may take to show an instance that it launched.
pub const VISIBLE: SignedDuration = SignedDuration::from_secs(60);

/// What one fleet of a class has of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLimits {
    /// The namespace of its node.
    pub namespace: String,
    /// How many instances: those that are not terminated, and those that were asked for.
    pub instances: i32,
}

/// A limit that leaves less room than was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The field of the class.
    pub field: &'static str,
    /// Its value.
    pub limit: i32,
    /// How many instances there are of what it counts.
    pub held: i32,
}

/// What may be launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// How many instances, 0 or more.
    pub count: i32,
    /// Why not as many as were asked for.
    pub reached: Option<Reached>,
}

/// How many of the `wanted` instances of a launch the limits have room for. `all` is what each fleet of the class holds, that
/// of the asker among them. What is granted, added to all that is held, exceeds no limit that was not exceeded already.
pub fn grant(limits: &ClassLimits, all: &[HeldLimits], namespace: &str, wanted: i32) -> Grant {
    let sum = |counts: &dyn Fn(&&HeldLimits) -> bool| -> i64 {
        all.iter().filter(|held| counts(held)).map(|held| i64::from(held.instances.max(0))).sum()
    };
    let of_namespace = limits.instances_per_namespace.map(|limit| {
        ("limits.instancesPerNamespace", limit, sum(&|held: &&HeldLimits| held.namespace == namespace))
    });
    let in_all = ("limits.instances", limits.instances, sum(&|_| true));
    let mut granted = Grant { count: wanted.max(0), reached: None };
    for (field, limit, held) in of_namespace.into_iter().chain([in_all]) {
        let room = i32::try_from((i64::from(limit) - held).max(0)).unwrap_or(i32::MAX);
        if room < granted.count {
            let held = i32::try_from(held).unwrap_or(i32::MAX);
            granted = Grant { count: room, reached: Some(Reached { field, limit, held }) };
        }
    }
    granted
}

/// A fleet of a class, as the cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitedMember {
    /// The uid of its node.
    pub uid: String,
    /// The namespace of its node.
    pub namespace: String,
    /// How many instances the last report shows. A fleet that was never reported never launched: the launch template is made
    /// one reconcile before the first launch.
    reported: i32,
    /// The most that it can have had when it was last reported and launched right after.
    most: i32,
}

impl LimitedMember {
    /// What the cluster knows of the fleet of a node.
    pub fn of(object: &Object) -> Self {
        let status = object.status.fleet();
        let listed = status.map_or(0, |status| i32::try_from(status.instances.len()).unwrap_or(i32::MAX));
        let reported = status.map_or(0, |status| status.running.max(listed));
        let rollout = object.fleet().and_then(|fleet| fleet.rollout).unwrap_or_default();
        let most = status.map_or(0, |status| status.desired.saturating_add(rollout.max_surge)).max(reported);
        let namespace = object.key.namespace.clone().unwrap_or_default();
        Self { uid: object.uid.clone(), namespace, reported, most }
    }
}

/// Instances that EC2 shows with the name of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedInstance {
    /// The uid of the node that they were launched for.
    uid: String,
    held: HeldLimits,
}

impl TaggedInstance {
    /// The instances that are not terminated, by the nodes that they were launched for.
    pub fn of(instances: &[Instance]) -> Vec<Self> {
        let mut counts: BTreeMap<(String, String), i32> = BTreeMap::new();
        for instance in instances.iter().filter(|instance| instance.state != InstanceState::Terminated) {
            let text = |tag: &str| instance.tags.get(tag).cloned().unwrap_or_default();
            let count = counts.entry((text(OWNER_UID_TAG), text(OWNER_NAMESPACE_TAG))).or_default();
            *count = count.saturating_add(1);
        }
        let tagged = |((uid, namespace), instances)| Self { uid, held: HeldLimits { namespace, instances } };
        counts.into_iter().map(tagged).collect()
    }
}

/// A launch for which room is asked.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The uid of the node.
    pub uid: &'a str,
    /// The namespace of the node.
    pub namespace: &'a str,
    /// The name of the class.
    pub class: &'a str,
    /// The number of the launch. EC2 carries out one of each number, by its client token: to ask again for the same one asks
    /// for no more.
    pub launch: i64,
    /// How many instances.
    pub wanted: i32,
}

/// What the fleets hold, as this process knows it.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// When it began to know.
    since: Timestamp,
    fleets: HashMap<String, LimitEntry>,
}

#[derive(Clone, Debug, Default)]
struct LimitEntry {
    /// The namespace of its node, once it asked for room.
    namespace: String,
    /// How many instances EC2 showed last that are not terminated.
    seen: i32,
    /// Launches that are not shown in full yet, by their numbers.
    coming: BTreeMap<i64, Coming>,
    /// The classes that these were launched in; an empty name stands for none.
    classes: BTreeSet<String>,
    /// Whether EC2 was asked about it.
    looked: bool,
    /// Whether its node let go of it.
    gone: bool,
    /// Whether its node is gone.
    ended: bool,
}

#[derive(Clone, Debug)]
struct Coming {
    /// The names of the classes in which room was reserved: several when the reply of a first request was lost.
    classes: BTreeSet<String>,
    /// How many instances at the most.
    count: i32,
    /// How many of them an earlier request of this number may have made, whose reply was lost.
    maybe_launched: i32,
    /// How many of them EC2 has shown.
    shown: i32,
    at: Timestamp,
}

impl LimitEntry {
    fn holds(&self, but: Option<i64>) -> i32 {
        let coming = self.coming.iter().filter(|(launch, _)| Some(**launch) != but);
        coming.fold(self.seen, |sum, (_, coming)| sum.saturating_add(coming.unseen()))
    }

    /// Whether something is perhaps not shown yet.
    fn is_coming(&self, now: Timestamp) -> bool {
        self.coming.values().any(|coming| coming.unseen() > 0 && !coming.is_late(now))
    }

    /// How many instances that were launched in a class a moment ago are perhaps not shown yet.
    fn launched_in(&self, class: &str, now: Timestamp) -> i32 {
        let coming =
            self.coming.values().filter(|coming| coming.classes.contains(class) && !coming.is_late(now));
        coming.fold(0, |sum, coming| sum.saturating_add(coming.unseen()))
    }
}

impl Default for Ledger {
    /// Knows nothing yet, as one that has just begun.
    fn default() -> Self {
        Self::new(Timestamp::MAX)
    }
}

impl Coming {
    fn unseen(&self) -> i32 {
        (self.count - self.shown).max(0)
    }

    /// Whether EC2 must have shown it by now.
    fn is_late(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) >= VISIBLE
    }
}

impl Ledger {
    /// Knows nothing yet.
    pub fn new(since: Timestamp) -> Self {
        Self { since, fleets: HashMap::new() }
    }

    /// EC2 showed the instances of a fleet, terminated ones among them.
    pub fn shown(&mut self, uid: &str, instances: &[Instance], now: Timestamp) {
        let count = |wanted: &dyn Fn(&&Instance) -> bool| {
            i32::try_from(instances.iter().filter(wanted).count()).unwrap_or(i32::MAX)
        };
        let entry = self.fleets.entry(uid.to_owned()).or_default();
        entry.gone = false;
        entry.seen = count(&|instance| instance.state != InstanceState::Terminated);
        let left = instances.iter().filter(|instance| instance.state != InstanceState::Terminated);
        let class = |instance: &Instance| instance.marks.get(CLASS_TAG).cloned().unwrap_or_default();
        (entry.classes, entry.looked) = (left.map(class).collect(), true);
        for (launch, coming) in &mut entry.coming {
            coming.shown = count(&|instance| instance.launch() == Some(*launch));
        }
        entry.coming.retain(|_, coming| coming.shown < coming.count && !coming.is_late(now));
    }

    /// The classes in which the instances of a fleet were launched, those that are on their way among them; an empty name stands
    /// for none. `None` when EC2 was not asked yet.
    pub fn classes(&self, uid: &str, now: Timestamp) -> Option<BTreeSet<String>> {
        let entry = self.fleets.get(uid).filter(|entry| entry.looked)?;
        let coming = entry.coming.values().filter(|coming| coming.unseen() > 0 && !coming.is_late(now));
        Some(coming.flat_map(|coming| &coming.classes).chain(&entry.classes).cloned().collect())
    }

    /// Reserves room for a launch: as much of it as the limits have. `members` are all fleets of the class, looked up after EC2
    /// showed `tagged`, the instances with its name.
    pub fn reserve(
        &mut self,
        ask: Ask<'_>,
        limits: &ClassLimits,
        (members, tagged): (&[LimitedMember], &[TaggedInstance]),
        now: Timestamp,
    ) -> Grant {
        let Ask { uid, namespace, class, launch, wanted } = ask;
        let others = members.iter().filter(|member| member.uid != uid);
        let mut all: Vec<HeldLimits> = others
            .map(|member| HeldLimits {
                namespace: member.namespace.clone(),
                instances: self.held(member, now),
            })
            .collect();
        let known = |of: &str| of == uid || members.iter().any(|member| member.uid == of);
        all.extend(tagged.iter().filter(|tagged| !known(&tagged.uid)).map(|tagged| tagged.held.clone()));
        // What is gone, or has another class by now, may have launched a moment ago what is not shown yet.
        self.fleets.retain(|of, entry| !entry.gone || known(of) || entry.is_coming(now));
        let left = self.fleets.iter().filter(|(of, _)| !known(of)).map(|(_, entry)| entry);
        all.extend(left.map(|entry| HeldLimits {
            namespace: entry.namespace.clone(),
            instances: entry.launched_in(class, now),
        }));
        let entry = self.fleets.entry(uid.to_owned()).or_default();
        namespace.clone_into(&mut entry.namespace);
        all.push(HeldLimits { namespace: namespace.to_owned(), instances: entry.holds(Some(launch)) });
        let granted = grant(limits, &all, namespace, wanted);
        let before = entry.coming.get(&launch).filter(|coming| coming.maybe_launched > 0);
        let maybe_launched = before.map_or(0, |coming| coming.maybe_launched);
        let mut classes = before.map(|coming| coming.classes.clone()).unwrap_or_default();
        classes.insert(class.to_owned());
        let count = granted.count.max(maybe_launched);
        let coming = Coming { classes, count, maybe_launched, shown: 0, at: now };
        entry.coming.insert(launch, coming);
        granted
    }

    /// A launch gave this many instances.
    pub fn launched(&mut self, uid: &str, launch: i64, count: i32) {
        let coming = self.fleets.get_mut(uid).and_then(|entry| entry.coming.get_mut(&launch));
        if let Some(coming) = coming {
            coming.count = count;
        }
    }

    /// A launch may have been carried out, or not: its reply is lost.
    pub fn doubted(&mut self, uid: &str, launch: i64) {
        let coming = self.fleets.get_mut(uid).and_then(|entry| entry.coming.get_mut(&launch));
        if let Some(coming) = coming {
            coming.maybe_launched = coming.count;
        }
    }

    /// A launch was not asked for after all, or was refused.
    pub fn released(&mut self, uid: &str, launch: i64) {
        let coming = self.fleets.get_mut(uid).and_then(|entry| entry.coming.get_mut(&launch));
        if let Some(coming) = coming {
            coming.count = coming.maybe_launched;
        }
    }

    /// A fleet is gone, or let go of. What it launched a moment ago goes on counting until EC2 must show it.
    pub fn forget(&mut self, uid: &str) {
        if let Some(entry) = self.fleets.get_mut(uid) {
            entry.gone = true;
            entry.seen = 0;
        }
    }

    /// The node of a fleet is gone. Only what it launched a moment ago is kept, and goes on counting until EC2 must show it.
    pub fn end(&mut self, uid: &str, now: Timestamp) {
        self.forget(uid);
        if let Some(entry) = self.fleets.get_mut(uid) {
            entry.ended = true;
        }
        self.fleets.retain(|_, entry| !entry.ended || entry.is_coming(now));
    }

    fn held(&self, member: &LimitedMember, now: Timestamp) -> i32 {
        match self.fleets.get(&member.uid) {
            Some(entry) => entry.holds(None),
            None if now.duration_since(self.since) < VISIBLE => member.most,
            None => member.reported,
        }
    }
}

#[cfg(test)]
mod tests;
