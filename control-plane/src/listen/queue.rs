//! Which TLS handshake is next. Pure: the time is passed in.
//!
//! Handshakes cost processor time and memory, so only some run at once: for one source, and in all. A caller whose source's share is
//! taken waits, and is not rejected: a whole fleet behind one address that connects again is a queue that gets shorter. Sources take
//! turns, so that nobody waits for another's queue. Within a source the newest goes first: whoever has waited longest has most likely
//! given up, and would be served for nothing.
//!
//! When others of its source wait, a handshake is dropped after [`PATIENCE`], the oldest first; when nobody waits it has all of its
//! time. When all are taken, the source with the most gives up its oldest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::source::Source;

/// How long a handshake is left alone while others of its source wait.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Handshakes that may be under way in all.
const MOST: usize = 1024;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueStep {
    /// Begin the handshake of one that waits; it counts as under way from now on.
    Begin(Source, u64),
    /// Drop one that is under way; it counts no more.
    Drop(Source, u64),
}

/// Those who wait, and those whose handshakes are under way; each by a number, greater than those of all before.
#[derive(Debug)]
pub(super) struct HandshakeQueue {
    per_source: usize,
    most: usize,
    running: usize,
    lines: BTreeMap<Source, WaitingLine>,
    /// Sources of which somebody waits.
    waiting: BTreeSet<Source>,
    /// The source that began last.
    turn: Option<Source>,
}

#[derive(Debug, Default)]
struct WaitingLine {
    waiting: BTreeSet<u64>,
    running: VecDeque<(Instant, u64)>,
}

impl HandshakeQueue {
    /// Nobody waits. `per_source` handshakes of one source may be under way.
    pub(super) fn new(per_source: usize) -> Self {
        Self {
            per_source,
            most: MOST.max(per_source),
            running: 0,
            lines: BTreeMap::new(),
            waiting: BTreeSet::new(),
            turn: None,
        }
    }

    /// One waits from now on.
    pub(super) fn wait(&mut self, source: Source, id: u64) {
        self.lines.entry(source).or_default().waiting.insert(id);
        self.waiting.insert(source);
    }

    /// One neither waits nor is under way any more.
    pub(super) fn leave(&mut self, source: Source, id: u64) {
        let Some(line) = self.lines.get_mut(&source) else { return };
        line.waiting.remove(&id);
        let before = line.running.len();
        line.running.retain(|(_, running)| *running != id);
        self.running -= before - line.running.len();
        if line.waiting.is_empty() {
            self.waiting.remove(&source);
            if line.running.is_empty() {
                self.lines.remove(&source);
            }
        }
    }

    /// What to do at `now`; to be asked until it says nothing.
    pub(super) fn step(&mut self, now: Instant) -> Option<QueueStep> {
        let next = self.in_turn().find(|source| self.share(*source) < self.per_source)?;
        if self.running < self.most {
            return self.begin(next, now);
        }
        let (largest, size) =
            self.lines.iter().map(|(source, line)| (*source, line.running.len())).max_by_key(|(_, n)| *n)?;
        if size > self.share(next) + 1 { self.drop_oldest(largest) } else { None }
    }

    /// Drops a handshake that has had its time while others of its source wait; to be asked like [`Self::step`].
    pub(super) fn overdue(&mut self, now: Instant) -> Option<QueueStep> {
        let late = self.oldest_waited_for().find(|(_, began)| *began + PATIENCE <= now)?.0;
        self.drop_oldest(late)
    }

    /// When [`Self::overdue`] may have something to say next.
    pub(super) fn due(&self) -> Option<Instant> {
        self.oldest_waited_for().map(|(_, began)| began + PATIENCE).min()
    }

    /// Of each source whose share is taken and of which somebody waits: when its oldest handshake began.
    fn oldest_waited_for(&self) -> impl Iterator<Item = (Source, Instant)> {
        self.waiting.iter().filter_map(|source| {
            let line = self.lines.get(source).filter(|line| line.running.len() >= self.per_source)?;
            line.running.front().map(|(began, _)| (*source, *began))
        })
    }

