//! The VirtualNode kind. Pure data.

use fleetmesh_model::{Kind, ResourceId, Spec};
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::{mesh_name, name};
use crate::management::Management;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::Status;

/// A virtual node: the instances of one version of one service.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "VirtualNode",
    namespaced,
    doc = "A virtual node: the instances of one version of one service.",
    status = "Status",
    derive = "PartialEq",
    shortname = "fnode",
    category = "fleetmesh",
    crates(kube_core = "::kube_core")
)]
pub struct VirtualNodeResourceSpec {
    /// The mesh's name in App Mesh. It never changes.
    #[schemars(transform = mesh_name)]
    pub mesh_name: String,
    /// The node's name in App Mesh; metadata.name when absent. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = name)]
    pub virtual_node_name: Option<String>,
    /// How Fleetmesh manages the App Mesh object.
    #[serde(flatten)]
    pub management: Management,
    /// The App Mesh request's `spec`.
    #[serde(flatten)]
    pub app_mesh: fleetmesh_model::VirtualNodeSpec,
}

impl MeshResource for VirtualNode {
    const KIND: Kind = Kind::VirtualNode;
    const NAME_FIELD: &'static str = "virtualNodeName";

    fn resource_id(&self) -> ResourceId {
        ResourceId::virtual_node(
            &self.spec.mesh_name,
            effective_name(self.spec.virtual_node_name.as_ref(), self),
        )
    }

    fn app_mesh_spec(&self) -> Spec {
        Spec::VirtualNode(Box::new(self.spec.app_mesh.clone()))
    }

    common_members!();
}
