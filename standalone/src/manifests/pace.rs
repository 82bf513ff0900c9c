//! When the directory is brought to the API. Pure: the time is passed in.

use std::time::Duration;

use tokio::time::Instant;

use super::tree::Tree;

/// How long a checkout that is being written is waited for: one that was cut off leaves its lock.
const WRITTEN: Duration = Duration::from_secs(60);
/// After how long all of it is applied again, so that what somebody else changed is as it is written.
const EVERYTHING: Duration = Duration::from_secs(600);
/// After how long what failed is tried again at first; twice as long each time, up to [`EVERYTHING`].
const AGAIN: Duration = Duration::from_secs(2);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Whether all is applied, or what changed or failed alone.
    pub(super) everything: bool,
    /// Whether what is gone is pruned.
    pub(super) prunes: bool,
}

/// What was seen, and what was done.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seen: Option<Tree>,
    brought: Option<Tree>,
    /// When a lock was first seen that is still there.
    written_since: Option<Instant>,
    failures: u32,
    again: Option<Instant>,
}

impl Pace {
    /// What is due with the directory as it is. A change counts when a second look sees the same, and no checkout is being
    /// written; at the start all is applied at once, and pruned with the next look.
    pub(super) fn due(&mut self, tree: &Tree, is_written: bool, now: Instant) -> Option<Due> {
        if is_written {
            let since = *self.written_since.get_or_insert(now);
            if now.duration_since(since) < WRITTEN {
                self.seen = None;
                return None;
            }
        } else {
            self.written_since = None;
        }
        let is_first = self.again.is_none();
        let is_settled = self.seen.as_ref() == Some(tree);
        self.seen = Some(tree.clone());
        if is_first {
            return Some(Due { everything: true, prunes: false });
        }
        if !is_settled {
            return None;
        }
        if self.brought.as_ref() != Some(tree) {
            self.brought = Some(tree.clone());
            self.failures = 0;
            return Some(Due { everything: false, prunes: true });
        }
        let is_due = self.again.is_some_and(|again| now >= again);
        is_due.then_some(Due { everything: self.failures == 0, prunes: true })
    }

    /// It was done; something `has_failed` or not.
    pub(super) fn brought(&mut self, has_failed: bool, now: Instant) {
        self.failures = if has_failed { self.failures.saturating_add(1) } else { 0 };
        let wait = match self.failures {
            0 => EVERYTHING,
            failures => AGAIN.saturating_mul(1 << (failures - 1).min(16)).min(EVERYTHING),
        };
        self.again = Some(now + wait);
    }

    /// Something could not be put back: it is tried again no later than planned, and soon. No pass failed for that.
    pub(super) fn again_soon(&mut self, now: Instant) {
        self.again_at(now + AGAIN);
    }

    /// What is not applied is tried again at `at`, if not before.
    pub(super) fn again_at(&mut self, at: Instant) {
        self.again = Some(self.again.map_or(at, |again| again.min(at)));
    }

    /// All of it is applied with the next look.
    pub(super) fn all_at(&mut self, now: Instant) {
        self.failures = 0;
        self.again = self.again.map(|_| now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::tree::Stamp;

    const APPLY: Option<Due> = Some(Due { everything: true, prunes: false });
    const CHANGED: Option<Due> = Some(Due { everything: false, prunes: true });
    const ALL: Option<Due> = Some(Due { everything: true, prunes: true });

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::default();
        tree.files.insert("a.yaml".to_owned(), Stamp::of_size(size));
        tree
    }

    #[test]
    fn a_change_counts_when_it_is_seen_twice_and_what_is_gone_is_pruned_then() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.due(&tree(1), false, now), APPLY);
        pace.brought(false, now);
        assert_eq!(pace.due(&tree(1), false, now), CHANGED);
        pace.brought(false, now);
        assert_eq!(pace.due(&tree(1), false, now), None);
        assert_eq!(pace.due(&tree(2), false, now), None);
        assert_eq!(pace.due(&tree(3), false, now), None);
        assert_eq!(pace.due(&tree(3), false, now), CHANGED);
        pace.brought(false, now);
        assert_eq!(pace.due(&tree(3), false, now + EVERYTHING - AGAIN), None);
        assert_eq!(pace.due(&tree(3), false, now + EVERYTHING), ALL);
    }

    #[test]
    fn what_failed_is_tried_again_ever_more_seldom() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        pace.due(&tree(1), false, now);
        pace.brought(true, now);
        pace.due(&tree(1), false, now);
        pace.brought(true, now);
        let mut waits = Vec::new();
        for _ in 0..10 {
            let again = pace.again.expect("a time");
            waits.push(again.duration_since(now).as_secs());
            assert_eq!(pace.due(&tree(1), false, again - Duration::from_millis(1)), None);
            assert_eq!(pace.due(&tree(1), false, again), CHANGED);
            now = again;
            pace.brought(true, now);
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 512, 600]);
    }

    #[test]
    fn what_could_not_be_put_back_is_tried_again_soon_however_much_of_it_there_is() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.due(&tree(1), false, now);
        pace.brought(true, now);
        pace.due(&tree(1), false, now);
        pace.brought(true, now);
        for _ in 0..10 {
            pace.again_soon(now + Duration::from_secs(1));
        }
        assert_eq!(pace.again, Some(now + AGAIN), "not later than what failed");
        pace.brought(true, now + AGAIN);
        assert_eq!(pace.again, Some(now + AGAIN * 3), "no pass failed for it");
        for _ in 0..9 {
            pace.brought(true, now);
        }
        pace.again_soon(now);
        assert_eq!(pace.again, Some(now + AGAIN));
    }

    #[test]
    fn all_of_it_is_applied_again_when_changes_were_missed() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for _ in 0..2 {
            pace.due(&tree(1), false, now);
            pace.brought(true, now);
        }
        pace.all_at(now);
        assert_eq!(pace.due(&tree(1), false, now), ALL);
        pace.brought(false, now);
        assert_eq!(pace.due(&tree(1), false, now), None);
    }

    #[test]
    fn a_checkout_that_is_written_is_waited_for_but_not_for_ever() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.due(&tree(1), true, now), None);
        assert_eq!(pace.due(&tree(1), true, now + WRITTEN - AGAIN), None);
        assert_eq!(pace.due(&tree(1), true, now + WRITTEN), APPLY);
        pace.brought(false, now + WRITTEN);
        assert_eq!(pace.due(&tree(1), true, now + WRITTEN), CHANGED);
        pace.brought(false, now + WRITTEN);
        assert_eq!(pace.due(&tree(2), false, now + WRITTEN), None);
        assert_eq!(pace.due(&tree(2), true, now + WRITTEN), None, "another lock");
        assert_eq!(pace.due(&tree(2), false, now + WRITTEN), None);
        assert_eq!(pace.due(&tree(2), false, now + WRITTEN), CHANGED);
    }
}
