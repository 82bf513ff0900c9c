//! Token buckets: how many requests a second are accepted of each account. Pure: the time is passed in.

use std::collections::BTreeMap;
use std::time::Instant;

use fleetmesh_model::Account;

/// A bucket for each account, so that nobody is refused for what another account sends. As many as there are accounts that ask.
#[derive(Debug)]
pub struct Buckets {
    rate: u32,
    buckets: BTreeMap<Account, TokenBucket>,
}

impl Buckets {
    /// Full ones for `rate` requests a second of each account, 1 or more.
    pub fn new(rate: u32) -> Self {
        Self { rate, buckets: BTreeMap::new() }
    }

    /// The requests a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes one request of `account` at `now`; false when there are too many.
    pub fn take(&mut self, account: Account, now: Instant) -> bool {
        self.buckets.entry(account).or_insert_with(|| TokenBucket::new(self.rate, now)).take(now)
    }
}

/// A bucket that holds one second's worth of requests, so a burst of that size passes.
#[derive(Debug)]
struct TokenBucket {
    rate: u32,
    tokens: f64,
    filled_at: Instant,
}

impl TokenBucket {
    /// A full bucket for `rate` requests a second, 1 or more.
    fn new(rate: u32, now: Instant) -> Self {
        Self { rate, tokens: rate.into(), filled_at: now }
    }

    /// Takes one request at `now`; false when there are too many.
    fn take(&mut self, now: Instant) -> bool {
        let rate = f64::from(self.rate);
        let refill = now.saturating_duration_since(self.filled_at).as_secs_f64() * rate;
        self.tokens = (self.tokens + refill).min(rate);
        self.filled_at = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_rules() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(4, start);
        assert_eq!((0..6).filter(|_| bucket.take(start)).count(), 4);
        assert!(bucket.take(start + Duration::from_millis(250)));
        assert!(!bucket.take(start + Duration::from_millis(300)));
        let rested = start + Duration::from_secs(60);
        assert_eq!((0..9).filter(|_| bucket.take(rested)).count(), 4);
    }

    #[test]
    fn an_account_takes_nothing_of_another_ones() {
        let (mut buckets, now) = (Buckets::new(3), Instant::now());
        let other = Account::Other("444455556666".parse().expect("an account"));
        assert_eq!((0..9).filter(|_| buckets.take(other, now)).count(), 3);
        assert_eq!((0..9).filter(|_| buckets.take(Account::First, now)).count(), 3);
    }
}
