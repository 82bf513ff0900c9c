//! What somebody else changes of the objects that were applied, and when it is put back.
//!
//! `change of an object → does the field manager still own what it applied? → due at once, or later when two parties fight → applied again`
//!
//! Pure: the time is passed in, as what has passed since some moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ObjectName;
use super::change::{Change, Existence, Owned, Write};

/// An object that is changed again so soon after it was put back is fought over.
const CALM: Duration = Duration::from_secs(120);
/// How long the second putting back waits; twice as long each time, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(600);

/// What is put back, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBack {
    /// The object.
    pub name: ObjectName,
    /// Whether it was deleted, or else changed.
    pub is_gone: bool,
    /// Who wrote it last since it was applied; `None` for who only removed or deleted.
    pub by: Option<String>,
    /// How often it was put back in succession before: the next time waits for twice as long.
    pub before: u32,
}

/// How an object was left when it was applied.
#[derive(Clone, Debug)]
struct Mark {
    revision: u64,
    owned: Owned,
    others: BTreeSet<Write>,
    /// Its uid, if it was made for the directory.
    ours: Option<String>,
}

/// That an object was put back before.
#[derive(Clone, Copy, Debug)]
struct Contest {
    times: u32,
    at: Duration,
}

impl Contest {
    fn wait(self) -> Duration {
        FIRST.saturating_mul(1 << self.times.saturating_sub(1).min(16)).min(LONGEST)
    }
}

/// What was applied, and what is due.
#[derive(Debug, Default)]
pub struct Drift {
    marks: BTreeMap<ObjectName, Mark>,
    due: BTreeMap<ObjectName, (Duration, PutBack)>,
    contests: BTreeMap<ObjectName, Contest>,
    /// What was applied and is being deleted or gone. What was in such a namespace cannot be made before the namespace is there again.
    absent: BTreeSet<ObjectName>,
}

impl Drift {
    /// The object was applied and left like this.
    pub fn applied(&mut self, name: &ObjectName, left: &Change) {
        let Change { revision, existence: Existence::Live(owned), others, ours } = left.clone() else {
            return;
        };
        self.due.remove(name);
        self.absent.remove(name);
        self.marks.insert(name.clone(), Mark { revision, owned, others, ours });
    }

    /// The uid of the object that was made for the directory, whatever has become of its label.
    pub fn ours(&self, name: &ObjectName) -> Option<&str> {
        self.marks.get(name)?.ours.as_deref()
    }

    /// The object was put back at `now`.
    pub fn put_back(&mut self, done: &PutBack, now: Duration) {
        let contest = Contest { times: done.before.saturating_add(1), at: now };
        self.contests.insert(done.name.clone(), contest);
    }

    /// Nothing but these is applied any more.
    pub fn keep(&mut self, wanted: impl Fn(&ObjectName) -> bool) {
        self.marks.retain(|name, _| wanted(name));
        self.due.retain(|name, _| wanted(name));
        self.contests.retain(|name, _| wanted(name));
        self.absent.retain(wanted);
    }

    /// Changes were missed: nothing is known to be absent any more, and all of it is to be applied again.
    pub fn missed(&mut self) {
        self.absent.clear();
    }

    /// An object changed. What was not applied is passed over, and so is what happened before it was. Returns whether the object is
    /// being deleted, which was not known: it can be made again when it is gone.
    pub fn see(&mut self, name: &ObjectName, change: &Change, now: Duration) -> bool {
        let Some(mark) = self.marks.get(name).filter(|mark| change.revision > mark.revision) else {
            return false;
        };
        let is_new = match change.existence {
            Existence::Live(_) => !self.absent.remove(name),
            Existence::Deleting | Existence::Gone => self.absent.insert(name.clone()),
        };
        let is_gone = match &change.existence {
            Existence::Live(owned) if *owned == mark.owned => {
                // Somebody put it back.
                self.due.remove(name);
                return false;
            }
            Existence::Deleting => return is_new,
            Existence::Live(_) => false,
            Existence::Gone => true,
        };
        let contest = self.contests.get(name).filter(|last| now.saturating_sub(last.at) < CALM + last.wait());
        let (wait, before) = contest.map_or((Duration::ZERO, 0), |contest| (contest.wait(), contest.times));
        // Who only removes has no entry; one that was there before is of somebody else.
        let by = change.others.difference(&mark.others).max().map(|(_, manager, _)| manager.clone());
        let put_back = PutBack { name: name.clone(), is_gone, by, before };
        // What is due already keeps its time.
        let at = self.due.get(name).map_or(now + wait, |(at, _)| *at);
        self.due.insert(name.clone(), (at, put_back));
        false
    }

    /// Whether the object is known to be gone, and can be made again.
    pub fn is_gone(&self, name: &ObjectName) -> bool {
        self.due.get(name).is_some_and(|(_, one)| one.is_gone) && !self.is_held(name)
    }

    /// When something is due next.
    pub fn next(&self) -> Option<Duration> {
        let ready = self.due.values().filter(|(_, one)| !self.is_held(&one.name));
        ready.map(|(at, _)| *at).min()
    }

    /// Takes what is due at `now`, namespaces first. What is in a namespace that is absent is due when that is applied.
    pub fn take(&mut self, now: Duration) -> Vec<PutBack> {
        let is_due = |(at, one): &&(Duration, PutBack)| *at <= now && !self.is_held(&one.name);
        let mut due: Vec<PutBack> = self.due.values().filter(is_due).map(|(_, one)| one.clone()).collect();
        due.iter().for_each(|one| _ = self.due.remove(&one.name));
        due.sort_by_key(|one| !one.name.is_namespace());
        due
    }

    fn is_held(&self, name: &ObjectName) -> bool {
        !self.absent.is_empty() && self.absent.contains(&ObjectName::of_namespace(&name.namespace))
    }
}

#[cfg(test)]
mod tests;
