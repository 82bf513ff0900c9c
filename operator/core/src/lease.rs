//! Leader election: what one of several operators does about the Lease that they share, by the rules of client-go. Pure: the
//! time comes in, as the time since any fixed moment on a clock that never stands still.
//!
//! A contender trusts no clock but its own: a Lease has expired when nobody renewed it for its duration, counted from when *this*
//! contender first saw it unchanged. The time in which a leader may act is counted from before it *sent* the renewal. So two
//! contenders with different clocks never lead at once.

use std::time::Duration;

/// A Lease (`coordination.k8s.io/v1`) as the API server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Its resourceVersion, which changes with each write.
    pub resource_version: String,
    /// Who has it; nobody after a release.
    pub holder: Option<String>,
    /// For how long it holds without a renewal.
    pub duration: Duration,
    /// How often it went from one holder to another.
    pub transitions: i32,
}

/// How long things take; [`Timing::of`] keeps client-go's proportions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For how long a lease holds without a renewal.
    pub lease: Duration,
    /// When a leader that could not renew stops leading, counted from the last renewal that succeeded. Shorter than
    /// `lease`: what it has sent by then has time to arrive before another one leads.
    pub deadline: Duration,
    /// How often a leader renews.
    pub renew: Duration,
    /// How often the others look.
    pub look: Duration,
}

impl Timing {
    /// The timing for a lease of this duration: given up after two thirds, renewed every 2 s of 15 s, looked at every
    /// second of 15 s and at least every second.
    #[must_use]
    pub fn of(lease: Duration) -> Self {
        let look = (lease / 15).min(Duration::from_secs(1));
        Self { lease, deadline: lease * 2 / 3, renew: lease * 2 / 15, look }
    }
}

/// What a contender does about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseMove {
    /// Creates it, with itself as the holder.
    Create,
    /// Replaces this very version, with itself as the holder.
    Write {
        /// The version that must still be there.
        resource_version: String,
        /// How often the Lease went from one holder to another, this time included.
        transitions: i32,
    },
    /// Somebody else leads.
    Wait {
        /// Who.
        holder: String,
    },
}

/// One of those that share a Lease.
#[derive(Clone, Debug)]
pub struct Contender {
    identity: String,
    timing: Timing,
    seen: Option<(Lease, Duration)>,
    /// When the last renewal that succeeded was sent.
    renewed: Option<Duration>,
}

impl Contender {
    /// A contender that has seen nothing. `identity` differs from that of every other process, also from an earlier one
    /// of the same Pod.
    #[must_use]
    pub fn new(identity: String, timing: Timing) -> Self {
        Self { identity, timing, seen: None, renewed: None }
    }

    /// Its identity.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Its timing.
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// What to do about the Lease as it was read at `now`; `None` when there is none.
    pub fn look(&mut self, lease: Option<Lease>, now: Duration) -> LeaseMove {
        let Some(lease) = lease else {
            self.lose();
            return LeaseMove::Create;
        };
        let since = match &self.seen {
            Some((seen, since)) if *seen == lease => *since,
            _ => now,
        };
        let expired = now.saturating_sub(since) >= lease.duration;
        let step = self.step(&lease, expired);
        self.seen = Some((lease, since));
        step
    }

    fn step(&mut self, lease: &Lease, expired: bool) -> LeaseMove {
        let resource_version = lease.resource_version.clone();
        match lease.holder.as_deref().filter(|holder| !holder.is_empty()) {
            Some(holder) if holder == self.identity => {
                LeaseMove::Write { resource_version, transitions: lease.transitions }
            }
            Some(holder) if !expired => {
                let holder = holder.to_owned();
                self.lose();
                LeaseMove::Wait { holder }
            }
            _ => {
                self.lose();
                let transitions = lease.transitions.saturating_add(1);
                LeaseMove::Write { resource_version, transitions }
            }
        }
    }

    /// The API server took the Lease that this contender sent at `sent`; `lease` is its answer.
    pub fn wrote(&mut self, lease: Lease, sent: Duration) {
        self.renewed = Some(sent);
        self.seen = Some((lease, sent));
    }

    /// Until when it may act as the leader; `None` when it does not lead.
    #[must_use]
    pub fn until(&self) -> Option<Duration> {
        self.renewed.map(|sent| sent + self.timing.deadline)
    }

    /// Whether it may act as the leader at `now`.
    #[must_use]
    pub fn leads(&self, now: Duration) -> bool {
        self.until().is_some_and(|until| now < until)
    }

    /// The Lease as it was last seen.
    #[must_use]
    pub fn seen(&self) -> Option<&Lease> {
        self.seen.as_ref().map(|(lease, _)| lease)
    }

    fn lose(&mut self) {
        self.renewed = None;
    }
}
