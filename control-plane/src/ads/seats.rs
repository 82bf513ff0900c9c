//! How many streams of one service each holder of a certificate has open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetmesh_mesh::holder::Holder;
use tonic::Status;

use crate::tls::Caller;

/// The streams that are open, by who opened them. An instance that joins again, and so has a further certificate, has no
/// further streams by it.
#[derive(Clone, Debug)]
pub struct Seats {
    limit: Option<usize>,
    taken: Arc<Mutex<HashMap<Holder, usize>>>,
}

impl Seats {
    /// None is open. At most `limit` may be of one holder; none is no limit.
    pub fn new(limit: Option<usize>) -> Self {
        Self { limit, taken: Arc::default() }
    }

    /// Counts a stream of `caller` until the answer is dropped. Callers of this host are not counted.
    ///
    /// # Errors
    /// Status 8 when the caller has as many open as it may.
    pub fn take(&self, caller: &Caller) -> Result<Option<Seat>, Status> {
        let (Caller::Certified(certificate), Some(limit)) = (caller, self.limit) else { return Ok(None) };
        let holder = certificate.holder;
        let mut taken = self.taken();
        let open = taken.get(&holder).copied().unwrap_or_default();
        if open >= limit {
            return Err(Status::resource_exhausted(format!(
                "{open} streams are open with this client certificate, or others of the same instance, and the limit is {limit}: give each proxy a certificate of its own, or raise --max-streams-per-certificate"
            )));
        }
        taken.insert(holder, open + 1);
        Ok(Some(Seat { seats: self.clone(), holder }))
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<[u8; 32], usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that is open.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    holder: Holder,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        match taken.get_mut(&self.holder) {
            Some(open) if *open > 1 => *open -= 1,
            _ => _ = taken.remove(&self.holder),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::tls::Certificate;

    fn certified(holder: u8) -> Caller {
        let (nodes, not_after) = (Default::default(), SystemTime::now());
        let (holder, distrusted) = ([holder; 32], Default::default());
        Caller::Certified(Arc::new(Certificate { nodes, not_after, holder, joined: None, distrusted }))
    }

    #[test]
    fn a_holder_has_so_many_streams_and_callers_of_this_host_any() {
        let seats = Seats::new(Some(2));
        let [first, second] = [seats.take(&certified(1)), seats.take(&certified(1))].map(Result::unwrap);
        let refused = seats.take(&certified(1)).expect_err("the third");
        assert_eq!(i32::from(refused.code()), 8, "{refused}");
        assert!(seats.take(&certified(2)).expect("another's").is_some());
        drop(first);
        let third = seats.take(&certified(1)).expect("one has ended");
        drop((second, third));
        assert!(seats.taken().is_empty(), "nothing is kept of those that ended");
        for _ in 0..9 {
            assert!(seats.take(&Caller::Local).expect("any").is_none());
        }
        assert!(Seats::new(None).take(&certified(1)).expect("no limit").is_none());
    }
}
