//! Where views of meshes come from: proxies are served from these, and nothing behind it knows which store is underneath.

use std::sync::Arc;

use fleetmesh_mesh::snapshot::VersionKeys;
use fleetmesh_mesh::store::CommitError;
use fleetmesh_mesh::view::MeshView;
use fleetmesh_model::{MeshName, ResourceId};
use futures::future::BoxFuture;

/// Where views come from. A store implements it; what serves proxies depends on nothing more.
pub trait Views: Send + Sync + 'static {
    /// The mesh as of its last commit; `None` when it does not exist. Cheap: no I/O, an `Arc` is cloned.
    fn mesh(&self, name: &MeshName) -> Option<Arc<MeshView>>;

    /// The meshes that exist, of all accounts.
    fn mesh_names(&self) -> Vec<MeshName>;

    /// The revision of the last commit, and every later one. A receiver that was slow sees the newest only.
    fn revisions(&self) -> tokio::sync::watch::Receiver<u64>;

    /// The keys that mark the clusters in versions. They are stored: the same in every replica and after every restart,
    /// and replaced one at a time ([`Store::renew_keys`](crate::store::Store::renew_keys)). Cheap: no I/O.
    fn version_keys(&self) -> Arc<VersionKeys>;

    /// What was stored by [`Self::hold`] of the node `node`; by default nothing ever is. Cheap: no I/O.
    fn held(&self, _node: &ResourceId) -> Option<Arc<[u8]>> {
        None
    }

    /// The nodes of which something is stored so. Cheap: no I/O.
    fn holding(&self) -> Vec<ResourceId> {
        Vec::new()
    }

    /// Stores what the proxies of the node `node` refuse and run instead
    /// ([`Isolation::memory`](fleetmesh_mesh::ads::isolation::Isolation::memory)), or forgets it.
    ///
    /// # Errors
    /// [`CommitError::Unavailable`] or [`CommitError::Internal`] when the storage could not take it; what was stored stays.
    fn hold(&self, _node: ResourceId, _memory: Option<Vec<u8>>) -> BoxFuture<'_, Result<(), CommitError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
