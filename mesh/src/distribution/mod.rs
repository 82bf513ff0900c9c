//! Which proxies run what: per object, how many proxies should run it, how many acknowledged it, and which rejected it and why.
//!
//! It is kept up to date, not computed on demand: a proxy's report changes the sums of the objects that its node uses ([`Proxies`]), a
//! new view changes what of its objects is not served, and a reader gets what changed since its last read ([`Reading`]). So the cost
//! of neither depends on the size of the mesh. Pure.

mod ledger;
mod node;
mod objects;
mod reading;
#[cfg(test)]
mod scratch;
mod spoken;
mod sum;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetmesh_api::distribution::ObjectStatus;
use fleetmesh_model::{MeshName, ResourceId};

use crate::holder::Holder;
use crate::snapshot::Snapshot;
use crate::view::MeshView;
use node::ConnectedProxy;
pub use node::HolderVoice;
pub use reading::Reading;
use tally::ProxyTally;

/// Where a proxy stands.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The last snapshot that it acknowledged all of.
    pub acknowledged: Option<Arc<Snapshot>>,
    /// What it refuses of the one it is to run.
    pub rejections: Vec<NodeRejection>,
}

/// Something that a proxy refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRejection {
    /// The objects that it is blamed on.
    pub objects: BTreeSet<ResourceId>,
    /// The proxy's own words, as [`fleetmesh_model::foreign::printable`] gives them.
    pub message: String,
}

/// The proxies of all meshes.
#[derive(Default)]
pub struct Proxies {
    streams: u64,
    meshes: BTreeMap<MeshName, ProxyTally>,
}

impl Proxies {
    /// Enters a proxy of `node` that has just connected from `instance`, if that is known, with a certificate of `holder`, if it
    /// needed one; gives the number of its stream and its name. All of one holder and node count as one proxy, by the one that is
    /// farthest.
    pub fn connect(
        &mut self,
        node: &ResourceId,
        holder: Option<Holder>,
        instance: Option<String>,
    ) -> (u64, Arc<str>) {
        let stream = self.stream();
        let name: Arc<str> = format!("{node}#{stream}").into();
        let proxy = ConnectedProxy {
            name: Arc::clone(&name),
            voice: HolderVoice::of(holder, stream),
            acknowledged_at: 0,
            instance,
            progress: Progress::default(),
        };
        self.of(node).connect(node, stream, proxy);
        (stream, name)
    }

    /// The proxy of `node` with this stream is gone.
    pub fn disconnect(&mut self, node: &ResourceId, stream: u64) {
        self.of(node).disconnect(node, stream);
    }

    /// Notes where the proxy of `node` with this stream stands; says whether that is news.
    pub fn progress(&mut self, node: &ResourceId, stream: u64, progress: Progress) -> bool {
        self.of(node).progress(node, stream, progress)
    }

    /// Enters a proxy of `node` that reports its load; gives what it counts as. One that does so and is not connected is a proxy
    /// that has not acknowledged anything. Until somebody follows the node, its proxies are to run `snapshot`. It counts with those
    /// of its `holder` as in [`Self::connect`].
    pub fn reports(
        &mut self,
        node: &ResourceId,
        holder: Option<Holder>,
        snapshot: Arc<Snapshot>,
    ) -> HolderVoice {
        let voice = HolderVoice::of(holder, self.stream());
        self.of(node).reports(node, voice, snapshot);
        voice
    }

    /// A proxy of `node` reports its load no more.
    pub fn reports_no_more(&mut self, node: &ResourceId, voice: HolderVoice) {
        self.of(node).reports_no_more(node, voice);
    }

    /// Notes what the proxies of `node` are to run; nothing when it was deleted.
    pub fn target(&mut self, node: &ResourceId, target: Option<Arc<Snapshot>>) {
        self.of(node).target(node, target);
    }

    /// Forgets the nodes that nobody follows any more and no proxy reports for.
    pub fn keep(&mut self, followed: impl Fn(&ResourceId) -> bool) {
        self.meshes.values_mut().for_each(|tally| tally.keep(&followed));
    }

    /// Whether the status of an object of `mesh` may have changed since [`Self::statuses`].
    pub fn is_touched(&self, mesh: &MeshName) -> bool {
        self.meshes.get(mesh).is_some_and(ProxyTally::is_touched)
    }

    /// The status of each object of `mesh` that changed since this was last called, and of those that `changed` in `view`, which is
    /// reported on from now on; `None` of one that is gone.
    pub fn statuses(
        &mut self,
        mesh: &MeshName,
        view: &Arc<MeshView>,
        reading: &Reading,
        mut changed: BTreeSet<ResourceId>,
    ) -> Vec<(ResourceId, Option<ObjectStatus>)> {
        let tally = self.meshes.entry(mesh.clone()).or_default();
        tally.enter(view, &changed);
        changed.append(&mut tally.take_touched());
        let statuses = changed.into_iter().map(|id| {
            let object = reading.object(&id);
            let status = object.map(|(record, standing)| tally.status(record, standing));
            (id, status)
        });
        statuses.collect()
    }

    /// The number of a further stream.
    fn stream(&mut self) -> u64 {
        self.streams += 1;
        self.streams
    }

    /// The proxies of the mesh of `node`.
    fn of(&mut self, node: &ResourceId) -> &mut ProxyTally {
        self.meshes.entry(node.mesh_name().clone()).or_default()
    }
}

/// Whether both are the same, not merely equal.
pub(crate) fn same_snapshot(a: Option<&Arc<Snapshot>>, b: Option<&Arc<Snapshot>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}
