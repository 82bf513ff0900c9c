//! The last changes in their order, for watches that go on where they were, and for lists in pages.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::state::{Key, State, Stored};
use crate::status::Status;

/// How an object changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It is new.
    Added,
    /// It is another.
    Modified,
    /// It is gone.
    Deleted,
}

impl EventKind {
    /// As watches have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// How the object changed.
    pub kind: EventKind,
    /// The object after the change, or as it was last, at the revision of the change.
    pub object: Arc<Stored>,
    /// The object before, if it was there.
    pub before: Option<Arc<Stored>>,
}

impl Event {
    /// What the change is to a watch that sees only what `selects` takes: an object that comes to be selected is added, one that no
    /// longer is was deleted. The object is the one to show.
    pub fn seen(&self, selects: impl Fn(&Stored) -> bool) -> Option<(EventKind, &Arc<Stored>)> {
        let is = self.kind != EventKind::Deleted && selects(&self.object);
        let was = self.before.as_deref().is_some_and(&selects);
        match (was, is) {
            (false, false) => None,
            (false, true) => Some((EventKind::Added, &self.object)),
            (true, true) => Some((EventKind::Modified, &self.object)),
            (true, false) => Some((EventKind::Deleted, &self.object)),
        }
    }

    fn weight(&self) -> usize {
        self.object.text.len()
    }
}

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryBounds {
    /// Changes.
    pub events: usize,
    /// Bytes of the objects after them.
    pub bytes: usize,
}

impl Default for HistoryBounds {
    fn default() -> Self {
        Self { events: 10_000, bytes: 32 << 20 }
    }
}

/// The last changes.
#[derive(Clone, Debug)]
pub struct History {
    events: VecDeque<Event>,
    /// Everything after this revision is there.
    floor: u64,
    bytes: usize,
    bounds: HistoryBounds,
}

impl History {
    /// Nothing is remembered of what was until `revision`.
    pub fn new(revision: u64, bounds: HistoryBounds) -> Self {
        Self { events: VecDeque::new(), floor: revision, bytes: 0, bounds }
    }

    /// Takes a change, which is newer than all before.
    pub fn push(&mut self, event: Event) {
        self.bytes += event.weight();
        self.events.push_back(event);
        while self.events.len() > self.bounds.events || self.bytes > self.bounds.bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.weight();
            self.floor = oldest.object.revision;
        }
    }

    /// The changes after `revision`, the oldest first.
    ///
    /// # Errors
    /// 410 when some of them are forgotten.
    pub fn after(&self, revision: u64) -> Result<impl DoubleEndedIterator<Item = &Event>, Status> {
        if revision < self.floor {
            let floor = self.floor;
            return Err(Status::resource_expired(format!("too old resource version: {revision} ({floor})")));
        }
        let first = self.events.partition_point(|event| event.object.revision <= revision);
        Ok(self.events.range(first..))
    }

    /// The objects of a store, or of one namespace of it, as they were at `revision`.
    ///
    /// # Errors
    /// 410 when that is forgotten.
    pub fn at(
        &self,
        state: &State,
        store: &str,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<BTreeMap<Key, Arc<Stored>>, Status> {
        let mut objects: BTreeMap<Key, Arc<Stored>> =
            state.all(store, namespace).map(|object| (object.key.clone(), Arc::clone(object))).collect();
        let ours = |key: &Key| key.store == store && namespace.is_none_or(|one| key.namespace == one);
        for event in self.after(revision)?.rev().filter(|event| ours(&event.object.key)) {
            match &event.before {
                Some(before) => objects.insert(event.object.key.clone(), Arc::clone(before)),
                None => objects.remove(&event.object.key),
            };
        }
        Ok(objects)
    }
}

/// The objects, and the last changes of them.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The objects as they are.
    pub state: State,
    /// How they came to be so.
    pub history: History,
}

impl Ledger {
    /// What was stored; nothing is remembered of how it came to be so.
    pub fn new(state: State, bounds: HistoryBounds) -> Self {
        let history = History::new(state.revision(), bounds);
        Self { state, history }
    }

    /// Takes a change that was stored, which is newer than all before.
    pub fn record(&mut self, kind: EventKind, object: Arc<Stored>) {
        let before = self.state.apply(kind, &object);
        self.history.push(Event { kind, object, before });
    }
}
