//! The sums over the proxies of one mesh, updated as they report: an acknowledgement costs as much as the objects that its virtual
//! node uses, whatever else is in the mesh. Pure.
//!
//! A proxy counts for every object of its node's target, as long as the node exists in the view that is reported on. Acknowledgements
//! are counted by version, so a new view changes no count except for nodes that are added or removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fleetmesh_api::distribution::{CallingProxies, ObjectStatus, Rejection};
use fleetmesh_model::ResourceId;

use super::node::{ConnectedProxy, CountChange, HolderVoice, NodeProxies};
use super::spoken::Spoken;
use super::sum::{Count, Sum, has_callers, same_version};
use super::{NodeRejection, Progress, same_snapshot};
use crate::snapshot::{Snapshot, Standing};
use crate::view::{MeshView, Record};

/// The proxies of one mesh, and their sums.
#[derive(Default)]
pub(super) struct ProxyTally {
    nodes: HashMap<ResourceId, NodeProxies>,
    sums: HashMap<ResourceId, Sum>,
    /// The view that is reported on; without one, nothing counts yet.
    view: Option<Arc<MeshView>>,
    /// How many acknowledgements there were: their order.
    acknowledgements: u64,
    /// The objects whose sums may have changed since [`ProxyTally::take_touched`].
    touched: BTreeSet<ResourceId>,
}

impl ProxyTally {
    /// Enters a proxy that has just connected.
    pub(super) fn connect(&mut self, id: &ResourceId, stream: u64, proxy: ConnectedProxy) {
        self.node(id);
        self.speak(id, proxy.voice, stream, |node| node.enter(stream, proxy));
        self.touched.insert(id.clone());
    }

    /// A proxy is gone.
    pub(super) fn disconnect(&mut self, id: &ResourceId, stream: u64) {
        let Some(voice) = self.proxy(id, stream).map(|proxy| proxy.voice) else { return };
        self.speak(id, voice, stream, |node| node.leave(stream));
        self.touched.insert(id.clone());
    }

    /// Notes where a proxy stands; says whether that is news.
    pub(super) fn progress(&mut self, id: &ResourceId, stream: u64, progress: Progress) -> bool {
        let Some(proxy) = self.proxy(id, stream).cloned() else { return false };
        let before = &proxy.progress;
        let same = same_snapshot(before.acknowledged.as_ref(), progress.acknowledged.as_ref());
        let refusals = !before.rejections.is_empty() || !progress.rejections.is_empty();
        let acknowledged_at = match (&progress.acknowledged, same) {
            (None, _) => 0,
            (Some(_), true) => proxy.acknowledged_at,
            (Some(_), false) => {
                self.acknowledgements += 1;
                self.acknowledgements
            }
        };
        if !same {
            self.touched.insert(id.clone());
        }
        self.speak(id, proxy.voice, stream, |node| {
            node.leave(stream);
            node.enter(stream, ConnectedProxy { progress, acknowledged_at, ..proxy });
        });
        !same || refusals
    }

    /// A proxy reports its load. Until somebody follows the node, its proxies are to run `snapshot`.
    pub(super) fn reports(&mut self, id: &ResourceId, voice: HolderVoice, snapshot: Arc<Snapshot>) {
        if self.node(id).target.is_none() {
            self.target(id, Some(snapshot));
        }
        self.report(id, |reporting| *reporting.entry(voice).or_default() += 1);
    }

    /// A proxy reports its load no more.
    pub(super) fn reports_no_more(&mut self, id: &ResourceId, voice: HolderVoice) {
        if self.nodes.contains_key(id) {
            self.report(id, |reporting| match reporting.get_mut(&voice) {
                Some(streams) if *streams > 1 => *streams -= 1,
                _ => _ = reporting.remove(&voice),
            });
        }
    }

    /// Notes what the proxies of a node are to run; nothing when it was deleted.
    pub(super) fn target(&mut self, id: &ResourceId, target: Option<Arc<Snapshot>>) {
        self.recount(id, |node| {
            node.target = target;
            node.stand_anew();
        });
    }

    /// Forgets the nodes that are not `followed` and that no proxy reports for.
    pub(super) fn keep(&mut self, followed: impl Fn(&ResourceId) -> bool) {
        let kept = |(id, node): &(&ResourceId, &NodeProxies)| !node.reporting.is_empty() || followed(id);
        let gone: Vec<ResourceId> =
            self.nodes.iter().filter(|entry| !kept(entry)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.recount(&id, |node| *node = NodeProxies::default());
            self.nodes.remove(&id);
        }
    }

