//! What the proxies of one node are to run: its snapshot without what they refuse, which is stored as it changes. Pure but for the
//! locks and channels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetmesh_mesh::ads::handover::{Open, OpenPorts};
use fleetmesh_mesh::ads::isolation::{self, Isolation, Offer, Standing, Verdict};
use fleetmesh_mesh::ads::stream::Unsettled;
use fleetmesh_mesh::distribution::NodeRejection;
use fleetmesh_mesh::snapshot::{ResourceType, Snapshot};
use fleetmesh_model::ResourceId;
use tokio::sync::{Notify, watch};

use super::stages::StagedSnapshot;

/// The most proxies of a node of which it is kept what their last streams left unsettled. Only proxies that refuse something, or
/// leave while an answer is on its way, leave anything.
const MOST_LEFT: usize = 1024;

/// What the proxies of a node are to run now.
#[derive(Clone, Debug)]
pub struct Current {
    /// The snapshots.
    pub offer: Offer,
    /// What of that they refuse.
    pub rejections: Arc<[NodeRejection]>,
    /// The types of which they refused something and it is not known yet what is at fault.
    pub searching: BTreeSet<ResourceType>,
    /// What the node's objects describe, which is what they are to run in the end.
    pub described: Arc<Snapshot>,
    /// Whether the node still exists.
    pub exists: bool,
    /// The commit that the snapshot was made from, or a later one that left it as it is.
    pub(super) revision: u64,
}

impl Current {
    /// That of a node that exists and has no proxies yet.
    pub(super) fn new(StagedSnapshot { wanted, described }: StagedSnapshot, revision: u64) -> Self {
        let offer = Offer::of(&Isolation::new(wanted));
        let (rejections, searching) = (Arc::from([]), BTreeSet::new());
        Self { offer, rejections, searching, described, exists: true, revision }
    }

    /// The snapshots that it was made from.
    pub(super) fn snapshot(&self) -> StagedSnapshot {
        let (wanted, described) = (Arc::clone(&self.offer.wanted), Arc::clone(&self.described));
        StagedSnapshot { wanted, described }
    }

    /// Takes in what `isolation` says.
    fn enter(&mut self, isolation: &Isolation) {
        self.offer = Offer::of(isolation);
        self.rejections = isolation.rejections().into();
        self.searching = isolation.searching();
    }
}

/// What is to be stored of nodes, and what waits for that: the newest of each.
#[derive(Default)]
pub(super) struct Unsaved {
    memories: Mutex<BTreeMap<ResourceId, Option<Vec<u8>>>>,
    some: Notify,
}

impl Unsaved {
    pub(super) fn put(&self, node: ResourceId, memory: Option<Vec<u8>>) {
        self.memories().insert(node, memory);
        self.some.notify_one();
    }

    /// Awaits that there is something.
    pub(super) async fn some(&self) {
        self.some.notified().await;
    }

    /// Takes all.
    pub(super) fn take(&self) -> BTreeMap<ResourceId, Option<Vec<u8>>> {
        std::mem::take(&mut *self.memories())
    }

    /// Takes back what could not be stored; a newer one stays.
    pub(super) fn put_back(&self, node: ResourceId, memory: Option<Vec<u8>>) {
        self.memories().entry(node).or_insert(memory);
        self.some.notify_one();
    }

    fn memories(&self) -> MutexGuard<'_, BTreeMap<ResourceId, Option<Vec<u8>>>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the proxies of a node are to run.
pub(super) struct NodeFeed {
    node: ResourceId,
    pub(super) current: watch::Sender<Current>,
    /// Locked while `current` is replaced, so that it is never older than this.
    isolation: Mutex<RememberedIsolation>,
    /// Held once for each proxy that refused something and has not run everything since.
    refusing: Arc<()>,
    /// What is not known of proxies when their streams end now, or ended, by their instances.
    left: Mutex<BTreeMap<String, Unsettled>>,
    unsaved: Arc<Unsaved>,
    ports_moved: Arc<Notify>,
}

/// What proxies of a node refuse, what of that is stored or about to be, and on which ports they take connections.
struct RememberedIsolation {
    isolation: Isolation,
    memory: Option<Vec<u8>>,
    open: OpenPorts,
    /// The ports to which callers speak plaintext until the proxies run the TLS of these.
    plaintext: BTreeSet<i32>,
}

impl NodeFeed {
    /// That of `current`, with what was stored of the node. Whoever awaits `ports_moved` is notified when a proxy takes connections on
    /// others.
    pub(super) fn new(
        current: Current,
        memory: Option<Arc<[u8]>>,
        unsaved: Arc<Unsaved>,
        ports_moved: Arc<Notify>,
    ) -> Self {
        let node = current.offer.wanted.node.clone();
        let mut isolation = Isolation::new(Arc::clone(&current.offer.wanted));
        if let Some(Err(error)) = memory.as_deref().map(|memory| isolation.remember(memory)) {
            tracing::warn!(%node, error, "what the node's proxies refused before cannot be read and is tried again");
        }
        let plaintext = memory.as_deref().map(isolation::plaintext).unwrap_or_default();
        let memory = memory.map(|memory| memory.to_vec());
        let open = OpenPorts::new(Open::of(&current.offer.wanted));
        let isolation = Mutex::new(RememberedIsolation { isolation, memory, open, plaintext });
        let (current, refusing, left) = (watch::Sender::new(current), Arc::default(), Mutex::default());
        Self { node, current, isolation, refusing, left, unsaved, ports_moved }
    }

