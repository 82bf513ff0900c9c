//! Which signatures proved that whoever is at the other end of a connection has a key: each proves it of one connection. Whoever
//! saw a request and sends it again, over as many connections as he likes, has proved nothing. Pure but for its lock; the time is
//! passed in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::Verified;
use super::seconds::{Seconds, digest, second};

/// Signatures that are remembered at most. They are of the first requests of connections.
const CAPACITY: usize = 65_536;

/// The signatures that are proofs no more.
#[derive(Clone, Debug)]
pub struct Proofs(Arc<Mutex<Seconds<()>>>);

impl Default for Proofs {
    fn default() -> Self {
        Self::bounded(CAPACITY)
    }
}

impl Proofs {
    fn bounded(capacity: usize) -> Self {
        Self(Arc::new(Mutex::new(Seconds::new(capacity, 0))))
    }

    /// Whether the signature of a request that came at `now` and changes nothing proves whose its connection is: it did so of no
    /// other. Of what is too old to be remembered it is not known, and so it does not.
    pub fn take(&self, verified: &Verified, now: SystemTime) -> bool {
        let Some(digest) = digest(&verified.signature) else { return false };
        let made = second(verified.time);
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        used.forget(now);
        if made < used.floor() || used.get(made, &digest).is_some() || used.is_crowded(made, now) {
            return false;
        }
        used.insert(made, digest, ());
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::seconds::AHEAD;
    use super::*;
    use crate::rights::{KeyHolder, KeyPolicy};

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn take(proofs: &Proofs, signature: u128, made: u64, now: u64) -> bool {
        let holder = KeyHolder { id: "A".into(), name: String::new(), policy: KeyPolicy::EVERYTHING };
        let signature = format!("{signature:032x}{:032x}", 0);
        let verified = Verified { holder: Arc::new(holder), signature, time: at(made) };
        proofs.take(&verified, at(now))
    }

    #[test]
    fn whoever_signs_ahead_of_the_clock_takes_no_proof_from_others() {
        let proofs = Proofs::bounded(100);
        let taken = (0..1_000).filter(|index| take(&proofs, *index, 1299, 1000)).count();
        assert_eq!(taken, 100 / AHEAD);
        assert!(take(&proofs, 5_000, 1000, 1000), "others prove who they are");
        assert!(!take(&proofs, 0, 1299, 1299), "what was used stays so");
    }

    #[test]
    fn a_signature_proves_one_connection_and_what_was_forgotten_none() {
        let proofs = Proofs::bounded(2);
        let take = |signature, made, now| take(&proofs, signature, made, now);
        assert!(take(1, 1000, 1000) && take(2, 1000, 1001));
        assert!(!take(1, 1000, 1001) && !take(2, 1000, 1001));
        // There is room for two: the second of both is forgotten, and is as good as used.
        assert!(take(3, 1001, 1001));
        assert!(!take(1, 1000, 1001) && !take(4, 1000, 1001));
        // So is what nobody takes any more.
        assert!(take(5, 1400, 1400));
        assert_eq!(proofs.0.lock().unwrap_or_else(PoisonError::into_inner).len(), 1);
    }
}
