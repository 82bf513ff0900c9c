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
    /// When what is not applied is tried again.
    again: Option<Instant>,
    /// When all of it is applied; `None` before it was for the first time. Nothing but that puts it off.
    everything: Option<Instant>,
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
        let is_settled = self.seen.as_ref() == Some(tree);
        self.seen = Some(tree.clone());
        let Some(everything) = self.everything else {
            return Some(Due { everything: true, prunes: false });
        };
        if !is_settled {
            return None;
        }
        let has_changed = self.brought.as_ref() != Some(tree);
        if has_changed {
            self.brought = Some(tree.clone());
            self.failures = 0;
        }
        let everything = now >= everything;
        let is_again = self.again.is_some_and(|again| now >= again);
        (everything || has_changed || is_again).then_some(Due { everything, prunes: true })
    }

    /// What was `due` is done; something `has_failed` or not.
    pub(super) fn brought(&mut self, due: Due, has_failed: bool, now: Instant) {
        if due.everything {
            self.everything = Some(now + EVERYTHING);
        }
        self.failures = if has_failed { self.failures.saturating_add(1) } else { 0 };
        let doublings = self.failures.saturating_sub(1).min(16);
        self.again = has_failed.then(|| now + AGAIN.saturating_mul(1 << doublings).min(EVERYTHING));
    }

    /// Something could not be put back: it is tried again no later than planned, and soon. No pass failed for that.
    pub(super) fn again_soon(&mut self, now: Instant) {
        self.again_at(now + AGAIN);
    }

    /// What is not applied is tried again at `at`, if not before.
    pub(super) fn again_at(&mut self, at: Instant) {
        self.again = Some(self.again.map_or(at, |again| again.min(at)));
    }

    /// All of it is applied with the first look after `now` that finds the directory settled.
    pub(super) fn all_at(&mut self, now: Instant) {
        self.everything = self.everything.map(|_| now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::tree::Stamp;

    const APPLY: Option<Due> = Some(Due { everything: true, prunes: false });
    const CHANGED: Option<Due> = Some(Due { everything: false, prunes: true });
    const ALL: Option<Due> = Some(Due { everything: true, prunes: true });

    /// What is due, and is done.
    fn pass(pace: &mut Pace, tree: &Tree, has_failed: bool, now: Instant) -> Option<Due> {
        let due = pace.due(tree, false, now);
        due.into_iter().for_each(|due| pace.brought(due, has_failed, now));
        due
    }

    fn tree(size: u64) -> Tree {
        let mut tree = Tree::default();
        tree.files.insert("a.yaml".to_owned(), Stamp::of_size(size));
        tree
    }

    #[test]
    fn a_change_counts_when_it_is_seen_twice_and_what_is_gone_is_pruned_then() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pass(&mut pace, &tree(1), false, now), APPLY);
        assert_eq!(pass(&mut pace, &tree(1), false, now), CHANGED);
        assert_eq!(pace.due(&tree(1), false, now), None);
        assert_eq!(pace.due(&tree(2), false, now), None);
        assert_eq!(pace.due(&tree(3), false, now), None);
        assert_eq!(pass(&mut pace, &tree(3), false, now), CHANGED);
        assert_eq!(pace.due(&tree(3), false, now + EVERYTHING - AGAIN), None);
        assert_eq!(pace.due(&tree(3), false, now + EVERYTHING), ALL);
    }

    #[test]
    fn what_failed_is_tried_again_ever_more_seldom() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..2 {
            pass(&mut pace, &tree(1), true, now);
        }
        let mut waits = Vec::new();
        for _ in 0..8 {
            let again = pace.again.expect("a time");
            waits.push(again.duration_since(now).as_secs());
            assert_eq!(pace.due(&tree(1), false, again - Duration::from_millis(1)), None);
            assert_eq!(pass(&mut pace, &tree(1), true, again), CHANGED);
            now = again;
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256]);
        for wait in [512, 600, 600].map(Duration::from_secs) {
            assert_eq!(pace.again, Some(now + wait));
            now += wait;
            assert_eq!(
                pass(&mut pace, &tree(1), true, now),
                ALL,
                "all of it is due meanwhile, whatever fails"
            );
        }
    }

    #[test]
    fn what_could_not_be_put_back_is_tried_again_soon_however_much_of_it_there_is() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for _ in 0..2 {
            pass(&mut pace, &tree(1), true, now);
        }
        for _ in 0..10 {
            pace.again_soon(now + Duration::from_secs(1));
        }
        assert_eq!(pace.again, Some(now + AGAIN), "not later than what failed");
        pass(&mut pace, &tree(1), true, now + AGAIN);
        assert_eq!(pace.again, Some(now + AGAIN * 3), "no pass failed for it");
        pass(&mut pace, &tree(1), true, now + AGAIN * 3);
        pace.again_soon(now);
        assert_eq!(pace.again, Some(now + AGAIN));
    }

    #[test]
    fn all_of_it_is_applied_again_when_changes_were_missed_whatever_comes_first() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for _ in 0..2 {
            pass(&mut pace, &tree(1), true, now);
        }
        pace.all_at(now);
        pace.again_soon(now);
        assert_eq!(pace.due(&tree(1), false, now), ALL);
        assert_eq!(pace.due(&tree(1), false, now), ALL, "nothing was done");
        assert_eq!(pace.due(&tree(2), false, now), None);
        assert_eq!(pass(&mut pace, &tree(2), true, now), ALL, "the directory changed, too");
        assert_eq!(pass(&mut pace, &tree(2), false, now + AGAIN), CHANGED, "what failed alone");
        assert_eq!(pass(&mut pace, &tree(2), false, now + EVERYTHING - AGAIN), None);
        assert_eq!(pass(&mut pace, &tree(2), false, now + EVERYTHING), ALL);
    }

    #[test]
    fn a_checkout_that_is_written_is_waited_for_but_not_for_ever() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!(pace.due(&tree(1), true, now), None);
        assert_eq!(pace.due(&tree(1), true, now + WRITTEN - AGAIN), None);
        for expected in [APPLY, CHANGED] {
            let due = pace.due(&tree(1), true, now + WRITTEN);
            assert_eq!(due, expected);
            due.into_iter().for_each(|due| pace.brought(due, false, now + WRITTEN));
        }
        assert_eq!(pace.due(&tree(2), false, now + WRITTEN), None);
        assert_eq!(pace.due(&tree(2), true, now + WRITTEN), None, "another lock");
        assert_eq!(pace.due(&tree(2), false, now + WRITTEN), None);
        assert_eq!(pace.due(&tree(2), false, now + WRITTEN), CHANGED);
    }
}
