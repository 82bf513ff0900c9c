//! The proxies of one virtual node, as they are and by the instances that they run on. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Progress, same_snapshot};
use crate::snapshot::Snapshot;

/// The proxies of one virtual node.
#[derive(Default)]
pub(super) struct Node {
    /// What they are to run; nothing while the node is deleted.
    pub(super) target: Option<Arc<Snapshot>>,
    /// Those that are connected, by the numbers of their streams.
    pub(super) proxies: BTreeMap<u64, Proxy>,
    /// How many proxies report their load.
    pub(super) reporting: usize,
    /// Whether the view that is reported on has the node.
    pub(super) exists: bool,
    instances: BTreeMap<String, Instance>,
}

/// A connected proxy.
pub(super) struct Proxy {
    /// Its node's resource and the number of its stream.
    pub(super) name: Arc<str>,
    /// The id or the address of the instance that it runs on.
    pub(super) instance: Option<String>,
    /// Where it stands.
    pub(super) progress: Progress,
}

/// The proxies on one instance: two of them overlap when Envoy restarts.
#[derive(Default)]
struct Instance {
    connected: usize,
    /// Those that acknowledged everything that they are to run.
    current: usize,
}

/// Whether proxies come or go.
#[derive(Clone, Copy)]
pub(super) enum Change {
    /// So many more.
    More(usize),
    /// So many fewer.
    Fewer(usize),
}

impl Change {
    pub(super) fn apply(self, count: &mut usize) {
        *count = match self {
            Self::More(more) => *count + more,
            Self::Fewer(fewer) => count.saturating_sub(fewer),
        };
    }
}

impl Node {
    /// A node without proxies.
    pub(super) fn new(exists: bool) -> Self {
        Self { exists, ..Self::default() }
    }

    /// The proxies that report their load and are not connected. They run what they got before, and send requests by it.
    pub(super) fn elsewhere(&self) -> usize {
        self.reporting.saturating_sub(self.proxies.len())
    }

    /// What its proxies are to run, when they count.
    pub(super) fn counted(&self) -> Option<&Arc<Snapshot>> {
        self.target.as_ref().filter(|_| self.exists)
    }

    /// Whether a proxy that stands there acknowledged everything that it is to run.
    pub(super) fn is_current(&self, progress: &Progress) -> bool {
        self.target.is_some() && same_snapshot(self.target.as_ref(), progress.acknowledged.as_ref())
    }

    /// The proxies by what they acknowledged, which is the same for nearly all of them.
    pub(super) fn groups(&self) -> Vec<(Option<Arc<Snapshot>>, usize)> {
        let mut groups: Vec<(Option<Arc<Snapshot>>, usize)> = vec![(None, self.elsewhere())];
        for proxy in self.proxies.values() {
            let acknowledged = proxy.progress.acknowledged.as_ref();
            match groups.iter_mut().find(|(known, _)| same_snapshot(known.as_ref(), acknowledged)) {
                Some((_, proxies)) => *proxies += 1,
                None => groups.push((acknowledged.cloned(), 1)),
            }
        }
        groups.retain(|(_, proxies)| *proxies > 0);
        groups
    }

    /// Works out anew on which instance the proxies are current, as after the target has changed.
    pub(super) fn stand_anew(&mut self) {
        self.instances.clear();
        let proxies: Vec<(Option<String>, bool)> = self
            .proxies
            .values()
            .map(|proxy| (proxy.instance.clone(), self.is_current(&proxy.progress)))
            .collect();
        for (instance, current) in proxies {
            self.stand(instance.as_ref(), Change::More(1), current);
        }
    }

    /// One more proxy, or one fewer, on an instance.
    pub(super) fn stand(&mut self, instance: Option<&String>, change: Change, current: bool) {
        let Some(instance) = instance else { return };
        let entry = self.instances.entry(instance.clone()).or_default();
        change.apply(&mut entry.connected);
        if current {
            change.apply(&mut entry.current);
        }
        if entry.connected == 0 {
            self.instances.remove(instance);
        }
    }

    /// Where two proxies of one instance overlap, the instance is as far as the farther one.
    pub(super) fn connected(&self) -> BTreeMap<String, bool> {
        let instances = self.instances.iter();
        instances.map(|(name, instance)| (name.clone(), instance.current > 0)).collect()
    }
}
