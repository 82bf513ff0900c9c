//! The VirtualService kind. Pure data.

use fleetmesh_model::{Kind, ResourceId, Spec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::columns;
use crate::extension::Extension;
use crate::identity::{mesh_name, service_name};
use crate::management::Management;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::{NoStatus, PlainResourceStatus};

/// A virtual service: a name that callers use, and the virtual node or router that provides it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "VirtualService",
    namespaced,
    doc = "A virtual service: a name that callers use, and the virtual node or router that provides it.",
    status = "PlainResourceStatus",
    derive = "PartialEq",
    shortname = "fservice",
    category = "fleetmesh",
    crates(kube_core = "::kube_core")
)]
pub struct VirtualServiceResourceSpec {
    /// The mesh's name in App Mesh. It never changes.
    #[schemars(transform = mesh_name)]
    pub mesh_name: String,
    /// The service's name in App Mesh, which is the name that callers use; metadata.name when absent. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = service_name)]
    pub virtual_service_name: Option<String>,
    /// How Fleetmesh manages the App Mesh object.
    #[serde(flatten)]
    pub management: Management,
    /// The App Mesh request's `spec`.
    #[serde(flatten)]
    pub app_mesh: fleetmesh_model::VirtualServiceSpec,
}

impl MeshResource for VirtualService {
    const KIND: Kind = Kind::VirtualService;
    const ROLLS_OUT: bool = false;

    type Own = NoStatus;

    fn resource_id(&self) -> ResourceId {
        ResourceId::virtual_service(
            &self.spec.mesh_name,
            effective_name(self.spec.virtual_service_name.as_ref(), self),
        )
    }

    fn app_mesh_spec(&self) -> Spec {
        Spec::VirtualService(self.spec.app_mesh.clone())
    }

    fn extension(&self) -> Extension {
        Extension::None
    }

    fn columns() -> Vec<CustomResourceColumnDefinition> {
        vec![columns::mesh(), columns::name()]
    }

    common_members!();
}
