//! The snapshots of the nodes that have proxies: made once per node, shared by all its streams, and made again only when something
//! that they were made from changed.
//!
//! What proxies refuse of it is found and withheld from them ([`isolation`](fleetmesh_mesh::ads::isolation)). What they
//! acknowledged last is kept while none of them is connected: one that starts anew gets that.
//!
//! Bursts of commits are taken together: an update waits until nothing was committed for [`Debounce::quiet`], at most
//! [`Debounce::longest`].
//!
//! When a node is deleted while its proxies are connected, they keep the last configuration and the stream, and continue from there
//! if a node of that name is made again. They no longer count in the distribution.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetmesh_mesh::ads::identity;
use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_mesh::holder::Holder;
use fleetmesh_mesh::snapshot::{Content, ResourceSet, ResourceType, Snapshot, Targets, recall};
use fleetmesh_mesh::view::{MeshView, Meshes};
use fleetmesh_model::ResourceId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::authority::Gate;
use super::grpc;
use super::node_feed::{Current, FollowedFeed, NodeFeed, Unsaved};
use crate::accounts::Accounts;
use crate::distribution::{Distribution, Published, Reports};
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
    views: Arc<dyn Views>,
    /// The instances that Cloud Map knows of.
    discovered: watch::Receiver<Discovered>,
    /// The most proxies that a node may have connected; none for no limit.
    limit: Option<usize>,
    denied: Denied,
    accounts: Accounts,
    distribution: Arc<Distribution>,
    nodes: Mutex<BTreeMap<ResourceId, Feed>>,
    unsaved: Arc<Unsaved>,
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

    /// Follows the snapshots of `node` for one more proxy, until the receiver is dropped.
    ///
    /// # Errors
    /// Status 3 when there is no such node, 8 when it has as many proxies as it may.
    pub fn subscribe(&self, node: &ResourceId) -> Result<FollowedFeed, Status> {
        let mut nodes = self.nodes();
        let connected = nodes.get(node).map_or(0, Feed::proxies);
        if let Some(limit) = self.limit.filter(|limit| connected >= *limit) {
            let text = format!("{node} has {connected} proxies connected, and the limit is {limit}");
            return Err(Status::resource_exhausted(text));
        }
        Ok(FollowedFeed::new(Arc::clone(&self.followed(&mut nodes, node)?.node)))
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
        let snapshot = Arc::clone(&current.borrow().offer.wanted);
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
            Feed::new(NodeFeed::new(current.clone(), memory, Arc::clone(&self.unsaved)))
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
        view.map(|view| recall(&view, &self.views.version_keys(), node, version)).unwrap_or_default()
    }

    /// The version of `content` in an answer to a proxy of `node`.
    pub fn version(&self, node: &ResourceId, kind: ResourceType, content: &Content) -> String {
        self.views.version_keys().version(node, kind, content)
    }

    /// Follows the store's commits and Cloud Map's instances until `shutdown` and keeps every feed up to date.
    pub async fn follow(&self, debounce: Debounce, shutdown: CancellationToken) {
        let mut sources = Sources { revisions: self.views.revisions(), discovered: self.discovered.clone() };
        loop {
            let revision = *sources.revisions.borrow_and_update();
            let discovered = sources.discovered.borrow_and_update().clone();
            let meshes = self.meshes();
            self.refresh(revision, &meshes).await;
            self.distribution.published(Published { revision, meshes: Arc::new(meshes), discovered });
            tokio::select! {
                () = shutdown.cancelled() => return,
                ended = sources.changed() => if ended.is_err() { return },
            }
            let longest = Instant::now() + debounce.longest;
            loop {
                let quiet = (Instant::now() + debounce.quiet).min(longest);
                tokio::select! {
                    () = sleep_until(quiet) => break,
                    ended = sources.changed() => if ended.is_err() { return },
                }
            }
        }
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

    /// What the proxies of `node` are to run, made from the store as it is.
    fn make(&self, node: &ResourceId) -> Result<Current, Status> {
        let unknown = |reason| grpc::status(identity::unknown(&node.to_string(), reason));
        let view = self.views.mesh(node.mesh_name()).ok_or_else(|| unknown("the mesh does not exist"))?;
        let snapshot = Snapshot::build(&view, &self.discovered(), node)
            .ok_or_else(|| unknown("the virtual node does not exist"))?;
        Ok(Current::new(snapshot, view.revision))
    }

    fn discovered(&self) -> Discovered {
        self.discovered.borrow().clone()
    }

    fn meshes(&self) -> Meshes {
        let names = self.views.mesh_names().into_iter();
        names.filter_map(|name| self.views.mesh(&name).map(|view| (name, view))).collect()
    }

    /// Brings every feed up to date with `meshes`, the store as of `revision`.
    async fn refresh(&self, revision: u64, meshes: &Meshes) {
        let nodes: Vec<ResourceId> = {
            let mut nodes = self.nodes();
            let exists =
                |node: &ResourceId| meshes.get(node.mesh_name()).is_some_and(|view| view.get(node).is_some());
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
        for node in nodes {
            self.refresh_node(&node, revision, meshes.get(node.mesh_name()));
            // Thousands of nodes may have to be made again: let streams run in between.
            tokio::task::consume_budget().await;
        }
    }

    fn refresh_node(&self, node: &ResourceId, revision: u64, view: Option<&Arc<MeshView>>) {
        // Under the lock: a subscriber may put a newer snapshot in place at any time, which is not to be taken back.
        let nodes = self.nodes();
        let Some(feed) = nodes.get(node) else { return };
        let was = feed.node.current.borrow().clone();
        let newer = was.revision > revision;
        // The newest, read under the lock: it only ever grows newer.
        let discovered = self.discovered();
        if newer || (was.exists && view.is_some_and(|view| was.offer.wanted.unchanged(view, &discovered))) {
            return;
        }
        match view.and_then(|view| Snapshot::build(view, &discovered, node)) {
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
        self.distribution.target(node, current.exists.then(|| Arc::clone(&current.offer.wanted)));
        feed.node.publish(current);
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<ResourceId, Feed>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What snapshots are made from.
struct Sources {
    revisions: watch::Receiver<u64>,
    discovered: watch::Receiver<Discovered>,
}

impl Sources {
    /// Awaits that one of them changes. An error says that the store is gone.
    async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        let discovered = async {
            if self.discovered.changed().await.is_err() {
                // Nobody discovers any more; commits still come.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            changed = self.revisions.changed() => changed,
            () = discovered => Ok(()),
        }
    }
}
