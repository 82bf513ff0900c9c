//! The queue of objects that want a reconcile. An object is in it once however often it is triggered, is never in two reconciles at
//! a time, and comes back when it was triggered during its reconcile. Who is urgent goes before all who are not. In memory only: a
//! restart looks at everything again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_core::ObjectKey;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Why an object is triggered; the greater reason wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// The control plane told something new about it.
    Distribution,
    /// It changed, or something that it depends on did.
    Look,
    /// It is time to compare all of it with the endpoint, tags included, which tell of no change by themselves.
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

/// When an object is looked at again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requeue {
    /// After this time.
    pub wait: Duration,
    /// For this reason.
    pub trigger: Trigger,
    /// Whether it goes before what is not urgent: others wait for it, or a promise about time hangs on it.
    pub urgent: bool,
}

#[derive(Debug, Default)]
struct Slot {
    queued: bool,
    running: bool,
    urgent: bool,
    trigger: Option<Trigger>,
    due: Option<Due>,
}

/// An [`Requeue`] by the clock.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    trigger: Trigger,
    urgent: bool,
}

#[derive(Debug, Default)]
struct QueueInner {
    slots: HashMap<ObjectKey, Slot>,
    /// Those that are urgent. They may be among the others too, who then no longer count.
    urgent: VecDeque<ObjectKey>,
    ready: VecDeque<ObjectKey>,
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
        inner.trigger(key, trigger, false);
        drop(inner);
        self.more.notify_one();
    }

    /// Triggers an object now, before all that are not urgent.
    pub fn trigger_urgent(&self, key: &ObjectKey, trigger: Trigger) {
        let mut inner = self.lock();
        inner.trigger(key, trigger, true);
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
            inner.appoint(key, Some(Due { at, trigger, urgent: false }));
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
        let due =
            next.map(|Requeue { wait, trigger, urgent }| Due { at: Instant::now() + wait, trigger, urgent });
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
                let (urgent, others) = (!inner.urgent.is_empty(), !inner.ready.is_empty());
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

impl QueueInner {
    fn trigger(&mut self, key: &ObjectKey, trigger: Trigger, urgent: bool) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.trigger = slot.trigger.max(Some(trigger));
        let more_urgent = urgent && !slot.urgent;
        slot.urgent |= urgent;
        if !slot.running && (!slot.queued || more_urgent) {
            self.enqueue(key);
        }
    }

    /// Puts an object that has a slot at the end of its lane.
    fn enqueue(&mut self, key: &ObjectKey) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.queued = true;
        let lane = if slot.urgent { &mut self.urgent } else { &mut self.ready };
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
                self.trigger(&key, due.trigger, due.urgent);
            }
        }
    }

    fn take(&mut self, lane: Lane) -> Option<(ObjectKey, Trigger)> {
        let other =
            |ready: &mut VecDeque<ObjectKey>| if lane == Lane::All { ready.pop_front() } else { None };
        while let Some(key) = self.urgent.pop_front().or_else(|| other(&mut self.ready)) {
            // One that became urgent while it waited is in both lines.
            let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.queued) else { continue };
            slot.queued = false;
            slot.urgent = false;
            slot.running = true;
            let trigger = slot.trigger.take().unwrap_or(Trigger::Look);
            return Some((key, trigger));
        }
        None
    }
}

#[cfg(test)]
mod tests;
