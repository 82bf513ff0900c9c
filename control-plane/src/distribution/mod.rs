//! Which proxies run what: per object, how many proxies should run it, how many acknowledged it, and who refused it and
//! why. Streams report here; the HTTP endpoint and the operator read.
//!
//! It is kept, not worked out when somebody asks: what a proxy reports changes the sums of the objects that its node uses
//! ([`tally`]), a new view changes what of its objects is not served ([`objects`]), and a reader gets what changed since it
//! read last ([`ledger`]). So neither depends on the size of the mesh.
//!
//! Nothing here is persisted: after a restart the proxies connect again and report again.

pub mod http;
mod ledger;
mod node;
mod objects;
mod report;
#[cfg(test)]
mod scratch;
mod spoken;
mod sum;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_model::ResourceId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cloud_map::Discovered;
use crate::snapshot::Snapshot;
use crate::tls::Holder;
use crate::view::{MeshView, Views};
use ledger::ProxyLedger;
use node::{ConnectedProxy, HolderVoice};
use objects::Objects;
pub use report::{CallerReport, DistributionAnswer, ObjectStatus, Rejected, Token};
use tally::ProxyTally;

/// How long an answer that has something to say waits for more: the acknowledgements of many proxies come together.
const GATHER: Duration = Duration::from_millis(20);

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

/// What the targets of all proxies are made from.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// The revision of the store.
    pub revision: u64,
    /// Its meshes by name.
    pub meshes: Arc<BTreeMap<String, Arc<MeshView>>>,
    /// What Cloud Map knows.
    pub discovered: Discovered,
}

/// Which proxies run what.
pub struct Distribution {
    views: Arc<dyn Views>,
    /// What proxies report, which is never waited for: what takes longer is done under `readers`.
    inner: Mutex<DistributionInner>,
    /// What readers are given. Locked before `inner`, by readers only.
    readers: Mutex<BTreeMap<String, Reading>>,
    /// What the targets of all proxies are made from.
    published: watch::Sender<Published>,
    /// Grows with each report of a proxy and each discovery.
    reports: watch::Sender<u64>,
}

#[derive(Default)]
struct DistributionInner {
    streams: u64,
    meshes: BTreeMap<String, ProxyTally>,
}

impl DistributionInner {
    /// The number of a further stream.
    fn stream(&mut self) -> u64 {
        self.streams += 1;
        self.streams
    }

    /// The proxies of the mesh of `node`.
    fn of(&mut self, node: &ResourceId) -> &mut ProxyTally {
        self.meshes.entry(node.mesh_name().to_owned()).or_default()
    }
}

/// What the readers of one mesh are given.
#[derive(Default)]
struct Reading {
    objects: Objects,
    ledger: ProxyLedger,
}

impl Distribution {
    /// No proxy is connected.
    pub fn new(views: Arc<dyn Views>) -> Self {
        Self {
            views,
            inner: Mutex::default(),
            readers: Mutex::default(),
            published: watch::Sender::default(),
            reports: watch::Sender::new(0),
        }
    }

    /// Enters a proxy of `node` that has just connected from `instance`, if that is known, with a certificate of `holder`, if it
    /// needed one; it leaves when the answer is dropped. All of one holder and node count as one proxy, by the one that is
    /// farthest.
    pub fn connect(
        this: &Arc<Self>,
        node: &ResourceId,
        holder: Option<Holder>,
        instance: Option<String>,
    ) -> Connected {
        let mut inner = this.inner();
        let stream = inner.stream();
        let name: Arc<str> = format!("{node}#{stream}").into();
        let proxy = ConnectedProxy {
            name: Arc::clone(&name),
            voice: HolderVoice::of(holder, stream),
            acknowledged_at: 0,
            instance,
            progress: Progress::default(),
        };
        inner.of(node).connect(node, stream, proxy);
        drop(inner);
        this.reported();
        Connected { distribution: Arc::clone(this), node: node.clone(), stream, name }
    }

    /// Enters a proxy of `node` that reports its load, until the answer is dropped. One that does so and is not connected, as
    /// when it came back after a restart of this process by that stream first, is a proxy that has not acknowledged anything.
    /// Until somebody follows the node, its proxies are to run `snapshot`. It counts with those of its `holder` as in
    /// [`Distribution::connect`].
    pub fn reports(
        this: &Arc<Self>,
        node: &ResourceId,
        holder: Option<Holder>,
        snapshot: Arc<Snapshot>,
    ) -> Reports {
        let mut inner = this.inner();
        let voice = HolderVoice::of(holder, inner.stream());
        inner.of(node).reports(node, voice, snapshot);
        drop(inner);
        this.reported();
        Reports { distribution: Arc::clone(this), node: node.clone(), voice }
    }

