//! The last changes in their order, for watches that go on where they were, and for lists in pages.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::span::Span;
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
    /// By the object, the revisions of `events`.
    changes: BTreeMap<Key, VecDeque<u64>>,
    /// Everything after this revision is there.
    floor: u64,
    bytes: usize,
    bounds: HistoryBounds,
}

impl History {
    /// Nothing is remembered of what was until `revision`.
    pub fn new(revision: u64, bounds: HistoryBounds) -> Self {
        Self { events: VecDeque::new(), changes: BTreeMap::new(), floor: revision, bytes: 0, bounds }
    }

    /// Takes a change, which is newer than all before.
    pub fn push(&mut self, event: Event) {
        self.bytes += event.weight();
        self.changes.entry(event.object.key.clone()).or_default().push_back(event.object.revision);
        self.events.push_back(event);
        while self.events.len() > self.bounds.events || self.bytes > self.bounds.bytes {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.weight();
            self.floor = oldest.object.revision;
            self.forget(&oldest.object.key);
        }
    }

    /// Forgets the oldest change of an object.
    fn forget(&mut self, key: &Key) {
        let Some(revisions) = self.changes.get_mut(key) else { return };
        revisions.pop_front();
        if revisions.is_empty() {
            self.changes.remove(key);
        }
    }

    /// The changes after `revision`, the oldest first.
    ///
    /// # Errors
    /// 410 when some of them are forgotten.
    pub fn after(&self, revision: u64) -> Result<impl DoubleEndedIterator<Item = &Event>, Status> {
        self.remembers(revision)?;
        let first = self.events.partition_point(|event| event.object.revision <= revision);
        Ok(self.events.range(first..))
    }

    fn remembers(&self, revision: u64) -> Result<(), Status> {
        if revision < self.floor {
            let floor = self.floor;
            return Err(Status::resource_expired(format!("too old resource version: {revision} ({floor})")));
        }
        Ok(())
    }

    /// The objects of `span` that were changed after `revision`, by their keys, as they were then; nothing of what was not there.
    fn undone<'a>(
        &'a self,
        span: Span<'a>,
        revision: u64,
    ) -> impl Iterator<Item = (&'a Key, Option<&'a Arc<Stored>>)> {
        span.of(&self.changes).filter_map(move |(key, revisions)| {
            let first = *revisions.get(revisions.partition_point(|change| *change <= revision))?;
            let at = self.events.partition_point(|event| event.object.revision < first);
            self.events.get(at).map(|event| (key, event.before.as_ref()))
        })
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
    /// The objects of `span` as they were at `revision`, in their order. It costs what is taken of it, however much lies before and
    /// behind.
    ///
    /// # Errors
    /// 410 when that is forgotten.
    pub fn at<'a>(
        &'a self,
        span: Span<'a>,
        revision: u64,
    ) -> Result<impl Iterator<Item = &'a Arc<Stored>>, Status> {
        self.history.remembers(revision)?;
        let mut now = self.state.within(span).peekable();
        let undone = (revision < self.state.revision()).then(|| self.history.undone(span, revision));
        let mut then = undone.into_iter().flatten().peekable();
        Ok(std::iter::from_fn(move || {
            loop {
                let order = match (now.peek(), then.peek()) {
                    (None, None) => return None,
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (Some((key, _)), Some((changed, _))) => key.cmp(changed),
                };
                if order == Ordering::Less {
                    return now.next().map(|(_, object)| object);
                }
                if order == Ordering::Equal {
                    now.next();
                }
                if let Some((_, Some(object))) = then.next() {
                    return Some(object);
                }
            }
        }))
    }
}
