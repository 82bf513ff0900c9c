//! How fast a stream's requests are read: whoever sends more waits, by the flow control of the connection, and nothing fails. Pure.

use std::time::{Duration, Instant};

/// How many requests may come at once. Envoy asks again for routes and endpoints with each cluster and listener that it warms.
const BURST: u32 = 1000;
/// How long each of them counts: 200 a second for ever.
const EACH: Duration = Duration::from_millis(5);

/// The requests of one stream.
#[derive(Debug)]
pub struct Pace {
    /// Until when those that came take, one after another.
    busy: Instant,
}

impl Pace {
    /// Of a stream that begins `now`.
    pub fn new(now: Instant) -> Self {
        Self { busy: now }
    }

    /// When the next one may be read.
    pub fn turn(&self) -> Instant {
        let ahead = EACH * (BURST - 1);
        self.busy.checked_sub(ahead).unwrap_or(self.busy)
    }

    /// Counts one that was read `now`.
    pub fn count(&mut self, now: Instant) {
        self.busy = self.busy.max(now) + EACH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_read_at_once_and_what_comes_after_it_in_turn() {
        let start = Instant::now() + Duration::from_secs(3600);
        let mut pace = Pace::new(start);
        for _ in 0..BURST {
            assert!(pace.turn() <= start);
            pace.count(start);
        }
        assert_eq!(pace.turn(), start + EACH);
        pace.count(start + EACH);
        assert_eq!(pace.turn(), start + 2 * EACH);
        // After a pause as many are read at once as in the beginning.
        let later = start + Duration::from_secs(60);
        for _ in 0..BURST {
            assert!(pace.turn() <= later);
            pace.count(later);
        }
        assert_eq!(pace.turn(), later + EACH);
    }
}