    /// Notes what the proxies of `node` are to run; nothing when it was deleted.
    pub fn target(&self, node: &ResourceId, target: Option<Arc<Snapshot>>) {
        self.inner().of(node).target(node, target);
    }

    /// Forgets the nodes that nobody follows any more and no proxy reports for.
    pub fn keep(&self, followed: impl Fn(&ResourceId) -> bool) {
        self.inner().meshes.values_mut().for_each(|tally| tally.keep(&followed));
    }

    /// Notes that all targets are those of `published`.
    pub fn published(&self, published: Published) {
        let discovered = published.discovered.clone();
        let before = self.published.send_replace(published);
        if !before.discovered.is_same(&discovered) {
            self.reported();
        }
    }

    /// What there is to say about `mesh` since `after`, or all of it; `None` when there is no such mesh.
    ///
    /// Without a token it waits until every commit so far is in the proxies' targets, with one until there is something
    /// to say; in either case until `deadline` at the latest.
    pub async fn answer(
        &self,
        mesh: &str,
        after: Option<Token>,
        deadline: Instant,
    ) -> Option<DistributionAnswer> {
        let mut published = self.published.subscribe();
        let mut reports = self.reports.subscribe();
        let committed = self.views.mesh(mesh)?.revision;
        let mut gathered = false;
        loop {
            let seen = published.borrow_and_update().clone();
            reports.borrow_and_update();
            let newest = self.views.mesh(mesh)?;
            let late = Instant::now() >= deadline;
            let view = seen.meshes.get(mesh).or(late.then_some(&newest));
            if let Some(view) = view.filter(|_| late || after.is_some() || seen.revision >= committed) {
                if after.is_some() && !late && !gathered && self.is_behind(mesh, view, &seen.discovered) {
                    gathered = true;
                    sleep(GATHER).await;
                    continue;
                }
                let answer = self.read(view, &seen.discovered, mesh, after.as_ref());
                if late || answer.complete || !answer.is_empty() {
                    return Some(answer);
                }
            }
            let changed = async {
                tokio::select! {
                    _ = published.changed() => {}
                    _ = reports.changed() => {}
                }
            };
            // A deadline that passes is seen above.
            let _ = timeout_at(deadline, changed).await;
            gathered = false;
        }
    }

    /// Whether a reader of `view` may be given something that was not entered yet.
    fn is_behind(&self, mesh: &str, view: &Arc<MeshView>, discovered: &Discovered) -> bool {
        let is_known =
            self.readers().get(mesh).is_some_and(|reading| reading.objects.is_as_of(view, discovered));
        !is_known || self.inner().meshes.get(mesh).is_some_and(ProxyTally::is_touched)
    }

    fn read(
        &self,
        view: &Arc<MeshView>,
        discovered: &Discovered,
        mesh: &str,
        after: Option<&Token>,
    ) -> DistributionAnswer {
        let mut readers = self.readers();
        let Reading { objects, ledger } = readers.entry(mesh.to_owned()).or_default();
        let mut changed = objects.enter(view, discovered);
        let mut inner = self.inner();
        let tally = inner.meshes.entry(mesh.to_owned()).or_default();
        tally.enter(view, &changed);
        changed.append(&mut tally.take_touched());
        let statuses = changed.into_iter().map(|id| {
            let status = objects.get(&id).map(|(record, unserved)| tally.status(record, unserved.to_vec()));
            (id, status)
        });
        let statuses: Vec<(ResourceId, Option<ObjectStatus>)> = statuses.collect();
        drop(inner);
        ledger.enter(statuses);
        ledger.answer(mesh, after)
    }

    fn reported(&self) {
        self.reports.send_modify(|reports| *reports += 1);
    }

    fn readers(&self) -> MutexGuard<'_, BTreeMap<String, Reading>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> MutexGuard<'_, DistributionInner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connected proxy. Dropping it says that it disconnected.
pub struct Connected {
    distribution: Arc<Distribution>,
    node: ResourceId,
    stream: u64,
    name: Arc<str>,
}

impl Connected {
    /// The proxy's name: its node's resource and the number of its stream.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Notes where the proxy stands.
    pub fn tell(&self, progress: Progress) {
        let news = self.distribution.inner().of(&self.node).progress(&self.node, self.stream, progress);
        if news {
            self.distribution.reported();
        }
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

/// A proxy that reports its load. Dropping it says that it does so no more.
pub struct Reports {
    distribution: Arc<Distribution>,
    node: ResourceId,
    voice: HolderVoice,
}

impl Drop for Reports {
    fn drop(&mut self) {
        self.distribution.inner().of(&self.node).reports_no_more(&self.node, self.voice);
        self.distribution.reported();
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.distribution.inner().of(&self.node).disconnect(&self.node, self.stream);
        self.distribution.reported();
    }
}
