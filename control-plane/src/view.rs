//! What the store shows to everything behind it: immutable views of a mesh. The snapshot builder and the ADS server
//! read these and nothing else, so neither knows which store is underneath. Pure data.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Collection, ResourceId, Spec};
use jiff::Timestamp;

use crate::snapshot::VersionKeys;

/// A stored resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which resource it is.
    pub id: ResourceId,
    /// Its full ARN.
    pub arn: String,
    /// A UUID that no other resource ever had, not even one of the same name.
    pub uid: String,
    /// 1 at creation, one more at each update.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last updated.
    pub last_updated_at: Timestamp,
    /// The spec as it was put, `healthCheck.port` filled in.
    pub spec: Spec,
    /// Its tags.
    pub tags: Tags,
}

/// One mesh with all its resources, as of one commit.
#[derive(Clone, Debug)]
pub struct MeshView {
    /// The commit of the store that this view shows; grows with every commit, over all meshes and over restarts.
    pub revision: u64,
    /// The mesh and everything in it, by identity. The mesh itself is always there.
    pub resources: BTreeMap<ResourceId, Arc<Record>>,
}

impl MeshView {
    /// The resource `id`, if it exists.
    pub fn get(&self, id: &ResourceId) -> Option<&Arc<Record>> {
        self.resources.get(id)
    }

    /// The members of `collection` in this mesh, by name.
    pub fn members(&self, collection: &Collection) -> impl Iterator<Item = &Arc<Record>> + use<'_> {
        let collection = collection.clone();
        let from = self.resources.range(collection.member("")..).map(|(_, record)| record);
        from.take_while(move |record| collection.contains(&record.id))
    }
}

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
