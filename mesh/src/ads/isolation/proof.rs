//! In which snapshots resources were acknowledged last, by proxies that count. Pure.
//!
//! While nothing is refused that is one snapshot for all of them, so that it costs no memory; what single answers prove comes on
//! top until a proxy runs all of another one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Acknowledged;
use crate::snapshot::{Content, ResourceType, Snapshot};

/// A snapshot in which something was acknowledged.
#[derive(Clone, Debug)]
struct Good {
    generation: u64,
    snapshot: Arc<Snapshot>,
}

#[derive(Debug, Default)]
pub(super) struct Proof {
    /// What a proxy ran all of.
    rest: Option<Good>,
    /// What counts instead, by resource; none is no proof.
    single: BTreeMap<ResourceType, BTreeMap<String, Option<Good>>>,
    /// What a proxy acknowledged that others do not count: for last forms, not for proof.
    doubted: BTreeMap<ResourceType, BTreeMap<String, Arc<Snapshot>>>,
}

impl Proof {
    /// A proxy runs all of `snapshot`.
    pub(super) fn rest(&mut self, snapshot: &Arc<Snapshot>, generation: u64) {
        let rest = self.rest.as_ref();
        if rest.is_some_and(|rest| Arc::ptr_eq(&rest.snapshot, snapshot) && self.single.is_empty()) {
            return;
        }
        let newer = rest.into_iter().chain(self.single.values().flat_map(BTreeMap::values).flatten());
        if newer.map(|good| good.generation).max().is_some_and(|newest| newest > generation) {
            return;
        }
        self.rest = Some(Good { generation, snapshot: Arc::clone(snapshot) });
        self.single.clear();
        self.doubted.clear();
    }

    /// A proxy acknowledged `content`, made from `of`, as far as that says the same and `target` still has it.
    pub(super) fn prove(
        &mut self,
        kind: ResourceType,
        content: &Content,
        of: &Arc<Snapshot>,
        generation: u64,
        target: &Snapshot,
    ) {
        for name in content.resources.keys() {
            let known = self.good(kind, name).is_some_and(|known| known.generation > generation);
            let wanted = target.content(kind).resources.contains_key(name);
            if wanted && !known && content.agrees(of.content(kind), name) {
                self.put(kind, name, Some(Good { generation, snapshot: Arc::clone(of) }));
            }
        }
    }

    /// A proxy acknowledged these resources of `of`, which is what is served.
    pub(super) fn renew<'a>(
        &mut self,
        kind: ResourceType,
        names: impl Iterator<Item = &'a String>,
        of: &Arc<Snapshot>,
        generation: u64,
    ) {
        for name in names {
            let good = self.good(kind, name);
            if !good.is_some_and(|good| good.snapshot.content(kind).agrees(of.content(kind), name)) {
                self.put(kind, name, Some(Good { generation, snapshot: Arc::clone(of) }));
            }
        }
    }

    /// What a proxy that refuses `content` acknowledged before counts, even when others acknowledged newer forms; says whether
    /// that makes a difference.
    pub(super) fn roll_back(
        &mut self,
        kind: ResourceType,
        content: &Content,
        before: &Acknowledged,
        generation: u64,
    ) -> bool {
        let mut changed = false;
        for name in content.resources.keys() {
            let same = before.content.agrees(before.of.content(kind), name);
            let newer = self.good(kind, name).is_none_or(|good| {
                let agrees = good.snapshot.content(kind).agrees(before.of.content(kind), name);
                good.generation > generation && !agrees
            });
            if same && newer {
                self.put(kind, name, Some(Good { generation, snapshot: Arc::clone(&before.of) }));
                changed = true;
            }
        }
        changed
    }

    /// A proxy that never acknowledged any of `content` refuses it, though others did: to it, nothing is proven. Says whether
    /// anything was.
    pub(super) fn doubt(&mut self, kind: ResourceType, content: &Content) -> bool {
        let mut changed = false;
        for name in content.resources.keys() {
            if let Some(good) = self.good(kind, name) {
                let snapshot = Arc::clone(&good.snapshot);
                self.doubted.entry(kind).or_default().insert(name.clone(), snapshot);
                changed = true;
            }
            self.put(kind, name, None);
        }
        changed
    }

    /// The snapshot in which this resource is proven.
    pub(super) fn of(&self, kind: ResourceType, name: &str) -> Option<&Arc<Snapshot>> {
        self.good(kind, name).map(|good| &good.snapshot)
    }

    /// The snapshot of its last form: where it is proven, or else where somebody acknowledged it.
    pub(super) fn last(&self, kind: ResourceType, name: &str) -> Option<&Arc<Snapshot>> {
        self.of(kind, name).or_else(|| self.doubted.get(&kind)?.get(name))
    }

    /// Forgets what `target` does not have.
    pub(super) fn keep(&mut self, target: &Snapshot) {
        let has = |kind: ResourceType, name: &String| target.content(kind).resources.contains_key(name);
        self.single.iter_mut().for_each(|(kind, single)| single.retain(|name, _| has(*kind, name)));
        self.single.retain(|_, single| !single.is_empty());
        self.doubted.iter_mut().for_each(|(kind, doubted)| doubted.retain(|name, _| has(*kind, name)));
    }

    fn good(&self, kind: ResourceType, name: &str) -> Option<&Good> {
        if let Some(single) = self.single.get(&kind).and_then(|single| single.get(name)) {
            return single.as_ref();
        }
        self.rest.as_ref().filter(|rest| rest.snapshot.content(kind).resources.contains_key(name))
    }

    fn put(&mut self, kind: ResourceType, name: &str, good: Option<Good>) {
        self.single.entry(kind).or_default().insert(name.to_owned(), good);
    }
}