    /// From now on `view` is reported on, in which the objects `changed` are not those of the one before.
    pub(super) fn enter(&mut self, view: &Arc<MeshView>, changed: &BTreeSet<ResourceId>) {
        self.view = Some(Arc::clone(view));
        for id in changed.iter().filter(|id| id.kind().info().has_proxies) {
            let exists = view.get(id).is_some();
            if self.nodes.get(id).is_some_and(|node| node.exists != exists) {
                self.recount(id, |node| node.exists = exists);
            }
        }
    }

    /// Whether some status may have changed since [`Self::take_touched`].
    pub(super) fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// The objects whose status may have changed since this was last called.
    pub(super) fn take_touched(&mut self) -> BTreeSet<ResourceId> {
        std::mem::take(&mut self.touched)
    }

    /// The status of an object of the view that is reported on.
    pub(super) fn status(&self, record: &Record, standing: Standing) -> ObjectStatus {
        let Standing { unserved, ineffective, notes } = standing;
        let none = Sum::default();
        let Sum { all, others, callers, rejected } = self.sums.get(&record.id).unwrap_or(&none);
        let CallingProxies { proxies, acknowledged } = all.of(record);
        let others = others.of(record);
        ObjectStatus {
            arn: record.arn.clone(),
            resource: record.id.path(),
            kind: record.id.kind().to_string(),
            version: record.version,
            proxies,
            acknowledged,
            lagging: others.proxies.saturating_sub(others.acknowledged).max(0),
            rejected: rejected.values().flatten().cloned().collect(),
            connected: self.nodes.get(&record.id).map(NodeProxies::connected).unwrap_or_default(),
            callers: callers.iter().map(|(name, count)| (name.clone(), count.of(record))).collect(),
            unserved,
            ineffective,
            notes,
        }
    }

