//! The snapshots of the nodes that have proxies: made once per node, shared by all its streams, and made again only when something
//! that they were made from changed.
//!
//! What proxies refuse of it is found and withheld from them ([`isolation`](fleetmesh_mesh::ads::isolation)). What they
//! acknowledged last is kept while none of them is connected: one that starts anew gets that.
//!
//! Bursts of commits are taken together: an update waits until nothing was committed for [`Debounce::quiet`], at most
//! [`Debounce::longest`].
//!
//! When ports of a node move, its proxies and those of its callers get that in steps, in which no caller uses a port that is not
//! there ([`handover`](fleetmesh_mesh::ads::handover)).
//!
//! When a node is deleted while its proxies are connected, they keep the last configuration and the stream, and continue from there
//! if a node of that name is made again. They no longer count in the distribution.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_mesh::ads::handover::Open;
use fleetmesh_mesh::ads::{identity, isolation};
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::holder::Holder;
use fleetmesh_mesh::snapshot::{Content, ResourceSet, ResourceType, Targets, recall};
use fleetmesh_mesh::view::Meshes;
use fleetmesh_model::{MeshName, ResourceId};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::authority::Gate;
use super::grpc;
use super::node_feed::{Current, FollowedFeed, NodeFeed, Unsaved};
use super::stages::{Stage, Stages};
use crate::accounts::Accounts;
use crate::distribution::{Distribution, Reports};
use crate::join::Denied;
use crate::views::Views;

/// How long what could not be stored waits.
const STORE_AGAIN: Duration = Duration::from_secs(1);

/// How bursts of commits are taken together.
#[derive(Clone, Copy, Debug)]
pub struct Debounce {
    /// How long there must be no commit.
    pub quiet: Duration,
    /// How long an update waits at most.
    pub longest: Duration,
}

impl Default for Debounce {
    fn default() -> Self {
        Self { quiet: Duration::from_millis(5), longest: Duration::from_millis(50) }
    }
}

/// The snapshots of all nodes that have proxies.
pub struct Feeds {
    pub(super) views: Arc<dyn Views>,
    /// What AWS says of instances and authorities.
    pub(super) discovered: watch::Receiver<Discovered>,
    /// The most proxies that a node may have connected; none for no limit.
    limit: Option<usize>,
    denied: Denied,
    accounts: Accounts,
    pub(super) distribution: Arc<Distribution>,
    nodes: Mutex<BTreeMap<ResourceId, Feed>>,
    unsaved: Arc<Unsaved>,
    /// By what the proxies of each mesh are served.
    stages: Mutex<Stages>,
    /// Notified when a proxy takes connections on other ports, or TLS, or is gone.
    pub(super) ports_moved: Arc<Notify>,
}

/// What the proxies of a node are to run, and who follows it.
struct Feed {
    node: Arc<NodeFeed>,
    /// Held once for each follower that reports its load; the others are proxies.
    reporting: Arc<()>,
}

impl Feed {
    fn new(node: NodeFeed) -> Self {
        Self { node: Arc::new(node), reporting: Arc::default() }
    }

    fn is_followed(&self) -> bool {
        self.node.current.receiver_count() > 0
    }

    /// How many proxies follow it.
    fn proxies(&self) -> usize {
        self.node.current.receiver_count().saturating_sub(Arc::strong_count(&self.reporting) - 1)
    }
}

/// Where the clusters of a proxy lead that reports its load, as long as it does.
pub struct FeedReported {
    /// First, so that it counts as a proxy at no time.
    current: watch::Receiver<Current>,
    _reporting: Arc<()>,
}

impl FeedReported {
    /// Where they lead now; nowhere when its node is gone.
    pub fn targets(&self) -> Arc<Targets> {
        let current = self.current.borrow();
        if current.exists { Arc::clone(&current.offer.served.targets) } else { Arc::default() }
    }
}

impl Feeds {
    /// No node has proxies yet.
    pub fn new(
        views: Arc<dyn Views>,
        discovered: watch::Receiver<Discovered>,
        distribution: Arc<Distribution>,
        limit: Option<usize>,
    ) -> Self {
        Self {
            views,
            discovered,
            limit,
            denied: Denied::default(),
            accounts: Accounts::default(),
            distribution,
            nodes: Mutex::default(),
            unsaved: Arc::default(),
            stages: Mutex::default(),
            ports_moved: Arc::default(),
        }
    }

    /// The same without the instances of `denied`.
    #[must_use]
    pub fn denying(self, denied: Denied) -> Self {
        Self { denied, ..self }
    }

    /// The same for the nodes of `accounts`.
    #[must_use]
    pub fn of(self, accounts: Accounts) -> Self {
        Self { accounts, ..self }
    }

