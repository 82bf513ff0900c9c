//! Where views of meshes come from: proxies are served from these, and nothing behind it knows which store is underneath.

use std::sync::Arc;

use fleetmesh_mesh::snapshot::VersionKeys;
use fleetmesh_mesh::view::MeshView;

/// Where views come from. A store implements it; what serves proxies depends on nothing more.
pub trait Views: Send + Sync + 'static {
    /// The mesh as of its last commit; `None` when it does not exist. Cheap: no I/O, an `Arc` is cloned.
    fn mesh(&self, name: &str) -> Option<Arc<MeshView>>;

    /// The names of the meshes that exist.
    fn mesh_names(&self) -> Vec<String>;

    /// The revision of the last commit, and every later one. A receiver that was slow sees the newest only.
    fn revisions(&self) -> tokio::sync::watch::Receiver<u64>;

    /// The keys that mark the clusters in versions. They are stored: the same in every replica and after every restart,
    /// and replaced one at a time ([`Store::renew_keys`](crate::store::Store::renew_keys)). Cheap: no I/O.
    fn version_keys(&self) -> Arc<VersionKeys>;
}
