//! How many may be here at once, from one source and in all; the oldest makes room. Pure.

use std::collections::{BTreeSet, HashMap};

use super::source::Source;

/// Those who are here, each by a number that is greater than those of all who came before.
#[derive(Debug)]
pub(super) struct Crowd {
    /// The most from one source.
    per_source: usize,
    /// The most in all.
    most: usize,
    count: usize,
    sources: HashMap<Source, BTreeSet<u64>>,
}

impl Crowd {
    /// Nobody is here yet.
    pub(super) fn new(per_source: usize, most: usize) -> Self {
        Self { per_source, most, count: 0, sources: HashMap::new() }
    }

    /// Takes one in; answers who has to leave for it, and has left by this: the oldest of its source, or of the source
    /// that has the most here.
    pub(super) fn enter(&mut self, source: Source, id: u64) -> Option<(Source, u64)> {
        let here = self.sources.entry(source).or_default();
        here.insert(id);
        let crowded = here.len() > self.per_source;
        self.count += 1;
        let from = if crowded { source } else { self.largest().filter(|_| self.count > self.most)? };
        let oldest = *self.sources.get(&from)?.first()?;
        self.leave(from, oldest);
        Some((from, oldest))
    }

    /// One is gone; nothing changes when it was already.
    pub(super) fn leave(&mut self, source: Source, id: u64) {
        let Some(here) = self.sources.get_mut(&source) else { return };
        if here.remove(&id) {
            self.count -= 1;
        }
        if here.is_empty() {
            self.sources.remove(&source);
        }
    }

    fn largest(&self) -> Option<Source> {
        self.sources.iter().max_by_key(|(_, here)| here.len()).map(|(source, _)| *source)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn source(last: u8) -> Source {
        Source::V4(Ipv4Addr::new(10, 0, 0, last))
    }

    #[test]
    fn the_oldest_of_a_source_makes_room_for_its_newest_and_nobody_else_is_touched() {
        let mut crowd = Crowd::new(2, 10);
        assert_eq!(crowd.enter(source(1), 1), None);
        assert_eq!(crowd.enter(source(2), 2), None);
        assert_eq!(crowd.enter(source(1), 3), None);
        assert_eq!(crowd.enter(source(1), 4), Some((source(1), 1)));
        crowd.leave(source(1), 3);
        crowd.leave(source(1), 3);
        assert_eq!(crowd.enter(source(1), 5), None);
        assert_eq!(crowd.enter(source(1), 6), Some((source(1), 4)));
    }

    #[test]
    fn when_all_is_full_the_largest_source_makes_room() {
        let mut crowd = Crowd::new(8, 9);
        for id in 0..8 {
            assert_eq!(crowd.enter(source(1), id), None);
        }
        assert_eq!(crowd.enter(source(2), 8), None);
        assert_eq!(crowd.enter(source(3), 9), Some((source(1), 0)));
        crowd.leave(source(2), 8);
        assert_eq!(crowd.enter(source(4), 10), None, "there is room again");
    }
}
