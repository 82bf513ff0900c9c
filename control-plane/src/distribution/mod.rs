//! Which proxies run what: per object, how many proxies should run it, how many acknowledged it, and who refused it and
//! why. Streams report here; the HTTP endpoint and the operator read.
//!
//! Nothing here is persisted: after a restart the proxies connect again and report again.

pub mod http;
mod ledger;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_model::ResourceId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cloud_map::Discovered;
use crate::snapshot::Snapshot;
use crate::view::{MeshView, Views};
use ledger::Ledger;
pub use report::{Answer, Caller, ObjectStatus, Rejected, Token};

/// How long an answer that has something to say waits for more: the acknowledgements of many proxies come together.
const GATHER: Duration = Duration::from_millis(20);

/// Where a proxy stands.
#[derive(Debug)]
pub struct Progress {
    /// The last snapshot that it acknowledged all of.
    pub acknowledged: Option<Arc<Snapshot>>,
    /// What it refuses of the one it is to run.
    pub rejections: Vec<Rejection>,
}

/// Something that a proxy refuses.
#[derive(Clone, Debug)]
pub struct Rejection {
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

/// What a ledger was brought up to date with: a published revision and a number of reports.
type Stamp = (u64, u64);

/// Which proxies run what.
pub struct Distribution {
    views: Arc<dyn Views>,
    inner: Mutex<Inner>,
    /// What the targets of all proxies are made from.
    published: watch::Sender<Published>,
    /// Grows with each report of a proxy and each discovery.
    reports: watch::Sender<u64>,
}

struct Inner {
    streams: u64,
    nodes: BTreeMap<ResourceId, Node>,
    ledgers: BTreeMap<String, Ledger>,
}

/// The proxies of one virtual node.
#[derive(Default)]
struct Node {
    /// What they are to run; nothing while the node is deleted.
    target: Option<Arc<Snapshot>>,
    proxies: BTreeMap<u64, Proxy>,
    /// How many proxies report their load.
    reporting: usize,
}

struct Proxy {
    name: Arc<str>,
    /// The id or the address of the instance that it runs on.
    instance: Option<String>,
    progress: Progress,
}

impl Distribution {
    /// No proxy is connected.
    pub fn new(views: Arc<dyn Views>) -> Self {
        Self {
            views,
            inner: Mutex::new(Inner { streams: 0, nodes: BTreeMap::new(), ledgers: BTreeMap::new() }),
            published: watch::Sender::default(),
            reports: watch::Sender::new(0),
        }
    }

    /// Enters a proxy of `node` that has just connected from `instance`, if that is known; it leaves when the answer is
    /// dropped.
    pub fn connect(this: &Arc<Self>, node: &ResourceId, instance: Option<String>) -> Connected {
        let mut inner = this.inner();
        inner.streams += 1;
        let stream = inner.streams;
        let name: Arc<str> = format!("{node}#{stream}").into();
        let progress = Progress { acknowledged: None, rejections: Vec::new() };
        let proxy = Proxy { name: Arc::clone(&name), instance, progress };
        inner.nodes.entry(node.clone()).or_default().proxies.insert(stream, proxy);
        drop(inner);
        this.reported();
        Connected { distribution: Arc::clone(this), node: node.clone(), stream, name }
    }

    /// Enters a proxy of `node` that reports its load, until the answer is dropped. One that does so and is not connected, as
    /// when it came back after a restart of this process by that stream first, is a proxy that has not acknowledged anything.
    /// Until somebody follows the node, its proxies are to run `snapshot`.
    pub fn reports(this: &Arc<Self>, node: &ResourceId, snapshot: Arc<Snapshot>) -> Reports {
        let mut inner = this.inner();
        let entry = inner.nodes.entry(node.clone()).or_default();
        entry.reporting += 1;
        entry.target.get_or_insert(snapshot);
        drop(inner);
        this.reported();
        Reports { distribution: Arc::clone(this), node: node.clone() }
    }

    /// Notes what the proxies of `node` are to run; nothing when it was deleted.
    pub fn target(&self, node: &ResourceId, target: Option<Arc<Snapshot>>) {
        self.inner().nodes.entry(node.clone()).or_default().target = target;
    }

    /// Forgets the nodes that nobody follows any more and no proxy reports for.
    pub fn keep(&self, followed: impl Fn(&ResourceId) -> bool) {
        self.inner().nodes.retain(|id, node| node.reporting > 0 || followed(id));
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
    pub async fn answer(&self, mesh: &str, after: Option<Token>, deadline: Instant) -> Option<Answer> {
        let mut published = self.published.subscribe();
        let mut reports = self.reports.subscribe();
        let committed = self.views.mesh(mesh)?.revision;
        let mut gathered = false;
        loop {
            let seen = published.borrow_and_update().clone();
            let reported = *reports.borrow_and_update();
            let newest = self.views.mesh(mesh)?;
            let late = Instant::now() >= deadline;
            let view = seen.meshes.get(mesh).or(late.then_some(&newest));
            if let Some(view) = view.filter(|_| late || after.is_some() || seen.revision >= committed) {
                let stamp = (seen.revision, reported);
                if after.is_some() && !late && !gathered && !self.has_entered(mesh, stamp) {
                    gathered = true;
                    sleep(GATHER).await;
                    continue;
                }
                let answer = self.read(view, &seen.discovered, mesh, stamp, after.as_ref());
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

    fn has_entered(&self, mesh: &str, stamp: Stamp) -> bool {
        self.inner().ledgers.get(mesh).is_some_and(|ledger| ledger.stamp == Some(stamp))
    }

    fn read(
        &self,
        view: &MeshView,
        discovered: &Discovered,
        mesh: &str,
        stamp: Stamp,
        after: Option<&Token>,
    ) -> Answer {
        let inner = &mut *self.inner();
        let ledger = inner.ledgers.entry(mesh.to_owned()).or_default();
        if ledger.stamp != Some(stamp) {
            let nodes = inner.nodes.iter().filter(|(id, _)| id.mesh_name() == mesh);
            ledger.enter(report::statuses(view, discovered, nodes));
            ledger.stamp = Some(stamp);
        }
        ledger.answer(mesh, after)
    }

    fn reported(&self) {
        self.reports.send_modify(|reports| *reports += 1);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
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
        let mut inner = self.distribution.inner();
        let proxy = inner.nodes.get_mut(&self.node).and_then(|node| node.proxies.get_mut(&self.stream));
        let Some(proxy) = proxy else { return };
        let same = same_snapshot(proxy.progress.acknowledged.as_ref(), progress.acknowledged.as_ref())
            && proxy.progress.rejections.is_empty()
            && progress.rejections.is_empty();
        proxy.progress = progress;
        drop(inner);
        if !same {
            self.distribution.reported();
        }
    }
}

fn same_snapshot(a: Option<&Arc<Snapshot>>, b: Option<&Arc<Snapshot>>) -> bool {
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
}

impl Drop for Reports {
    fn drop(&mut self) {
        let mut inner = self.distribution.inner();
        if let Some(node) = inner.nodes.get_mut(&self.node) {
            node.reporting = node.reporting.saturating_sub(1);
        }
        drop(inner);
        self.distribution.reported();
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut inner = self.distribution.inner();
        if let Some(node) = inner.nodes.get_mut(&self.node) {
            node.proxies.remove(&self.stream);
        }
        drop(inner);
        self.distribution.reported();
    }
}
