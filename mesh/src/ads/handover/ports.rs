//! On which ports the proxies of one virtual node take connections. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::snapshot::Snapshot;

/// On what connections are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The ports.
    pub ports: BTreeSet<i32>,
    /// Those on which TLS is taken.
    pub tls: BTreeSet<i32>,
}

impl Open {
    /// On what the proxies of a virtual node take connections that run all of `snapshot`.
    pub fn of(snapshot: &Snapshot) -> Self {
        Self { ports: BTreeSet::clone(&snapshot.ports), tls: snapshot.tls_ports() }
    }

    /// What is in both.
    fn and(&self, other: &Self) -> Self {
        let both = |one: &BTreeSet<i32>, other: &BTreeSet<i32>| one.intersection(other).copied().collect();
        Self { ports: both(&self.ports, &other.ports), tls: both(&self.tls, &other.tls) }
    }
}

/// The ports of one virtual node that its connected proxies run for certain: what each acknowledged last, without what it may have
/// been sent to remove since.
#[derive(Debug, Default)]
pub struct OpenPorts {
    /// Those of the snapshot that the proxies are to run.
    wanted: Open,
    proxies: BTreeMap<u64, Open>,
    /// How many proxies have ever connected.
    numbers: u64,
}

impl OpenPorts {
    /// A node without proxies; those that come are to run `wanted`.
    pub fn new(wanted: Open) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Proxies are to run `wanted` from now on.
    pub fn want(&mut self, wanted: Open) {
        if self.wanted != wanted {
            self.proxies.values_mut().for_each(|known| *known = known.and(&wanted));
            self.wanted = wanted;
        }
    }

    /// Enters a proxy that has just connected and has acknowledged nothing; gives its number.
    pub fn connect(&mut self) -> u64 {
        self.numbers += 1;
        self.proxies.insert(self.numbers, Open::default());
        self.numbers
    }

    /// The proxy `number` runs all of a snapshot with these. Says whether that is news.
    pub fn run(&mut self, number: u64, open: &Open) -> bool {
        let Some(known) = self.proxies.get_mut(&number) else { return false };
        let certain = open.and(&self.wanted);
        if certain == *known {
            return false;
        }
        *known = certain;
        true
    }

    /// The proxy `number` is gone.
    pub fn disconnect(&mut self, number: u64) {
        self.proxies.remove(&number);
    }

    /// What all proxies run; nothing when there is no proxy.
    pub fn all(&self) -> Option<Open> {
        let mut proxies = self.proxies.values();
        let first = proxies.next()?.clone();
        Some(proxies.fold(first, |all, open| all.and(open)))
    }
}
