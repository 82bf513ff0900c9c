//! How often each source may try to join. Pure: the time is passed in.
//!
//! Every try asks STS, where all of them count against one account, and spends a challenge, which is remembered. A source
//! that tries too often has to come back later; the others do not notice it.

use std::collections::HashMap;
use std::time::Instant;

use crate::listen::Source;

/// Tries that a source that has rested may make at once, in seconds of its rate.
const BURST: u32 = 4;
/// Sources that are remembered. Beyond that the others share one rate.
const MOST: usize = 16_384;

/// The rates of all sources.
#[derive(Debug)]
pub struct Rates {
    a_second: f64,
    sources: HashMap<Option<Source>, RateBucket>,
}

#[derive(Clone, Copy, Debug)]
struct RateBucket {
    tokens: f64,
    filled: Instant,
}

impl Rates {
    /// Nobody has tried. `a_second` is at least 1.
    pub fn new(a_second: u32) -> Self {
        Self { a_second: f64::from(a_second), sources: HashMap::new() }
    }

    /// Takes a try of `source` at `now`; false when it is one too many. Callers without an address share a rate.
    pub fn take(&mut self, source: Option<Source>, now: Instant) -> bool {
        let (rate, full) = (self.a_second, self.a_second * f64::from(BURST));
        let filled = |bucket: &RateBucket| {
            let rested = now.saturating_duration_since(bucket.filled).as_secs_f64();
            (bucket.tokens + rested * rate).min(full)
        };
        if self.sources.len() >= MOST && !self.sources.contains_key(&source) {
            // Whoever has rested for long is as good as unknown.
            self.sources.retain(|_, bucket| filled(bucket) < full);
        }
        let known = self.sources.len() < MOST || self.sources.contains_key(&source);
        let key = if known { source } else { None };
        let bucket = self.sources.entry(key).or_insert(RateBucket { tokens: full, filled: now });
        let tokens = filled(bucket);
        let enough = tokens >= 1.0;
        *bucket = RateBucket { tokens: if enough { tokens - 1.0 } else { tokens }, filled: now };
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    fn source(number: u32) -> Option<Source> {
        Some(Source::V4(Ipv4Addr::from(number)))
    }

    #[test]
    fn a_source_has_a_burst_and_a_rate_and_others_have_their_own() {
        let (mut rates, now) = (Rates::new(5), Instant::now());
        assert_eq!((0..300).filter(|_| rates.take(source(1), now)).count(), 20);
        assert!(rates.take(source(2), now) && rates.take(None, now));
        let later = now + Duration::from_secs(1);
        assert_eq!((0..300).filter(|_| rates.take(source(1), later)).count(), 5);
        let rested = now + Duration::from_secs(3600);
        assert_eq!((0..300).filter(|_| rates.take(source(1), rested)).count(), 20);
    }

    #[test]
    fn many_sources_take_no_more_memory_than_there_is() {
        let (mut rates, now) = (Rates::new(5), Instant::now());
        for number in 0..20_000 {
            rates.take(source(number), now);
        }
        assert!(rates.sources.len() <= MOST + 1, "{}", rates.sources.len());
        assert!(rates.take(source(0), now), "whoever is known is not touched");
        let later = now + Duration::from_secs(60);
        assert!(rates.take(source(30_000), later) && rates.sources.len() < 10, "who rested is forgotten");
    }
}
