//! What is refused is told in the log by source: the first refusal of a source with its reason, and the others of a minute as
//! a number. Whoever is refused chooses how often, so a line each would let a stranger fill the log and hide in it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;

use crate::listen::Source;

/// For how long refusals are counted before the number is told.
const WINDOW: Duration = Duration::from_secs(60);
/// Sources that are told apart. Beyond that the others are told as one.
const MOST: usize = 1024;

/// The refusals of one kind.
#[derive(Clone, Debug)]
pub struct Refusals {
    /// What is told of them.
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

/// How many refusals of a source were not told, for those of whom one was told within the last minute.
#[derive(Debug, Default)]
struct SourceCounts(HashMap<Who, u64>);

impl SourceCounts {
    /// Takes a refusal in; answers who is to be told of, if it is, and not merely counted.
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

    /// A minute is over; answers how many refusals were counted in it. When there were any, the next minute begins, of which
    /// each is counted; otherwise the next refusal is told again.
    fn turn(&mut self, who: Who) -> u64 {
        let count = self.0.get_mut(&who).map(std::mem::take).unwrap_or_default();
        if count == 0 {
            self.0.remove(&who);
        }
        count
    }
}

impl Refusals {
    /// None yet; `what` is what is told of them.
    pub fn new(what: &'static str) -> Self {
        Self { what, counts: Arc::default() }
    }

    /// Tells of a refusal of somebody at `source`, or counts it. To be called within a runtime.
    pub fn tell(&self, source: Option<Source>, reason: &dyn Display) {
        let what = self.what;
        let told = self.counts().note(source.map_or(Who::Nameless, Who::Source));
        let Some(who) = told else {
            tracing::debug!(?source, %reason, "{what}");
            return;
        };
        tracing::info!(?source, %reason, "{what}");
        let refusals = self.clone();
        tokio::spawn(async move { refusals.sum_up(who).await });
    }

    /// Tells each minute how many there were, until there was none.
    async fn sum_up(self, who: Who) {
        let what = self.what;
        loop {
            sleep(WINDOW).await;
            let count = self.counts().turn(who);
            if count == 0 {
                return;
            }
            tracing::info!(source = ?who, count, "{what}: further ones within a minute, which are not told one by one");
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
        let told = (0..10_000).filter_map(|_| counts.note(source(1))).count();
        assert_eq!((told, counts.note(source(2))), (1, Some(source(2))));
        assert_eq!((counts.turn(source(1)), counts.turn(source(2))), (9_999, 0));
        assert_eq!(counts.note(source(2)), Some(source(2)), "it was quiet for a minute");
        // Whoever goes on has one line a minute, which is the number.
        assert_eq!((counts.note(source(1)), counts.turn(source(1))), (None, 1));
        assert_eq!((counts.turn(source(1)), counts.note(source(1))), (0, Some(source(1))));
    }

    #[test]
    fn many_sources_are_told_as_one_beyond_a_number_of_them() {
        let mut counts = SourceCounts::default();
        let told = (0..100_000).filter_map(|number| counts.note(source(number))).count();
        assert_eq!((told, counts.0.len()), (MOST + 1, MOST + 1));
        assert_eq!(counts.turn(Who::Others), 100_000 - 1 - u64::try_from(MOST).expect("a number"));
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_a_source_that_rests() {
        let refusals = Refusals::new("a test");
        for _ in 0..3 {
            refusals.tell(None, &"no reason");
        }
        sleep(WINDOW * 3).await;
        assert!(refusals.counts().0.is_empty());
    }
}
