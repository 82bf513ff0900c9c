//! The queue of objects that want a round. An object is in it once however often it is woken, is never in two rounds at
//! a time, and comes back when it was woken during its round. In memory only: a restart looks at everything again.

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

#[derive(Debug, Default)]
struct Slot {
    queued: bool,
    running: bool,
    wake: Option<Wake>,
    due: Option<(Instant, Wake)>,
}

#[derive(Debug, Default)]
struct Inner {
    slots: HashMap<ObjectKey, Slot>,
    ready: VecDeque<ObjectKey>,
    timers: BTreeSet<(Instant, ObjectKey)>,
}

/// The queue.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    more: Notify,
}

impl Queue {
    /// Wakes an object now.
    pub fn wake(&self, key: &ObjectKey, wake: Wake) {
        let mut inner = self.lock();
        inner.wake(key, wake);
        drop(inner);
        self.more.notify_one();
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
        let earlier = inner.slots.get(key).and_then(|slot| slot.due).is_some_and(|(due, _)| due <= at);
        if !earlier {
            inner.appoint(key, Some((at, wake)));
        }
        drop(inner);
        self.more.notify_one();
    }

    /// Ends the round of an object; its next appointment is after `next`, none when the object is gone.
    pub fn done(&self, key: &ObjectKey, next: Option<(Duration, Wake)>) {
        let mut inner = self.lock();
        inner.appoint(key, next.map(|(delay, wake)| (Instant::now() + delay, wake)));
        let woken = match inner.slots.get_mut(key) {
            Some(slot) => {
                slot.running = false;
                slot.wake.is_some() && !slot.queued
            }
            None => false,
        };
        if woken {
            if let Some(slot) = inner.slots.get_mut(key) {
                slot.queued = true;
            }
            inner.ready.push_back(key.clone());
        } else if next.is_none() {
            inner.slots.remove(key);
        }
        drop(inner);
        if woken {
            self.more.notify_one();
        }
    }

    /// The next object and why it was woken; waits until there is one. [`Self::done`] must follow.
    pub async fn next(&self) -> (ObjectKey, Wake) {
        loop {
            let timer = {
                let mut inner = self.lock();
                inner.ring(Instant::now());
                if let Some(found) = inner.take() {
                    let more = !inner.ready.is_empty();
                    drop(inner);
                    if more {
                        self.more.notify_one();
                    }
                    return found;
                }
                inner.timers.first().map(|(at, _)| *at)
            };
            match timer {
                Some(at) => tokio::select! {
                    () = self.more.notified() => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => self.more.notified().await,
            }
        }
    }

    /// How many objects are ready for a round.
    pub fn len(&self) -> usize {
        self.lock().ready.len()
    }

    /// Whether no object is ready for a round.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn wake(&mut self, key: &ObjectKey, wake: Wake) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.wake = slot.wake.max(Some(wake));
        if !slot.queued && !slot.running {
            slot.queued = true;
            self.ready.push_back(key.clone());
        }
    }

    /// Replaces the appointment of an object.
    fn appoint(&mut self, key: &ObjectKey, due: Option<(Instant, Wake)>) {
        if due.is_none() && !self.slots.contains_key(key) {
            return;
        }
        let slot = self.slots.entry(key.clone()).or_default();
        if let Some((old, _)) = std::mem::replace(&mut slot.due, due) {
            self.timers.remove(&(old, key.clone()));
        }
        if let Some((at, _)) = due {
            self.timers.insert((at, key.clone()));
        }
    }

    /// Makes the objects ready whose time has come.
    fn ring(&mut self, now: Instant) {
        while let Some((at, key)) = self.timers.first().cloned().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, key.clone()));
            let due = self.slots.get_mut(&key).and_then(|slot| slot.due.take());
            if let Some((_, wake)) = due {
                self.wake(&key, wake);
            }
        }
    }

    fn take(&mut self) -> Option<(ObjectKey, Wake)> {
        let key = self.ready.pop_front()?;
        let slot = self.slots.entry(key.clone()).or_default();
        slot.queued = false;
        slot.running = true;
        let wake = slot.wake.take().unwrap_or(Wake::Look);
        Some((key, wake))
    }
}

#[cfg(test)]
mod tests {
    use fleetmesh_model::Kind;

    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey { kind: Kind::Mesh, namespace: None, name: name.to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_is_woken_twice_gets_one_round_with_the_greater_reason() {
        let queue = Queue::default();
        queue.wake(&key("a"), Wake::Distribution);
        queue.wake(&key("a"), Wake::Look);
        assert_eq!(queue.next().await, (key("a"), Wake::Look));
        assert!(queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_that_is_woken_in_its_round_comes_back_after_it() {
        let queue = Queue::default();
        queue.wake(&key("a"), Wake::Look);
        queue.next().await;
        queue.wake(&key("a"), Wake::Distribution);
        assert!(queue.is_empty(), "it is still running");
        queue.done(&key("a"), Some((Duration::from_secs(60), Wake::Look)));
        assert_eq!(queue.next().await, (key("a"), Wake::Distribution));
    }

    #[tokio::test(start_paused = true)]
    async fn an_appointment_is_kept_and_the_earlier_one_wins() {
        let queue = Queue::default();
        let start = Instant::now();
        queue.wake(&key("a"), Wake::Look);
        queue.next().await;
        queue.done(&key("a"), Some((Duration::from_secs(45), Wake::Look)));
        queue.wake_within(&key("a"), Wake::Distribution, Duration::from_secs(1));
        queue.wake_within(&key("a"), Wake::Look, Duration::from_secs(5));
        assert_eq!(queue.next().await, (key("a"), Wake::Distribution));
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}
