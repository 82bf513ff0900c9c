//! The queue of objects that want a reconcile. An object is in it once however often it is woken, is never in two reconciles at
//! a time, and comes back when it was woken during its reconcile. Who is urgent goes before all who are not. In memory only: a
//! restart looks at everything again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_core::ObjectKey;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Why an object is woken; the greater reason wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// The control plane told something new about it.
    Distribution,
    /// It changed, or something that it depends on did.
    Look,
    /// It is time to compare all of it with the endpoint, tags included, which tell of no change by themselves.
    Drift,
}

/// Which objects a worker takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// All, the urgent ones first.
    All,
    /// Urgent ones alone: however long the reconciles of others take, somebody is there for these.
    Urgent,
}

/// When an object is looked at again, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appointment {
    /// After this time.
    pub wait: Duration,
    /// For this reason.
    pub wake: Wake,
    /// Whether it goes before what is not urgent: others wait for it, or a promise about time hangs on it.
    pub urgent: bool,
}

#[derive(Debug, Default)]
struct Slot {
    queued: bool,
    running: bool,
    urgent: bool,
    wake: Option<Wake>,
    due: Option<Due>,
}

/// An [`Appointment`] by the clock.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Instant,
    wake: Wake,
    urgent: bool,
}

#[derive(Debug, Default)]
struct Inner {
    slots: HashMap<ObjectKey, Slot>,
    /// Those that are urgent. They may be among the others too, who then no longer count.
    urgent: VecDeque<ObjectKey>,
    ready: VecDeque<ObjectKey>,
    timers: BTreeSet<(Instant, ObjectKey)>,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    /// For those who take all.
    more: Notify,
    /// For those who take urgent ones alone.
    more_urgent: Notify,
}

impl Queue {
    /// Wakes an object now.
    pub fn wake(&self, key: &ObjectKey, wake: Wake) {
        let mut inner = self.lock();
        inner.wake(key, wake, false);
        drop(inner);
        self.more.notify_one();
    }

    /// Wakes an object now, before all that are not urgent.
    pub fn wake_urgent(&self, key: &ObjectKey, wake: Wake) {
        let mut inner = self.lock();
        inner.wake(key, wake, true);
        drop(inner);
        self.more.notify_one();
        self.more_urgent.notify_one();
    }

    /// Wakes several objects now.
    pub fn wake_all(&self, wakes: impl IntoIterator<Item = (ObjectKey, Wake)>) {
        for (key, wake) in wakes {
            self.wake(&key, wake);
        }
    }

    /// Wakes an object after `delay` unless it has an earlier appointment.
    pub fn wake_within(&self, key: &ObjectKey, wake: Wake, delay: Duration) {
        let mut inner = self.lock();
        let at = Instant::now() + delay;
        let earlier = inner.slots.get(key).and_then(|slot| slot.due).is_some_and(|due| due.at <= at);
        if !earlier {
            inner.appoint(key, Some(Due { at, wake, urgent: false }));
        }
        let next = inner.is_next(key);
        drop(inner);
        self.more.notify_one();
        if next {
            self.more_urgent.notify_one();
        }
    }

    /// Ends the reconcile of an object; `next` is its next appointment, none when the object is gone.
    pub fn done(&self, key: &ObjectKey, next: Option<Appointment>) {
        let mut inner = self.lock();
        let due =
            next.map(|Appointment { wait, wake, urgent }| Due { at: Instant::now() + wait, wake, urgent });
        inner.appoint(key, due);
        let woken = match inner.slots.get_mut(key) {
            Some(slot) => {
                slot.running = false;
                slot.wake.is_some() && !slot.queued
            }
            None => false,
        };
        if woken {
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
        if woken {
            self.more.notify_one();
        }
    }

    /// The next object and why it was woken; waits until there is one. [`Self::done`] must follow.
    pub async fn next(&self, line: Line) -> (ObjectKey, Wake) {
        let more = match line {
            Line::All => &self.more,
            Line::Urgent => &self.more_urgent,
        };
        loop {
            let timer = {
                let mut inner = self.lock();
                inner.ring(Instant::now());
                let found = inner.take(line);
                let (urgent, others) = (!inner.urgent.is_empty(), !inner.ready.is_empty());
                let timer = inner.timers.first().map(|(at, _)| *at);
                drop(inner);
                // Whoever rang may have made more ready than it takes, or what it does not take.
                if urgent || (found.is_some() && line == Line::Urgent) {
                    // Somebody has to look at the clock while this one works.
                    self.more_urgent.notify_one();
                }
                if (urgent || others) && (found.is_some() || line == Line::Urgent) {
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

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wake(&mut self, key: &ObjectKey, wake: Wake, urgent: bool) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.wake = slot.wake.max(Some(wake));
        let more_urgent = urgent && !slot.urgent;
        slot.urgent |= urgent;
        if !slot.running && (!slot.queued || more_urgent) {
            self.enqueue(key);
        }
    }

    /// Puts an object that has a slot at the end of its line.
    fn enqueue(&mut self, key: &ObjectKey) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        slot.queued = true;
        let line = if slot.urgent { &mut self.urgent } else { &mut self.ready };
        line.push_back(key.clone());
    }

    /// Replaces the appointment of an object.
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

    /// Whether the next appointment is this object's.
    fn is_next(&self, key: &ObjectKey) -> bool {
        self.timers.first().is_some_and(|(_, first)| first == key)
    }

    /// Makes the objects ready whose time has come.
    fn ring(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, key.clone()));
            let due = self.slots.get_mut(&key).and_then(|slot| slot.due.take());
            if let Some(due) = due {
                self.wake(&key, due.wake, due.urgent);
            }
        }
    }

    fn take(&mut self, line: Line) -> Option<(ObjectKey, Wake)> {
        let other =
            |ready: &mut VecDeque<ObjectKey>| if line == Line::All { ready.pop_front() } else { None };
        while let Some(key) = self.urgent.pop_front().or_else(|| other(&mut self.ready)) {
            // One that became urgent while it waited is in both lines.
            let Some(slot) = self.slots.get_mut(&key).filter(|slot| slot.queued) else { continue };
            slot.queued = false;
            slot.urgent = false;
            slot.running = true;
            let wake = slot.wake.take().unwrap_or(Wake::Look);
            return Some((key, wake));
        }
        None
    }
}

#[cfg(test)]
mod tests;
