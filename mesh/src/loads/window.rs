//! Counts of the last ten minutes, second by second. Pure: times are passed in.

use std::time::Duration;

use fleetmesh_api::loads::{Ended, Load, MAX_WINDOW_SECONDS};

/// The longest window that can be asked for, in seconds.
pub const LONGEST: u64 = MAX_WINDOW_SECONDS;

/// What is counted in a second or in a window. Sums end at the greatest number there is, they never wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests sent.
    pub issued: u64,
    /// Requests answered without an error.
    pub succeeded: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Reports that came.
    pub reports: u64,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            issued: self.issued.saturating_add(other.issued),
            succeeded: self.succeeded.saturating_add(other.succeeded),
            failed: self.failed.saturating_add(other.failed),
            reports: self.reports.saturating_add(other.reports),
        }
    }

    /// The form for readers, with the number of requests under way.
    pub fn load(&self, in_progress: u64) -> Load {
        let Self { issued, succeeded, failed, reports } = *self;
        Load { issued, succeeded, failed, in_progress, reports }
    }

    /// The requests that ended.
    pub fn ended(&self) -> Ended {
        Ended { succeeded: self.succeeded, failed: self.failed }
    }

    /// The requests of part number `part` when all of them are dealt out evenly to `parts`, the first ones first; reports
    /// belong to the first part.
    fn share(self, parts: u64, part: u64) -> Self {
        let deal = |count: u64| count / parts + u64::from(part < count % parts);
        Self {
            issued: deal(self.issued),
            succeeded: deal(self.succeeded),
            failed: deal(self.failed),
            reports: if part == 0 { self.reports } else { 0 },
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    /// Which second it holds; an older one's counts are over.
    second: u64,
    counts: Counts,
}

/// A ring of one bucket a second, for [`LONGEST`] seconds: 24 KB, whatever is counted.
#[derive(Clone, Debug)]
pub struct Window {
    buckets: Box<[Bucket]>,
}

impl Window {
    /// Nothing was counted.
    pub fn new() -> Self {
        Self { buckets: (0..LONGEST).map(|_| Bucket::default()).collect() }
    }

    /// Takes in what came at `at` and covers the time `covers` before it. A report that is late, after an outage say, is
    /// about requests of all the seconds that it covers, so it is dealt out to them; what is older than the ring is
    /// dropped.
    pub fn add(&mut self, at: Duration, covers: Duration, counts: Counts) {
        let newest = second(at);
        let parts = covers.as_secs().saturating_add(u64::from(covers.subsec_millis() >= 500)).max(1);
        for part in 0..parts.min(LONGEST) {
            let share = counts.share(parts, part);
            if share == Counts::default() {
                // Every later share is as great at most.
                break;
            }
            let second = newest - part;
            let bucket = &mut self.buckets[index(second)];
            if bucket.second < second {
                *bucket = Bucket { second, counts: share };
            } else if bucket.second == second {
                bucket.counts = bucket.counts.plus(share);
            }
        }
    }

    /// The sum of the last `seconds` seconds, the one that `now` is in included; of [`LONGEST`] at most.
    pub fn sum(&self, now: Duration, seconds: u64) -> Counts {
        let newest = second(now);
        (0..seconds.min(LONGEST)).fold(Counts::default(), |sum, part| {
            let second = newest - part;
            let bucket = &self.buckets[index(second)];
            if bucket.second == second { sum.plus(bucket.counts) } else { sum }
        })
    }
}

/// The number of the second that `at` is in. A ring's length is added, so that there are seconds before the first, and none
/// has the number of a bucket that was never used.
pub fn second(at: Duration) -> u64 {
    at.as_secs().saturating_add(LONGEST)
}

fn index(second: u64) -> usize {
    // Less than the ring's length, which is far below any usize.
    usize::try_from(second % LONGEST).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(issued: u64, succeeded: u64, failed: u64) -> Counts {
        Counts { issued, succeeded, failed, reports: 1 }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_late_report_is_dealt_out_to_the_seconds_that_it_covers() {
        let mut window = Window::new();
        window.add(seconds(3), Duration::from_millis(20_400), counts(41, 20, 19));
        let last = window.sum(seconds(3), 1);
        assert_eq!(last, Counts { issued: 3, succeeded: 1, failed: 1, reports: 1 });
        assert_eq!(window.sum(seconds(3), 20), counts(41, 20, 19));
        assert_eq!(window.sum(seconds(12), 20).issued, 41 - 9 * 2, "nine of its seconds are over");
    }

    #[test]
    fn what_is_older_than_the_ring_is_dropped_and_a_wrong_length_harms_nobody() {
        let mut window = Window::new();
        window.add(seconds(0), seconds(2 * LONGEST), counts(2 * LONGEST, 0, 0));
        assert_eq!(window.sum(seconds(0), LONGEST).issued, LONGEST);
        window.add(seconds(0), Duration::MAX, counts(7, 0, 0));
        assert_eq!(window.sum(seconds(0), LONGEST).issued, LONGEST + 7);
    }

    proptest! {
        /// Against a list of everything that came.
        #[test]
        fn a_window_is_the_sum_of_what_came_in_it(
            steps in prop::collection::vec((0u64..90_000, 0u64..1_400, 0u64..50, 0u64..50, 0u64..50), 1..80),
            length in 1u64..=LONGEST,
            later in 0u64..800,
        ) {
            let (mut window, mut came, mut now) = (Window::new(), Vec::new(), Duration::ZERO);
            for (wait, covers, issued, succeeded, failed) in steps {
                now += Duration::from_millis(wait);
                window.add(now, Duration::from_millis(covers), counts(issued, succeeded, failed));
                came.push((now.as_secs(), counts(issued, succeeded, failed)));
            }
            now += seconds(later);
            let within = came.iter().filter(|(at, _)| at + length > now.as_secs());
            let expected = within.fold(Counts::default(), |sum, (_, counts)| sum.plus(*counts));
            prop_assert_eq!(window.sum(now, length), expected);
        }

        #[test]
        fn dealing_out_loses_nothing(issued: u64, succeeded: u64, failed: u64, covers in 0..LONGEST, at in 0u64..2_000) {
            let mut window = Window::new();
            window.add(seconds(at), seconds(covers), counts(issued, succeeded, failed));
            prop_assert_eq!(window.sum(seconds(at), covers.max(1)), counts(issued, succeeded, failed));
        }
    }
}