    /// Follows the snapshots of `node` for one more proxy, on this instance, until the receiver is dropped.
    ///
    /// # Errors
    /// Status 3 when there is no such node, 8 when it has as many proxies as it may.
    pub fn subscribe(&self, node: &ResourceId, instance: Option<String>) -> Result<FollowedFeed, Status> {
        let mut nodes = self.nodes();
        let connected = nodes.get(node).map_or(0, Feed::proxies);
        if let Some(limit) = self.limit.filter(|limit| connected >= *limit) {
            let text = format!("{node} has {connected} proxies connected, and the limit is {limit}");
            return Err(Status::resource_exhausted(text));
        }
        Ok(FollowedFeed::new(Arc::clone(&self.followed(&mut nodes, node)?.node), instance))
    }

    /// Enters a proxy of `node` that reports its load, with a certificate of `holder` if it needed one, until the second part of the answer is dropped. The first part says where
    /// its clusters lead, also while no proxy runs the node's snapshots.
    ///
    /// # Errors
    /// Status 3 when there is no such node.
    pub fn reports(
        &self,
        node: &ResourceId,
        holder: Option<Holder>,
    ) -> Result<(FeedReported, Reports), Status> {
        let mut nodes = self.nodes();
        let feed = self.followed(&mut nodes, node)?;
        let current = feed.node.current.subscribe();
        let snapshot = Arc::clone(&current.borrow().described);
        let reported = FeedReported { current, _reporting: Arc::clone(&feed.reporting) };
        drop(nodes);
        Ok((reported, Distribution::reports(&self.distribution, node, holder, snapshot)))
    }

