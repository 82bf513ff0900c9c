//! On which ports the proxies of one virtual node take connections. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// The ports of one virtual node that its connected proxies run for certain: what each acknowledged last, without what it may have
/// been sent to remove since.
#[derive(Debug, Default)]
pub struct OpenPorts {
    /// Those of the snapshot that the proxies are to run.
    wanted: BTreeSet<i32>,
    proxies: BTreeMap<u64, BTreeSet<i32>>,
    /// How many proxies have ever connected.
    numbers: u64,
}

impl OpenPorts {
    /// A node without proxies; those that come are to run `wanted`.
    pub fn new(wanted: &BTreeSet<i32>) -> Self {
        Self { wanted: wanted.clone(), ..Self::default() }
    }

    /// Proxies are to run `wanted` from now on.
    pub fn want(&mut self, wanted: &BTreeSet<i32>) {
        if self.wanted != *wanted {
            self.wanted.clone_from(wanted);
            self.proxies.values_mut().for_each(|ports| ports.retain(|port| wanted.contains(port)));
        }
    }

    /// Enters a proxy that has just connected and has acknowledged nothing; gives its number.
    pub fn connect(&mut self) -> u64 {
        self.numbers += 1;
        self.proxies.insert(self.numbers, BTreeSet::new());
        self.numbers
    }

    /// The proxy `number` runs all of a snapshot with these ports. Says whether that is news.
    pub fn run(&mut self, number: u64, ports: &BTreeSet<i32>) -> bool {
        let Some(known) = self.proxies.get_mut(&number) else { return false };
        let mut certain = ports.iter().filter(|port| self.wanted.contains(port));
        if certain.clone().eq(known.iter()) {
            return false;
        }
        *known = certain.by_ref().copied().collect();
        true
    }

    /// The proxy `number` is gone.
    pub fn disconnect(&mut self, number: u64) {
        self.proxies.remove(&number);
    }

    /// The ports that all proxies run; nothing when there is no proxy.
    pub fn all(&self) -> Option<BTreeSet<i32>> {
        let mut proxies = self.proxies.values();
        let mut all = proxies.next()?.clone();
        for ports in proxies {
            all.retain(|port| ports.contains(port));
        }
        Some(all)
    }
}
