//! The queue of objects to reconcile. An object is in it once, however often it is triggered, is never in two reconciles at a time,
//! and comes back when it was triggered during its reconcile. Urgent objects go first, and changed ones before most of those that
//! are only to be compared, which after a start are all: at 40 reads a second an edit would wait for minutes (controller-runtime has
//! priorities for the same). In memory only: after a restart everything is looked at again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_core::ObjectKey;
use tokio::sync::Notify;
use tokio::time::Instant;

/// While both wait, one turn in so many is for an object that is only to be compared.
const TURNS: usize = 8;

/// Why an object is triggered; the greater reason wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// The control plane reported something new about it.
    Distribution,
    /// It changed, or something that it depends on did.
    Look,
    /// It is time to compare all of it with the endpoint, including tags, of whose changes nothing notifies the operator.
    Drift,
}

/// Which objects a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// All, the urgent ones first.
    All,
    /// Urgent ones alone: however long the reconciles of others take, somebody is there for these.
    Urgent,
}

/// How soon an object's turn comes; the greater goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// It is only to be compared, as all are after a start. One turn in eight is for these, whatever changes meanwhile.
    Compared,
    /// Something about it is news, or it is tried again.
    Changed,
    /// Others wait for it, or a promise about time hangs on it.
    Urgent,
}

/// When an object is looked at again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requeue {
    /// After this time.
    pub wait: Duration,
    /// For this reason.
    pub trigger: Trigger,
    /// How soon then.
    pub priority: Priority,
}

#[derive(Debug, Default)]
struct Slot {
    queued: bool,
    running: bool,
    priority: Option<Priority>,
    trigger: Option<Trigger>,
    due: Option<Due>,
}

/// A [`Requeue`] by the clock.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    trigger: Trigger,
    priority: Priority,
}

#[derive(Debug, Default)]
struct QueueInner {
    slots: HashMap<ObjectKey, Slot>,
    /// Those that are urgent. They may be among the others too, who then no longer count.
    urgent: VecDeque<ObjectKey>,
    changed: VecDeque<ObjectKey>,
    compared: VecDeque<ObjectKey>,
    /// How many turns went by since one of those that are only to be compared had one.
    turns: usize,
    timers: BTreeSet<(Instant, ObjectKey)>,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<QueueInner>,
    /// For those who take all.
    more: Notify,
    /// For those who take urgent ones alone.
    more_urgent: Notify,
}

impl Queue {
    /// Triggers an object now.
    pub fn trigger(&self, key: &ObjectKey, trigger: Trigger) {
        let mut inner = self.lock();
        inner.trigger(key, trigger, Priority::Changed);
        drop(inner);
        self.more.notify_one();
    }

    /// Triggers an object now, before all that are not urgent.
    pub fn trigger_urgent(&self, key: &ObjectKey, trigger: Trigger) {
        let mut inner = self.lock();
        inner.trigger(key, trigger, Priority::Urgent);
        drop(inner);
        self.more.notify_one();
        self.more_urgent.notify_one();
    }

    /// Triggers several objects now.
    pub fn trigger_all(&self, triggers: impl IntoIterator<Item = (ObjectKey, Trigger)>) {
        for (key, trigger) in triggers {
            self.trigger(&key, trigger);
        }
    }

    /// Triggers an object after `delay` unless it has an earlier requeue.
    pub fn trigger_within(&self, key: &ObjectKey, trigger: Trigger, delay: Duration) {
        let mut inner = self.lock();
        let at = Instant::now() + delay;
        let earlier = inner.slots.get(key).and_then(|slot| slot.due).is_some_and(|due| due.at <= at);
        if !earlier {
            inner.appoint(key, Some(Due { at, trigger, priority: Priority::Changed }));
        }
        let next = inner.is_next(key);
        drop(inner);
        self.more.notify_one();
        if next {
            self.more_urgent.notify_one();
        }
    }

    /// Ends the reconcile of an object; `next` is its next requeue, none when the object is gone.
    pub fn done(&self, key: &ObjectKey, next: Option<Requeue>) {
        let mut inner = self.lock();
        let due = next.map(|Requeue { wait, trigger, priority }| Due {
            at: Instant::now() + wait,
            trigger,
            priority,
        });
        inner.appoint(key, due);
        let triggered = match inner.slots.get_mut(key) {
            Some(slot) => {
                slot.running = false;
                slot.trigger.is_some() && !slot.queued
            }
            None => false,
        };
        if triggered {
            inner.enqueue(key);
        } else if next.is_none() {
            inner.slots.remove(key);
        }
        let first = inner.is_next(key);
        drop(inner);
        if first {
            // Who takes all is the caller, who looks at the clock next.
            self.more_urgent.notify_one();
        }
        if triggered {
            self.more.notify_one();
        }
    }

