//! The views of a mesh that a store publishes: immutable. Snapshots are made from these and from nothing else. Pure data.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetmesh_model::tag::Tags;
use fleetmesh_model::{Account, Collection, MeshName, ResourceId, Spec};
use jiff::Timestamp;

use crate::form::{Form, Forms};

/// A stored resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Which resource it is.
    pub id: ResourceId,
    /// Its full ARN.
    pub arn: String,
    /// The account that made it: the mesh's owner, or one that the mesh was shared with. Nobody else changes it.
    pub owner: Account,
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

/// All meshes of all accounts, as of one commit.
pub type Meshes = BTreeMap<MeshName, Arc<MeshView>>;

/// One mesh with all its resources, as of one commit.
#[derive(Clone, Debug)]
pub struct MeshView {
    /// The commit of the store that this view shows; grows with every commit, over all meshes and over restarts.
    pub revision: u64,
    /// Since when the store knows each form.
    pub forms: Forms,
    /// The mesh and everything in it, by identity. The mesh itself is always there.
    pub resources: BTreeMap<ResourceId, Arc<Record>>,
}

impl MeshView {
    /// The resource `id`, if it exists.
    pub fn get(&self, id: &ResourceId) -> Option<&Arc<Record>> {
        self.resources.get(id)
    }

    /// The form in which the proxies of `record` get their configuration.
    pub fn form(&self, record: &Record) -> Form {
        self.forms.of(&record.tags, record.last_updated_at)
    }

    /// The members of `collection` in this mesh, by name.
    pub fn members(&self, collection: &Collection) -> impl Iterator<Item = &Arc<Record>> + use<'_> {
        let collection = collection.clone();
        let from = self.resources.range(collection.member("")..).map(|(_, record)| record);
        from.take_while(move |record| collection.contains(&record.id))
    }
}
