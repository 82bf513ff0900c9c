//! Which proxies run what: per object, how many proxies should run it, how many acknowledged it, and which rejected it and why.
//! Streams report here; the HTTP endpoint and the operator read. This adds the locks and the waiting readers to
//! [`fleetmesh_mesh::distribution`].
//!
//! Nothing here is persisted: after a restart the proxies connect and report again.

pub mod http;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_api::distribution::{DistributionAnswer, Token};
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::distribution::{HolderVoice, Progress, Proxies, Reading};
use fleetmesh_mesh::holder::Holder;
use fleetmesh_mesh::snapshot::Snapshot;
use fleetmesh_mesh::view::{MeshView, Meshes};
use fleetmesh_model::{MeshName, ResourceId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use crate::views::Views;

/// How long an answer that has something to say waits for more: the acknowledgements of many proxies come together.
const GATHER: Duration = Duration::from_millis(20);

/// What the targets of all proxies are made from.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// The revision of the store.
    pub revision: u64,
    /// Its meshes.
    pub meshes: Arc<Meshes>,
    /// What Cloud Map knows.
    pub discovered: Discovered,
}

/// Which proxies run what.
pub struct Distribution {
    views: Arc<dyn Views>,
    /// What proxies report, which is never waited for: what takes longer is done under `readers`.
    proxies: Mutex<Proxies>,
    /// What readers are given. Locked before `proxies`, by readers only.
    readers: Mutex<BTreeMap<MeshName, Reading>>,
    /// What the targets of all proxies are made from.
    published: watch::Sender<Published>,
    /// Grows with each report of a proxy and each discovery.
    reports: watch::Sender<u64>,
}

impl Distribution {
    /// No proxy is connected.
    pub fn new(views: Arc<dyn Views>) -> Self {
        Self {
            views,
            proxies: Mutex::default(),
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
        let (stream, name) = this.proxies().connect(node, holder, instance);
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
        let voice = this.proxies().reports(node, holder, snapshot);
        this.reported();
        Reports { distribution: Arc::clone(this), node: node.clone(), voice }
    }

    /// Notes what the proxies of `node` are to run; nothing when it was deleted.
    pub fn target(&self, node: &ResourceId, target: Option<Arc<Snapshot>>) {
        self.proxies().target(node, target);
    }

    /// Forgets the nodes that nobody follows any more and no proxy reports for.
    pub fn keep(&self, followed: impl Fn(&ResourceId) -> bool) {
        self.proxies().keep(followed);
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
        mesh: &MeshName,
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
    fn is_behind(&self, mesh: &MeshName, view: &Arc<MeshView>, discovered: &Discovered) -> bool {
        let is_known = self.readers().get(mesh).is_some_and(|reading| reading.is_as_of(view, discovered));
        !is_known || self.proxies().is_touched(mesh)
    }

    fn read(
        &self,
        view: &Arc<MeshView>,
        discovered: &Discovered,
        mesh: &MeshName,
        after: Option<&Token>,
    ) -> DistributionAnswer {
        let mut readers = self.readers();
        let instance = || Uuid::new_v4().simple().to_string();
        let reading = readers.entry(mesh.clone()).or_insert_with(|| Reading::new(instance()));
        let changed = reading.enter(view, discovered);
        let statuses = self.proxies().statuses(mesh, view, reading, changed);
        reading.note(statuses);
        reading.answer(mesh.name(), after)
    }

    fn reported(&self) {
        self.reports.send_modify(|reports| *reports += 1);
    }

    fn readers(&self) -> MutexGuard<'_, BTreeMap<MeshName, Reading>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn proxies(&self) -> MutexGuard<'_, Proxies> {
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub fn report(&self, progress: Progress) {
        let news = self.distribution.proxies().progress(&self.node, self.stream, progress);
        if news {
            self.distribution.reported();
        }
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
        self.distribution.proxies().reports_no_more(&self.node, self.voice);
        self.distribution.reported();
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.distribution.proxies().disconnect(&self.node, self.stream);
        self.distribution.reported();
    }
}