    /// On what all its proxies take connections; nothing without proxies.
    pub(super) fn open(&self) -> Option<Open> {
        self.isolation().open.all()
    }

    /// Callers speak plaintext to just these ports that take TLS, too: that is stored with what the proxies refuse.
    pub(super) fn note_plaintext(&self, ports: BTreeSet<i32>) {
        let mut remembered = self.isolation();
        if remembered.plaintext != ports {
            remembered.plaintext = ports;
            self.remember(&mut remembered);
        }
    }

    /// The node's objects describe another snapshot, or none.
    pub(super) fn publish(&self, mut current: Current) {
        let mut remembered = self.isolation();
        if !Arc::ptr_eq(remembered.isolation.target(), &current.offer.wanted) {
            remembered.isolation.retarget(Arc::clone(&current.offer.wanted));
        }
        remembered.open.want(Open::of(&current.offer.wanted));
        self.remember(&mut remembered);
        current.enter(&remembered.isolation);
        self.current.send_replace(current);
    }

    fn judge(&self, verdict: &Verdict, standing: Standing) {
        let mut remembered = self.isolation();
        if remembered.isolation.judge(verdict, standing) {
            self.remember(&mut remembered);
            self.current.send_modify(|current| current.enter(&remembered.isolation));
        }
    }

    /// Has it stored what is refused now, if that changed.
    fn remember(&self, remembered: &mut RememberedIsolation) {
        let memory = remembered.isolation.memory(&remembered.plaintext);
        if memory != remembered.memory {
            remembered.memory.clone_from(&memory);
            self.unsaved.put(self.node.clone(), memory);
        }
    }

    fn left(&self) -> MutexGuard<'_, BTreeMap<String, Unsettled>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_over(&self, proxy: u64) {
        let mut remembered = self.isolation();
        if remembered.isolation.pass_over(proxy) {
            self.current.send_modify(|current| current.enter(&remembered.isolation));
        }
    }

    fn isolation(&self) -> MutexGuard<'_, RememberedIsolation> {
        self.isolation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the proxies of a node are to run, for one of them.
pub struct FollowedFeed {
    /// What it is to run now.
    pub current: watch::Receiver<Current>,
    feed: Arc<NodeFeed>,
    /// That of the feed, while it counts among those that refuse.
    refusing: Option<Arc<()>>,
    /// Its number among those of the node.
    number: u64,
    /// Where it runs; proxies of which that is not known are one.
    instance: String,
}

impl FollowedFeed {
    /// Follows `feed` for one more proxy, until this is dropped.
    pub(super) fn new(feed: Arc<NodeFeed>, instance: Option<String>) -> Self {
        let instance = instance.unwrap_or_default();
        let number = feed.isolation().open.connect();
        Self { current: feed.current.subscribe(), feed, refusing: None, number, instance }
    }

    /// The proxy's number among those of its node.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The proxy does not answer, or can be sent nothing of what is tried: another one of its node is asked.
    pub fn pass_over(&self) {
        self.feed.pass_over(self.number);
    }

    /// What is not known of the proxy because of its last stream.
    pub fn unsettled(&self) -> Unsettled {
        self.feed.left().get(&self.instance).cloned().unwrap_or_default()
    }

    /// Whether that is anything.
    pub fn has_left(&self) -> bool {
        self.feed.left().contains_key(&self.instance)
    }

    /// Keeps what is not known of the proxy if its stream ends now, for its next one.
    pub fn leave(&self, unsettled: Unsettled) {
        let mut left = self.feed.left();
        if unsettled.is_empty() {
            left.remove(&self.instance);
            return;
        }
        if left.len() >= MOST_LEFT && !left.contains_key(&self.instance) {
            left.pop_first();
        }
        left.insert(self.instance.clone(), unsettled);
    }

    /// Takes in what the proxy thinks of an answer, and whether it [is wary](fleetmesh_mesh::ads::isolation::Following::is_wary).
    /// What follows from it is in `current` when this returns.
    pub fn judge(&mut self, verdict: &Verdict, is_wary: bool) {
        let standing = self.standing(is_wary);
        self.feed.judge(verdict, standing);
    }

    /// The proxy runs all of `snapshot`.
    pub fn runs(&mut self, snapshot: &Arc<Snapshot>, is_wary: bool) {
        let standing = self.standing(is_wary);
        let mut remembered = self.feed.isolation();
        remembered.isolation.runs(snapshot, standing);
        if remembered.open.run(self.number, &Open::of(snapshot)) {
            self.feed.ports_moved.notify_one();
        }
    }

    fn standing(&mut self, refuses: bool) -> Standing {
        self.refusing = refuses.then(|| Arc::clone(&self.feed.refusing));
        let others = Arc::strong_count(&self.feed.refusing) - 1 - usize::from(refuses);
        Standing { proxy: self.number, refuses, others_refuse: others > 0 }
    }
}

impl Drop for FollowedFeed {
    fn drop(&mut self) {
        self.feed.pass_over(self.number);
        self.feed.isolation().open.disconnect(self.number);
        self.feed.ports_moved.notify_one();
    }
}
