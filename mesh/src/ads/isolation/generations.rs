//! In which order proxies got their snapshots. Pure.

use std::sync::{Arc, Weak};

use crate::snapshot::Snapshot;

/// From one to the next, with room for one between.
const STEP: u64 = 2;

/// The snapshots that proxies got, as long as somebody has them: later ones have greater numbers.
#[derive(Debug)]
pub(super) struct Generations {
    born: Vec<(Weak<Snapshot>, u64)>,
    last: u64,
}

impl Generations {
    pub(super) fn new(first: &Arc<Snapshot>) -> Self {
        Self { born: vec![(Arc::downgrade(first), STEP)], last: STEP }
    }

    /// Notes that proxies get another snapshot now.
    pub(super) fn bear(&mut self, snapshot: &Arc<Snapshot>) {
        self.last += STEP;
        self.push(snapshot, self.last);
    }

    /// Notes that some get this instead of `newer`: less of what that brings.
    pub(super) fn bear_before(&mut self, snapshot: &Arc<Snapshot>, newer: &Arc<Snapshot>) {
        self.push(snapshot, self.of(newer).saturating_sub(1));
    }

    fn push(&mut self, snapshot: &Arc<Snapshot>, number: u64) {
        self.born.retain(|(snapshot, _)| snapshot.strong_count() > 0);
        self.born.push((Arc::downgrade(snapshot), number));
    }

    /// The number of a snapshot that proxies got; 0 for one that they never got.
    pub(super) fn of(&self, snapshot: &Arc<Snapshot>) -> u64 {
        let is_it = |born: &Weak<Snapshot>| std::ptr::eq(born.as_ptr(), Arc::as_ptr(snapshot));
        self.born.iter().rev().find(|(born, _)| is_it(born)).map_or(0, |(_, number)| *number)
    }
}
