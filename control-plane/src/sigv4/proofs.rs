//! Which signatures proved that whoever is at the other end of a connection has a key: each proves it of one connection. Whoever
//! saw a request and sends it again, over as many connections as he likes, has proved nothing. Pure but for its lock; the time is
//! passed in.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::replay::{AHEAD, Digest, NEARLY, digest, second};
use super::{SKEW, Verified};

/// Signatures that are remembered at most. They are of the first requests of connections.
const CAPACITY: usize = 65_536;

/// The signatures that are proofs no more.
#[derive(Clone, Debug, Default)]
pub struct Proofs(Arc<Mutex<ProofMemory>>);

#[derive(Debug, Default)]
struct ProofMemory {
    /// Signatures of before this second are forgotten, and no proofs.
    floor: u64,
    /// By the second that they were made in.
    seconds: BTreeMap<u64, HashSet<Digest>>,
    count: usize,
}

impl Proofs {
    /// Whether the signature of a request that came at `now` and changes nothing proves whose its connection is: it did so of no
    /// other. Of what is too old to be remembered it is not known, and so it does not.
    pub fn take(&self, verified: &Verified, now: SystemTime) -> bool {
        self.take_of(verified, now, CAPACITY)
    }

    fn take_of(&self, verified: &Verified, now: SystemTime, capacity: usize) -> bool {
        let Some(digest) = digest(&verified.signature) else { return false };
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, near) = (second(verified.time), second(now) + NEARLY);
        // Those of a clock that is ahead may not push out all others.
        let ahead = || memory.seconds.range(near + 1..).map(|(_, digests)| digests.len()).sum::<usize>();
        if made > near && ahead() >= capacity / AHEAD {
            return false;
        }
        if made < memory.floor || !memory.seconds.entry(made).or_default().insert(digest) {
            return false;
        }
        memory.count += 1;
        let oldest = second(now).saturating_sub(SKEW.as_secs());
        while memory.count > capacity
            || memory.seconds.first_key_value().is_some_and(|(second, _)| *second < oldest)
        {
            let Some((second, digests)) = memory.seconds.pop_first() else { break };
            memory.count -= digests.len();
            memory.floor = memory.floor.max(second + 1);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::rights::{KeyHolder, KeyPolicy};

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn take(proofs: &Proofs, signature: u128, made: u64, now: u64, capacity: usize) -> bool {
        let holder = KeyHolder { id: "A".into(), name: String::new(), policy: KeyPolicy::EVERYTHING };
        let signature = format!("{signature:032x}{:032x}", 0);
        let verified = Verified { holder: Arc::new(holder), signature, time: at(made) };
        proofs.take_of(&verified, at(now), capacity)
    }

    #[test]
    fn whoever_signs_ahead_of_the_clock_takes_no_proof_from_others() {
        let proofs = Proofs::default();
        let taken = (0..1_000).filter(|index| take(&proofs, *index, 1299, 1000, 100)).count();
        assert_eq!(taken, 100 / AHEAD);
        assert!(take(&proofs, 5_000, 1000, 1000, 100), "others prove who they are");
        assert!(!take(&proofs, 0, 1299, 1299, 100), "what was used stays so");
    }

    #[test]
    fn a_signature_proves_one_connection_and_what_was_forgotten_none() {
        let proofs = Proofs::default();
        let take = |signature, made, now, capacity| take(&proofs, signature, made, now, capacity);
        assert!(take(1, 1000, 1000, 2) && take(2, 1000, 1001, 2));
        assert!(!take(1, 1000, 1001, 2) && !take(2, 1000, 1001, 2));
        // There is room for two: the second of both is forgotten, and is as good as used.
        assert!(take(3, 1001, 1001, 2));
        assert!(!take(1, 1000, 1001, 2) && !take(4, 1000, 1001, 2));
        // So is what nobody takes any more.
        assert!(take(5, 1400, 1400, 2));
        assert_eq!(proofs.0.lock().unwrap_or_else(PoisonError::into_inner).count, 1);
    }
}