    /// The virtual nodes that have proxies.
    #[cfg(test)]
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&ResourceId, &NodeProxies)> {
        self.nodes.iter()
    }

    /// The objects whose status may have changed.
    #[cfg(test)]
    pub(super) fn touched(&self) -> &BTreeSet<ResourceId> {
        &self.touched
    }

    fn node(&mut self, id: &ResourceId) -> &mut NodeProxies {
        let exists = self.view.as_ref().is_some_and(|view| view.get(id).is_some());
        self.nodes.entry(id.clone()).or_insert_with(|| NodeProxies::new(exists))
    }

    fn proxy(&self, id: &ResourceId, stream: u64) -> Option<&ConnectedProxy> {
        self.nodes.get(id)?.proxies.get(&stream)
    }

    /// Changes a stream of `voice`, and counts what that changes of what the voice says.
    fn speak(
        &mut self,
        id: &ResourceId,
        voice: HolderVoice,
        stream: u64,
        change: impl FnOnce(&mut NodeProxies),
    ) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let before = Spoken::of(node, &voice, stream);
        change(node);
        let after = Spoken::of(node, &voice, stream);
        let Some(target) = node.counted().cloned() else { return };
        match (before.acknowledged(), after.acknowledged()) {
            (Some(from), Some(to)) => self.shift(id, &target, from, to),
            (None, Some(Some(snapshot))) => self.count(id, &target, Some(snapshot), CountChange::More(1)),
            (Some(Some(snapshot)), None) => self.count(id, &target, Some(snapshot), CountChange::Fewer(1)),
            _ => {}
        }
        let (was, is) = before.unacknowledged_and_after(&after);
        self.recount_unacknowledged(id, was, is);
        for (acknowledged, change) in before.others_until(&after) {
            self.count_others(&target, acknowledged.as_deref(), change);
        }
        if before.refusals() != after.refusals() {
            if let Some((stream, proxy)) = &before.speaker {
                self.forget_rejections(id, *stream, &proxy.progress.rejections);
            }
            if let Some((stream, proxy)) = &after.speaker {
                self.enter_rejections(id, *stream, &proxy.name, &proxy.progress.rejections);
            }
        }
    }

    fn report(&mut self, id: &ResourceId, change: impl FnOnce(&mut BTreeMap<HolderVoice, usize>)) {
        let node = self.node(id);
        let was = node.elsewhere();
        change(&mut node.reporting);
        let is = node.elsewhere();
        self.recount_unacknowledged(id, was, is);
    }

    /// Changes a node in a way that may change all that it counts for.
    fn recount(&mut self, id: &ResourceId, change: impl FnOnce(&mut NodeProxies)) {
        self.node(id);
        self.count_all(id, CountChange::Fewer);
        change(self.node(id));
        self.count_all(id, CountChange::More);
        self.touched.insert(id.clone());
    }

    fn count_all(&mut self, id: &ResourceId, change: impl Fn(usize) -> CountChange) {
        let Some(node) = self.nodes.get(id) else { return };
        let Some(target) = node.counted().cloned() else { return };
        let rejecting = node.speakers().filter(|(_, proxy)| !proxy.progress.rejections.is_empty());
        let rejecting: Vec<(u64, Arc<str>, Vec<NodeRejection>)> = rejecting
            .map(|(stream, proxy)| (stream, Arc::clone(&proxy.name), proxy.progress.rejections.clone()))
            .collect();
        let (groups, others) = (node.groups(), node.others());
        for (acknowledged, proxies) in groups {
            self.count(id, &target, acknowledged.as_deref(), change(proxies));
        }
        for (acknowledged, streams) in others {
            self.count_others(&target, acknowledged.as_deref(), change(streams));
        }
        for (stream, name, rejections) in rejecting {
            match change(1) {
                CountChange::More(_) => self.enter_rejections(id, stream, &name, &rejections),
                CountChange::Fewer(_) => self.forget_rejections(id, stream, &rejections),
            }
        }
    }

    /// `was` proxies of the node had acknowledged nothing, and now `is` have; others do not count here.
    fn recount_unacknowledged(&mut self, id: &ResourceId, was: usize, is: usize) {
        let Some(target) = self.nodes.get(id).and_then(NodeProxies::counted).cloned() else { return };
        let change = if is >= was { CountChange::More(is - was) } else { CountChange::Fewer(was - is) };
        if is != was {
            self.count(id, &target, None, change);
        }
    }

    /// Counts proxies of a node that acknowledged the same.
    fn count(
        &mut self,
        id: &ResourceId,
        target: &Snapshot,
        acknowledged: Option<&Snapshot>,
        change: CountChange,
    ) {
        for object in target.objects.keys() {
            let record = acknowledged.and_then(|snapshot| snapshot.objects.get(object));
            self.count_object(id, object, |count| count.change(record, change));
        }
    }

    /// Counts streams of a node that do not speak and acknowledged the same.
    fn count_others(&mut self, target: &Snapshot, acknowledged: Option<&Snapshot>, change: CountChange) {
        for object in target.objects.keys() {
            let record = acknowledged.and_then(|snapshot| snapshot.objects.get(object));
            self.sums.entry(object.clone()).or_default().others.change(record, change);
            self.changed(object);
        }
    }

    /// One voice of a node says that it runs `to` after `from`: what is the same in both stays as it is.
    fn shift(&mut self, id: &ResourceId, target: &Snapshot, from: Option<&Snapshot>, to: Option<&Snapshot>) {
        for object in target.objects.keys() {
            let of = |snapshot: Option<&Snapshot>| {
                snapshot.and_then(|snapshot| snapshot.objects.get(object).cloned())
            };
            let (was, is) = (of(from), of(to));
            let same = match (&was, &is) {
                (Some(was), Some(is)) => same_version(was, is),
                (None, None) => true,
                _ => false,
            };
            if same {
                continue;
            }
            self.count_object(id, object, |count| {
                if let Some(was) = &was {
                    count.acknowledge(was, CountChange::Fewer(1));
                }
                if let Some(is) = &is {
                    count.acknowledge(is, CountChange::More(1));
                }
            });
        }
    }

    fn count_object(&mut self, id: &ResourceId, object: &ResourceId, change: impl Fn(&mut Count)) {
        let sum = self.sums.entry(object.clone()).or_default();
        change(&mut sum.all);
        if has_callers(object.kind()) {
            let caller = sum.callers.entry(id.name().to_owned()).or_default();
            change(caller);
            if caller.proxies == 0 {
                sum.callers.remove(id.name());
            }
        }
        self.changed(object);
    }

    fn enter_rejections(&mut self, id: &ResourceId, stream: u64, name: &str, rejections: &[NodeRejection]) {
        for rejection in rejections {
            for object in &rejection.objects {
                let rejected = Rejection { proxy: name.to_owned(), message: rejection.message.clone() };
                let sum = self.sums.entry(object.clone()).or_default();
                sum.rejected.entry((id.clone(), stream)).or_default().push(rejected);
                self.changed(object);
            }
        }
    }

    fn forget_rejections(&mut self, id: &ResourceId, stream: u64, rejections: &[NodeRejection]) {
        for object in rejections.iter().flat_map(|rejection| &rejection.objects) {
            if let Some(sum) = self.sums.get_mut(object) {
                sum.rejected.remove(&(id.clone(), stream));
            }
            self.changed(object);
        }
    }

    /// Marks an object, and forgets a sum that says nothing.
    fn changed(&mut self, object: &ResourceId) {
        if self.sums.get(object).is_some_and(Sum::is_nothing) {
            self.sums.remove(object);
        }
        self.touched.insert(object.clone());
    }
}