    /// The sources of which somebody waits, beginning after the one that had its turn.
    fn in_turn(&self) -> impl Iterator<Item = Source> {
        let after = self.waiting.iter().filter(|source| self.turn.is_none_or(|turn| **source > turn));
        let before = self.waiting.iter().filter(|source| self.turn.is_some_and(|turn| **source <= turn));
        after.chain(before).copied()
    }

    fn share(&self, source: Source) -> usize {
        self.lines.get(&source).map_or(0, |line| line.running.len())
    }

    fn begin(&mut self, source: Source, now: Instant) -> Option<QueueStep> {
        let line = self.lines.get_mut(&source)?;
        let id = line.waiting.pop_last()?;
        line.running.push_back((now, id));
        if line.waiting.is_empty() {
            self.waiting.remove(&source);
        }
        self.running += 1;
        self.turn = Some(source);
        Some(QueueStep::Begin(source, id))
    }

    fn drop_oldest(&mut self, source: Source) -> Option<QueueStep> {
        let (_, id) = *self.lines.get(&source)?.running.front()?;
        self.leave(source, id);
        Some(QueueStep::Drop(source, id))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn source(last: u8) -> Source {
        Source::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    fn steps(queue: &mut HandshakeQueue, now: Instant) -> Vec<QueueStep> {
        std::iter::from_fn(|| queue.step(now)).collect()
    }

    #[test]
    fn a_storm_of_one_source_waits_and_all_of_it_is_served() {
        let (mut queue, now) = (HandshakeQueue::new(4), Instant::now());
        for id in 0..1000 {
            queue.wait(source(1), id);
        }
        let mut served = BTreeSet::new();
        while served.len() < 1000 {
            let begun = steps(&mut queue, now);
            assert!(!begun.is_empty() && begun.len() <= 4, "{begun:?}");
            assert_eq!(queue.overdue(now), None, "nobody is dropped while the queue moves");
            for step in begun {
                let QueueStep::Begin(source, id) = step else { panic!("{step:?}") };
                assert!(served.insert(id));
                queue.leave(source, id);
            }
        }
        assert_eq!((queue.running, queue.lines.len(), queue.waiting.len()), (0, 0, 0));
    }

    #[test]
    fn the_newest_of_a_source_goes_first_and_other_sources_do_not_wait_for_it() {
        let (mut queue, now) = (HandshakeQueue::new(2), Instant::now());
        for id in 0..100 {
            queue.wait(source(1), id);
        }
        queue.wait(source(2), 100);
        let begun = steps(&mut queue, now);
        assert_eq!(
            begun,
            [
                QueueStep::Begin(source(1), 99),
                QueueStep::Begin(source(2), 100),
                QueueStep::Begin(source(1), 98)
            ]
        );
    }

    #[test]
    fn a_handshake_that_stands_still_gives_way_only_to_its_own_source() {
        let (mut queue, now) = (HandshakeQueue::new(2), Instant::now());
        for id in 0..3 {
            queue.wait(source(1), id);
        }
        assert_eq!(steps(&mut queue, now).len(), 2);
        let later = now + PATIENCE;
        assert_eq!((queue.due(), queue.overdue(now)), (Some(later), None));
        assert_eq!(queue.overdue(later), Some(QueueStep::Drop(source(1), 2)));
        assert_eq!(steps(&mut queue, later), [QueueStep::Begin(source(1), 0)]);
        assert_eq!((queue.due(), queue.overdue(later + PATIENCE * 9)), (None, None), "nobody waits");
    }

    #[test]
    fn when_all_are_taken_the_largest_source_makes_room() {
        let (mut queue, now) = (HandshakeQueue::new(MOST), Instant::now());
        for id in 0..2000 {
            queue.wait(source(1), id);
        }
        assert_eq!(steps(&mut queue, now).len(), MOST);
        queue.wait(source(2), 2000);
        let begun = steps(&mut queue, now);
        assert_eq!(begun, [QueueStep::Drop(source(1), 1999), QueueStep::Begin(source(2), 2000)]);
    }
}
