//! An operator without leader election: whether it is alone in its cluster. It keeps a Lease by which others can see it, and looks whether
//! anybody else keeps one. Pure, with the clock of [`lease`](crate::lease).
//!
//! A Lease of another operator that changes while this one looks is kept by somebody who works: this one, who came later or was away
//! for longer than its own Lease held, leaves. One that stays as it is for two renewals was left behind by a process that is no more:
//! until then this one does not begin.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lease::{Lease, Timing};

/// What an operator without leader election does about the Leases of its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoneMove {
    /// Writes its own Lease, with itself as the holder.
    Write {
        /// The version that must still be there; none when there is no such Lease.
        resource_version: Option<String>,
        /// How often the Lease went from one holder to another, this time included.
        transitions: i32,
    },
    /// Waits: whoever has its Lease may be no more, and it has not expired yet.
    Wait,
    /// Another operator works in the cluster.
    Leave {
        /// Its Lease, `namespace/name`.
        lease: String,
        /// Who it is.
        holder: String,
    },
}

/// An operator without leader election.
#[derive(Clone, Debug)]
pub struct Lone {
    identity: String,
    own: String,
    timing: Timing,
    /// The Leases as they were last seen, and since when they are as they are.
    seen: BTreeMap<String, (Lease, Duration)>,
}

impl Lone {
    /// An operator that has seen nothing and keeps the Lease `own`, `namespace/name`. `identity` differs from that of every other
    /// process.
    #[must_use]
    pub fn new(identity: String, own: String, timing: Timing) -> Self {
        Self { identity, own, timing, seen: BTreeMap::new() }
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

    /// What to do about `leases`, those of the operators of the cluster by `namespace/name`, as they were read at `now`.
    pub fn look(&mut self, leases: BTreeMap<String, Lease>, now: Duration) -> LoneMove {
        let changed = |name: &String, lease: &Lease| {
            self.seen.get(name).is_some_and(|(seen, _)| seen.resource_version != lease.resource_version)
        };
        let working = leases.iter().find_map(|(name, lease)| {
            let holder = self.other(lease).filter(|_| changed(name, lease))?;
            Some(LoneMove::Leave { lease: name.clone(), holder: holder.to_owned() })
        });
        self.note(leases, now);
        working.unwrap_or_else(|| self.keep(now))
    }

    /// Whether this operator may begin to work at `now`: as it looked last, nobody else has a Lease, or who has one did not renew it twice
    /// in a row.
    #[must_use]
    pub fn may_begin(&self, now: Duration) -> bool {
        let others = self.seen.values().filter(|(lease, _)| self.other(lease).is_some());
        others
            .map(|(lease, since)| (2 * Timing::of(lease.duration).renew, now.saturating_sub(*since)))
            .all(|(two_renewals, silent)| silent >= two_renewals)
    }

    /// The API server took the Lease that this operator sent at `sent`; `lease` is its answer.
    pub fn wrote(&mut self, lease: Lease, sent: Duration) {
        self.seen.insert(self.own.clone(), (lease, sent));
    }

    /// Its own Lease, as long as it has it.
    #[must_use]
    pub fn held(&self) -> Option<&Lease> {
        let (lease, _) = self.seen.get(&self.own)?;
        (lease.holder.as_deref() == Some(&self.identity)).then_some(lease)
    }

    /// The holder of a Lease, when it is somebody else.
    fn other<'a>(&self, lease: &'a Lease) -> Option<&'a str> {
        lease.holder.as_deref().filter(|holder| !holder.is_empty() && *holder != self.identity)
    }

    fn note(&mut self, leases: BTreeMap<String, Lease>, now: Duration) {
        let before = std::mem::take(&mut self.seen);
        let since = |name: &String, lease: &Lease| match before.get(name) {
            Some((seen, since)) if seen == lease => *since,
            _ => now,
        };
        self.seen = leases
            .into_iter()
            .map(|(name, lease)| {
                let since = since(&name, &lease);
                (name, (lease, since))
            })
            .collect();
    }

    fn keep(&self, now: Duration) -> LoneMove {
        let Some((lease, since)) = self.seen.get(&self.own) else {
            return LoneMove::Write { resource_version: None, transitions: 0 };
        };
        let resource_version = Some(lease.resource_version.clone());
        if lease.holder.as_ref() == Some(&self.identity) {
            return LoneMove::Write { resource_version, transitions: lease.transitions };
        }
        if self.other(lease).is_some() && now.saturating_sub(*since) < lease.duration {
            return LoneMove::Wait;
        }
        LoneMove::Write { resource_version, transitions: lease.transitions.saturating_add(1) }
    }
}
