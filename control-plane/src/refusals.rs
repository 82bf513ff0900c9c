//! Refusals in the log, by source: the first one of a source with its reason, and the others of a minute as a number. Callers
//! choose how often they are refused, so a line for each would let a stranger fill the log and hide in it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::listen::Source;

/// For how long refusals are counted before the number is logged.
const WINDOW: Duration = Duration::from_secs(60);
/// Sources that are counted one by one. All others count as one.
const MOST: usize = 1024;

/// The refusals of one kind.
#[derive(Clone, Debug)]
pub struct Refusals {
    /// The message of their lines.
    what: &'static str,
    counts: Arc<Mutex<SourceCounts>>,
}

/// Whom a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Who {
    Source(Source),
    /// Whoever connects by a Unix socket.
    Nameless,
    /// All those that there was no room for.
    Others,
}

/// How many refusals of a source were not logged, for those with a line within the last minute.
#[derive(Debug, Default)]
struct SourceCounts(HashMap<Who, u64>);

impl SourceCounts {
    /// Takes a refusal in; returns whom to log it for, or `None` when it is only counted.
    fn note(&mut self, who: Who) -> Option<Who> {
        let known = self.0.len() < MOST || self.0.contains_key(&who);
        let who = if known { who } else { Who::Others };
        match self.0.entry(who) {
            Entry::Occupied(mut count) => {
                *count.get_mut() += 1;
                None
            }
            Entry::Vacant(count) => {
                count.insert(0);
                Some(who)
            }
        }
    }

    /// A minute is over; returns how many refusals were counted in it. When there were any, the next minute begins, in which
    /// all are counted; otherwise the next refusal is logged again.
    fn turn(&mut self, who: Who) -> u64 {
        let count = self.0.get_mut(&who).map(std::mem::take).unwrap_or_default();
        if count == 0 {
            self.0.remove(&who);
        }
        count
    }
}

impl Refusals {
    /// None yet; `what` is the message of their lines.
    pub fn new(what: &'static str) -> Self {
        Self { what, counts: Arc::default() }
    }

    /// Logs a refusal of somebody at `source`, or counts it. To be called within a runtime.
    pub fn log(&self, source: Option<Source>, reason: &dyn Display) {
        let what = self.what;
        let logged = self.counts().note(source.map_or(Who::Nameless, Who::Source));
        let Some(who) = logged else {
            tracing::debug!(?source, %reason, "{what}");
            return;
        };
        tracing::info!(?source, %reason, "{what}");
        let refusals = self.clone();
        tokio::spawn(async move { refusals.sum_up(who).await });
    }

    /// Logs each minute how many there were, until there was none.
    async fn sum_up(self, who: Who) {
        let what = self.what;
        loop {
            sleep(WINDOW).await;
            let count = self.counts().turn(who);
            if count == 0 {
                return;
            }
            tracing::info!(source = ?who, count, "{what}: further ones within a minute, which are not logged one by one");
        }
    }

    fn counts(&self) -> MutexGuard<'_, SourceCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn source(number: u32) -> Who {
        Who::Source(Source::V4(Ipv4Addr::from(number)))
    }

    #[test]
    fn a_source_has_a_line_and_a_number_each_minute_however_often_it_is_refused() {
        let mut counts = SourceCounts::default();
        let logged = (0..10_000).filter_map(|_| counts.note(source(1))).count();
        assert_eq!((logged, counts.note(source(2))), (1, Some(source(2))));
        assert_eq!((counts.turn(source(1)), counts.turn(source(2))), (9_999, 0));
        assert_eq!(counts.note(source(2)), Some(source(2)), "it was quiet for a minute");
        // Whoever goes on has one line a minute, which is the number.
        assert_eq!((counts.note(source(1)), counts.turn(source(1))), (None, 1));
        assert_eq!((counts.turn(source(1)), counts.note(source(1))), (0, Some(source(1))));
    }

    #[test]
    fn many_sources_count_as_one_beyond_a_number_of_them() {
        let mut counts = SourceCounts::default();
        let logged = (0..100_000).filter_map(|number| counts.note(source(number))).count();
        assert_eq!((logged, counts.0.len()), (MOST + 1, MOST + 1));
        assert_eq!(counts.turn(Who::Others), 100_000 - 1 - u64::try_from(MOST).expect("a number"));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_a_source_that_rests() {
        let refusals = Refusals::new("a test");
        for _ in 0..3 {
            refusals.log(None, &"no reason");
        }
        sleep(WINDOW * 3).await;
        assert!(refusals.counts().0.is_empty());
    }
}