    /// The next object and why it was triggered; waits until there is one. [`Self::done`] must follow.
    pub async fn next(&self, lane: Lane) -> (ObjectKey, Trigger) {
        let more = match lane {
            Lane::All => &self.more,
            Lane::Urgent => &self.more_urgent,
        };
        loop {
            let timer = {
                let mut inner = self.lock();
                inner.ring(Instant::now());
                let found = inner.take(lane);
                let urgent = !inner.urgent.is_empty();
                let others = !(inner.changed.is_empty() && inner.compared.is_empty());
                let timer = inner.timers.first().map(|(at, _)| *at);
                drop(inner);
                // Whoever rang may have made more ready than it takes, or what it does not take.
                if urgent || (found.is_some() && lane == Lane::Urgent) {
                    // Somebody has to look at the clock while this one works.
                    self.more_urgent.notify_one();
                }
                if (urgent || others) && (found.is_some() || lane == Lane::Urgent) {
                    self.more.notify_one();
                }
                if let Some(found) = found {
                    return found;
                }
                timer
            };
            match timer {
                Some(at) => tokio::select! {
                    () = more.notified() => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => more.notified().await,
            }
        }
    }

    /// Puts off those of `keys` that wait and are not urgent until all others had their turn: they are only compared. For what a
    /// start brings, which is news to this process alone.
    pub fn postpone(&self, keys: &BTreeSet<ObjectKey>) {
        let mut inner = self.lock();
        let QueueInner { slots, changed, compared, .. } = &mut *inner;
        changed.retain(|key| {
            let slot = slots.get_mut(key).filter(|slot| slot.priority == Some(Priority::Changed));
            let Some(slot) = slot.filter(|slot| slot.queued && keys.contains(key)) else { return true };
            slot.priority = Some(Priority::Compared);
            slot.trigger = Some(Trigger::Drift);
            compared.push_back(key.clone());
            false
        });
    }

    /// Keeps an object out of reconciles while another one's writes it as well, until what this gives is dropped; `None` while it is
    /// in one.
    pub fn reserve<'a>(&'a self, key: &ObjectKey) -> Option<Reserved<'a>> {
        let mut inner = self.lock();
        let slot = inner.slots.entry(key.clone()).or_default();
        if slot.running {
            return None;
        }
        slot.running = true;
        // What it was triggered for is due when it is free again.
        slot.queued = false;
        Some(Reserved { queue: self, key: key.clone() })
    }

    /// How many objects are ready for a reconcile.
    pub fn len(&self) -> usize {
        self.lock().slots.values().filter(|slot| slot.queued).count()
    }

    /// Whether no object is ready for a reconcile.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, QueueInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object that no reconcile has, and that none gets as long as this lives.
#[derive(Debug)]
pub struct Reserved<'a> {
    queue: &'a Queue,
    key: ObjectKey,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut inner = self.queue.lock();
        let Some(slot) = inner.slots.get_mut(&self.key) else { return };
        slot.running = false;
        match (slot.trigger, slot.due) {
            (None, None) => {
                inner.slots.remove(&self.key);
                return;
            }
            (None, Some(_)) => return,
            (Some(_), _) => inner.enqueue(&self.key),
        }
        drop(inner);
        self.queue.more.notify_one();
        self.queue.more_urgent.notify_one();
    }
}

impl QueueInner {
    fn trigger(&mut self, key: &ObjectKey, trigger: Trigger, priority: Priority) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.trigger = slot.trigger.max(Some(trigger));
        let priority = Some(priority);
        let sooner = priority > slot.priority;
        slot.priority = slot.priority.max(priority);
        if !slot.running && (!slot.queued || sooner) {
            self.enqueue(key);
        }
    }

    /// Puts an object that has a slot at the end of its lane.
    fn enqueue(&mut self, key: &ObjectKey) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.queued = true;
        let lane = match slot.priority {
            Some(Priority::Urgent) => &mut self.urgent,
            Some(Priority::Changed) | None => &mut self.changed,
            Some(Priority::Compared) => &mut self.compared,
        };
        lane.push_back(key.clone());
    }

    /// Replaces the requeue of an object.
    fn appoint(&mut self, key: &ObjectKey, due: Option<Due>) {
        if due.is_none() && !self.slots.contains_key(key) {
            return;
        }
        let slot = self.slots.entry(key.clone()).or_default();
        if let Some(old) = std::mem::replace(&mut slot.due, due) {
            self.timers.remove(&(old.at, key.clone()));
        }
        if let Some(due) = due {
            self.timers.insert((due.at, key.clone()));
        }
    }

    /// Whether the next requeue is this object's.
    fn is_next(&self, key: &ObjectKey) -> bool {
        self.timers.first().is_some_and(|(_, first)| first == key)
    }

    /// Makes the objects ready whose time has come.
    fn ring(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, key.clone()));
            let due = self.slots.get_mut(&key).and_then(|slot| slot.due.take());
            if let Some(due) = due {
                self.trigger(&key, due.trigger, due.priority);
            }
        }
    }

    /// The next of those that are not urgent.
    fn other(&mut self) -> Option<ObjectKey> {
        self.turns += 1;
        let is_turn = self.turns >= TURNS || self.changed.is_empty();
        let compared = if is_turn { self.compared.pop_front() } else { None };
        if compared.is_some() {
            self.turns = 0;
        }
        compared.or_else(|| self.changed.pop_front())
    }

    fn take(&mut self, lane: Lane) -> Option<(ObjectKey, Trigger)> {
        loop {
            let next = self.urgent.pop_front();
            let next = next.or_else(|| if lane == Lane::All { self.other() } else { None });
            let key = next?;
            // One that moved up while it waited is in both lanes.
            let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.queued) else { continue };
            slot.queued = false;
            slot.priority = None;
            slot.running = true;
            let trigger = slot.trigger.take().unwrap_or(Trigger::Look);
            return Some((key, trigger));
        }
    }
}

#[cfg(test)]
mod tests;
