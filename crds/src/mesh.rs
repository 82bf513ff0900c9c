//! The Mesh kind. Pure data.

use fleetmesh_model::{Kind, ResourceId, Spec};
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::name;
use crate::management::Management;
use crate::namespaces::AllowedNamespaces;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::Status;

/// A service mesh: the boundary within which virtual nodes, routers, routes and services know each other.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "Mesh",
    doc = "A service mesh: the boundary within which virtual nodes, routers, routes and services know each other.",
    status = "Status",
    derive = "PartialEq",
    shortname = "fmesh",
    category = "fleetmesh",
    crates(kube_core = "::kube_core")
)]
pub struct MeshResourceSpec {
    /// The mesh's name in App Mesh; metadata.name when absent. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = name)]
    pub mesh_name: Option<String>,
    /// Which namespaces may put resources into the mesh; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// How Fleetmesh manages the App Mesh object.
    #[serde(flatten)]
    pub management: Management,
    /// The App Mesh request's `spec`.
    #[serde(flatten)]
    pub app_mesh: fleetmesh_model::MeshSpec,
}

impl MeshResource for Mesh {
    const KIND: Kind = Kind::Mesh;
    const NAME_FIELD: &'static str = "meshName";

    fn resource_id(&self) -> ResourceId {
        ResourceId::mesh(effective_name(self.spec.mesh_name.as_ref(), self))
    }

    fn app_mesh_spec(&self) -> Spec {
        Spec::Mesh(self.spec.app_mesh.clone())
    }

    common_members!();
}