    /// The feed of `node`, made from the store as it is unless somebody follows it already.
    fn followed<'a>(
        &self,
        nodes: &'a mut BTreeMap<ResourceId, Feed>,
        node: &ResourceId,
    ) -> Result<&'a Feed, Status> {
        let kept = nodes.get(node).filter(|feed| feed.is_followed());
        let kept = kept.map(|feed| feed.node.current.borrow().clone()).filter(|current| current.exists);
        let made = kept.is_none();
        let current = kept.map_or_else(|| self.make(node), Ok)?;
        let feed = nodes.entry(node.clone()).or_insert_with(|| {
            let memory = self.views.held(node);
            let (unsaved, ports_moved) = (Arc::clone(&self.unsaved), Arc::clone(&self.ports_moved));
            Feed::new(NodeFeed::new(current.clone(), memory, unsaved, ports_moved))
        });
        if made {
            self.publish(node, feed, current);
        }
        Ok(feed)
    }

    /// What decides who streams.
    pub fn gate(&self) -> Gate<'_> {
        Gate { views: self.views.as_ref(), denied: &self.denied, accounts: &self.accounts }
    }

    /// The most proxies that a node may have connected; none for no limit.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// The clusters that a proxy of `node` has when it runs `version` of them, as far as their nodes still exist.
    pub fn recall(&self, node: &ResourceId, version: &str) -> ResourceSet {
        let view = self.views.mesh(node.mesh_name());
        let discovered = self.discovered.borrow().clone();
        let keys = self.views.version_keys();
        view.map(|view| recall(&view, &discovered, &keys, node, version)).unwrap_or_default()
    }

    /// The version of `content` in an answer to a proxy of `node`.
    pub fn version(&self, node: &ResourceId, kind: ResourceType, content: &Content) -> String {
        self.views.version_keys().version(node, kind, content)
    }

    /// Stores what proxies refuse, as it changes, until `shutdown`.
    pub async fn remember(&self, shutdown: CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = shutdown.cancelled() => true,
                () = self.unsaved.some() => false,
            };
            let mut failed = false;
            for (node, memory) in self.unsaved.take() {
                if self.views.hold(node.clone(), memory.clone()).await.is_err() {
                    // The store has said why.
                    failed = true;
                    self.unsaved.put_back(node, memory);
                }
            }
            if stopped {
                return;
            }
            if failed {
                sleep(STORE_AGAIN).await;
            }
        }
    }

    /// What the proxies of `node` are to run. It is in step with those of other nodes, unless it is newer than what they were sent.
    fn make(&self, node: &ResourceId) -> Result<Current, Status> {
        let unknown = |reason| grpc::status(identity::unknown(&node.to_string(), reason));
        let mesh = node.mesh_name();
        let view = self.views.mesh(mesh).ok_or_else(|| unknown("the mesh does not exist"))?;
        let unknown_node = || unknown("the virtual node does not exist");
        view.get(node).ok_or_else(unknown_node)?;
        let stage = self.stages().get(mesh).filter(|stage| stage.view.get(node).is_some()).cloned();
        let stage = stage.unwrap_or_else(|| Stage::first(mesh, view, self.plaintext(mesh)));
        let snapshot = stage.snapshot(&self.discovered(), node).ok_or_else(unknown_node)?;
        Ok(Current::new(snapshot, stage.view.revision))
    }

    fn discovered(&self) -> Discovered {
        self.discovered.borrow().clone()
    }

    pub(super) fn meshes(&self) -> Meshes {
        let names = self.views.mesh_names().into_iter();
        names.filter_map(|name| self.views.mesh(&name).map(|view| (name, view))).collect()
    }

    /// Brings every feed up to date with `stages`, the store as of `revision`.
    pub(super) async fn refresh(&self, revision: u64, stages: &Stages) {
        let nodes: Vec<ResourceId> = {
            let mut nodes = self.nodes();
            let exists = |node: &ResourceId| {
                stages.get(node.mesh_name()).is_some_and(|at| at.view.get(node).is_some())
            };
            // What its proxies acknowledged last is for those that come.
            nodes.retain(|node, feed| feed.is_followed() || exists(node));
            for gone in
                self.views.holding().into_iter().filter(|node| !nodes.contains_key(node) && !exists(node))
            {
                self.unsaved.put(gone, None);
            }
            let followed = nodes.iter().filter(|(_, feed)| feed.is_followed()).map(|(node, _)| node.clone());
            let followed: BTreeSet<ResourceId> = followed.collect();
            self.distribution.keep(|node| followed.contains(node));
            followed.into_iter().collect()
        };
        self.refresh_nodes(&nodes, revision, |mesh| stages.get(mesh)).await;
    }

    pub(super) async fn refresh_nodes<'a>(
        &self,
        nodes: &[ResourceId],
        revision: u64,
        stage: impl Fn(&MeshName) -> Option<&'a Stage>,
    ) {
        for node in nodes {
            self.refresh_node(node, revision, stage(node.mesh_name()));
            // Thousands of nodes may have to be made again: let streams run in between.
            tokio::task::consume_budget().await;
        }
    }

    fn refresh_node(&self, node: &ResourceId, revision: u64, stage: Option<&Stage>) {
        // Under the lock: a subscriber may put a newer snapshot in place at any time, which is not to be taken back.
        let nodes = self.nodes();
        let Some(feed) = nodes.get(node) else { return };
        let was = feed.node.current.borrow().clone();
        let newer = was.revision > revision;
        // The newest, read under the lock: it only ever grows newer.
        let discovered = self.discovered();
        let same = |stage: &Stage| was.snapshot().unchanged(stage, &discovered);
        if newer || (was.exists && stage.is_some_and(same)) {
            return;
        }
        match stage.and_then(|stage| stage.snapshot(&discovered, node)) {
            Some(snapshot) => {
                self.publish(node, feed, Current::new(snapshot, revision));
            }
            None if was.exists => {
                self.publish(node, feed, Current { exists: false, revision, ..was });
            }
            None => {}
        }
    }

    /// Publishes to the distribution before the streams, so that it never counts proxies by an older snapshot.
    fn publish(&self, node: &ResourceId, feed: &Feed, current: Current) {
        self.distribution.target(node, current.exists.then(|| Arc::clone(&current.described)));
        feed.node.publish(current);
    }

    /// On what all proxies of `node` take connections; nothing without proxies.
    pub(super) fn open(&self, node: &ResourceId) -> Option<Open> {
        let feed = self.nodes().get(node).map(|feed| Arc::clone(&feed.node))?;
        feed.open()
    }

    /// The ports of `mesh` to which callers spoke plaintext when that was stored last.
    pub(super) fn plaintext(&self, mesh: &MeshName) -> BTreeMap<ResourceId, BTreeSet<i32>> {
        let nodes = self.views.holding().into_iter().filter(|node| node.mesh_name() == mesh);
        let stored = nodes.filter_map(|node| {
            let memory = self.views.held(&node)?;
            Some((node, isolation::plaintext(&memory)))
        });
        stored.collect()
    }

    /// Has it stored to which ports of the nodes of `mesh` callers speak plaintext at `stage`.
    pub(super) fn note_plaintext(&self, mesh: &MeshName, stage: &Stage) {
        for (node, feed) in self.nodes().iter().filter(|(node, _)| node.mesh_name() == mesh) {
            let ports = stage.transition.plaintext.get(node).into_iter().flat_map(BTreeMap::keys);
            feed.node.note_plaintext(ports.copied().collect());
        }
    }

    /// The nodes of `mesh` that somebody follows.
    pub(super) fn followed_in(&self, mesh: &MeshName) -> Vec<ResourceId> {
        let nodes = self.nodes();
        let followed = nodes.iter().filter(|(node, feed)| node.mesh_name() == mesh && feed.is_followed());
        followed.map(|(node, _)| node.clone()).collect()
    }

    pub(super) fn stages(&self) -> MutexGuard<'_, Stages> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<ResourceId, Feed>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
