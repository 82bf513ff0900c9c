//! Signatures by the second that they were made in: which were used, and of which it is not known any more. Bounded in number. When it
//! is full the oldest second is forgotten, and with it the right to use any as old. Those of a clock ahead of ours may take a part of it
//! only: otherwise whoever has a key could fill it with these, and all others would be old. Pure; the time is passed in.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use super::SKEW;

/// One in so many of them may be of a clock that is ahead of ours,
pub(super) const AHEAD: usize = 4;
/// by more seconds than these.
const NEARLY: u64 = 2;

/// The beginning of a signature, which is as good as all of it: nobody chooses signatures.
pub type Digest = [u8; 16];

/// What is known of each signature.
#[derive(Debug)]
pub(super) struct Seconds<T> {
    capacity: usize,
    /// Of those of before this second nothing is known.
    floor: u64,
    seconds: BTreeMap<u64, HashMap<Digest, T>>,
    count: usize,
}

impl<T> Seconds<T> {
    /// Room for `capacity` signatures; of those of before the second `floor` nothing is known.
    pub(super) fn new(capacity: usize, floor: u64) -> Self {
        Self { capacity, floor, seconds: BTreeMap::new(), count: 0 }
    }

    /// The first second of whose signatures it is known whether they were used.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// What is known of the signature `digest` of `second`.
    pub(super) fn get(&self, second: u64, digest: &Digest) -> Option<&T> {
        self.seconds.get(&second)?.get(digest)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, second: u64, digest: &Digest) -> Option<&mut T> {
        self.seconds.get_mut(&second)?.get_mut(digest)
    }

    /// Remembers `known` of a signature, and forgets the oldest ones when there is no room for it.
    pub(super) fn insert(&mut self, second: u64, digest: Digest, known: T) {
        let former = self.seconds.entry(second).or_default().insert(digest, known);
        self.count += usize::from(former.is_none());
        while self.count > self.capacity {
            self.forget_oldest();
        }
    }

    /// Forgets one signature, which may be used again.
    pub(super) fn remove(&mut self, second: u64, digest: &Digest) {
        let removed = self.seconds.get_mut(&second).and_then(|of_second| of_second.remove(digest));
        self.count -= usize::from(removed.is_some());
    }

    /// Forgets those that are not taken any more by their time alone.
    pub(super) fn forget(&mut self, now: SystemTime) {
        let oldest = second(now).saturating_sub(SKEW.as_secs());
        while self.seconds.first_key_value().is_some_and(|(second, _)| *second < oldest) {
            self.forget_oldest();
        }
    }

    /// Whether one of the second `made` is of a clock that is ahead of `now`, and there are as many of these as may be.
    pub(super) fn is_crowded(&self, made: u64, now: SystemTime) -> bool {
        let near = second(now) + NEARLY;
        let ahead = || self.seconds.range(near + 1..).map(|(_, of_second)| of_second.len()).sum::<usize>();
        made > near && ahead() >= self.capacity / AHEAD
    }

    /// Forgets the oldest second. If the clock is set back, its signatures are not taken again.
    fn forget_oldest(&mut self) {
        if let Some((second, of_second)) = self.seconds.pop_first() {
            self.count -= of_second.len();
            self.floor = self.floor.max(second + 1);
        }
    }
}

/// The second since the epoch.
pub(super) fn second(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// The first 16 of the 32 bytes of a signature in hexadecimal.
pub(super) fn digest(signature: &str) -> Option<Digest> {
    let number = u128::from_str_radix(signature.get(..32)?, 16).ok()?;
    Some(number.to_be_bytes())
}
