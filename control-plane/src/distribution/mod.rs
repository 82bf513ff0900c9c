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

use crate::snapshot::Snapshot;
use crate::view::{MeshView, Views};
use ledger::Ledger;
pub use report::{Answer, ObjectStatus, Rejected, Token};

/// How long an answer that has something to say waits for more: the acknowledgements of many proxies come together.
const GATHER: Duration = Duration::from_millis(5);

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
    /// The proxy's own words.
    pub message: String,
}

/// Which proxies run what.
pub struct Distribution {
    views: Arc<dyn Views>,
    inner: Mutex<Inner>,
    /// The newest revision whose snapshots all proxies have as their target.
    published: watch::Sender<u64>,
    /// Grows with each report of a proxy.
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
}

struct Proxy {
    name: Arc<str>,
    progress: Progress,
}

impl Distribution {
    /// No proxy is connected.
    pub fn new(views: Arc<dyn Views>) -> Self {
        Self {
            views,
            inner: Mutex::new(Inner { streams: 0, nodes: BTreeMap::new(), ledgers: BTreeMap::new() }),
            published: watch::Sender::new(0),
            reports: watch::Sender::new(0),
        }
    }

    /// Enters a proxy of `node` that has just connected; it leaves when the answer is dropped.
    pub fn connect(this: &Arc<Self>, node: &ResourceId) -> Connected {
        let mut inner = this.inner();
        inner.streams += 1;
        let stream = inner.streams;
        let name: Arc<str> = format!("{node}#{stream}").into();
        let progress = Progress { acknowledged: None, rejections: Vec::new() };
        let proxy = Proxy { name: Arc::clone(&name), progress };
        inner.nodes.entry(node.clone()).or_default().proxies.insert(stream, proxy);
        drop(inner);
        this.reported();
        Connected { distribution: Arc::clone(this), node: node.clone(), stream, name }
    }

    /// Notes what the proxies of `node` are to run; nothing when it was deleted.
    pub fn target(&self, node: &ResourceId, target: Option<Arc<Snapshot>>) {
        self.inner().nodes.entry(node.clone()).or_default().target = target;
    }

    /// Notes that nobody follows `node` any more.
    pub fn forget(&self, node: &ResourceId) {
        self.inner().nodes.remove(node);
    }

    /// Notes that every commit up to `revision` is in the targets.
    pub fn published(&self, revision: u64) {
        self.published.send_replace(revision);
    }

    /// What there is to say about `mesh` since `after`, or all of it. Waits for the targets to have caught up with the
    /// store, and, with a token, for something to say, until `deadline`. `None` when there is no such mesh.
    pub async fn answer(&self, mesh: &str, after: Option<Token>, deadline: Instant) -> Option<Answer> {
        let mut published = self.published.subscribe();
        let mut reports = self.reports.subscribe();
        let mut revisions = self.views.revisions();
        let mut gathered = false;
        loop {
            published.borrow_and_update();
            reports.borrow_and_update();
            revisions.borrow_and_update();
            let view = self.views.mesh(mesh)?;
            let behind = *published.borrow() < view.revision;
            let late = Instant::now() >= deadline;
            if !behind || late {
                let answer = self.read(mesh, &view, after.as_ref());
                let speaks = answer.complete || !answer.is_empty();
                if late || answer.complete || (speaks && gathered) {
                    return Some(answer);
                }
                if speaks {
                    gathered = true;
                    sleep(GATHER).await;
                    continue;
                }
            }
            let changed = async {
                tokio::select! {
                    _ = published.changed() => {}
                    _ = reports.changed() => {}
                    _ = revisions.changed() => {}
                }
            };
            // A deadline that passes is seen above.
            let _ = timeout_at(deadline, changed).await;
        }
    }

    fn read(&self, mesh: &str, view: &MeshView, after: Option<&Token>) -> Answer {
        let inner = &mut *self.inner();
        let statuses = report::statuses(view, inner.nodes.iter().filter(|(id, _)| id.mesh_name() == mesh));
        let ledger = inner.ledgers.entry(mesh.to_owned()).or_default();
        ledger.enter(statuses);
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
