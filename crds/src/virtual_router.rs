//! The VirtualRouter kind. Pure data.

use fleetmesh_model::{Kind, ResourceId, Spec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::columns;
use crate::extension::{Extension, RouterExtension};
use crate::identity::{mesh_name, name};
use crate::management::Management;
use crate::namespaces::AllowedRoutes;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::{NoStatus, PlainResourceStatus};

/// A virtual router: it splits the traffic of one or more virtual services by its routes.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "VirtualRouter",
    namespaced,
    doc = "A virtual router: it splits the traffic of one or more virtual services by its routes.",
    status = "PlainResourceStatus",
    derive = "PartialEq",
    shortname = "frouter",
    category = "fleetmesh",
    crates(kube_core = "::kube_core")
)]
pub struct VirtualRouterResourceSpec {
    /// The mesh's name in App Mesh. It never changes.
    #[schemars(transform = mesh_name)]
    pub mesh_name: String,
    /// The router's name in App Mesh; metadata.name when absent. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = name)]
    pub virtual_router_name: Option<String>,
    /// Who may attach routes to the router: routes of its own namespace when absent. A route of another namespace also
    /// needs a ReferenceGrant in the router's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_routes: Option<AllowedRoutes>,
    /// How Fleetmesh manages the App Mesh object.
    #[serde(flatten)]
    pub management: Management,
    /// The App Mesh request's `spec`.
    #[serde(flatten)]
    pub app_mesh: fleetmesh_model::VirtualRouterSpec,
}

impl MeshResource for VirtualRouter {
    const KIND: Kind = Kind::VirtualRouter;
    const ROLLS_OUT: bool = false;

    type Own = NoStatus;

    fn resource_id(&self) -> ResourceId {
        ResourceId::virtual_router(
            &self.spec.mesh_name,
            effective_name(self.spec.virtual_router_name.as_ref(), self),
        )
    }

    fn app_mesh_spec(&self) -> Spec {
        Spec::VirtualRouter(self.spec.app_mesh.clone())
    }

    fn extension(&self) -> Extension {
        Extension::Router(RouterExtension { routes: self.spec.allowed_routes.clone() })
    }

    fn columns() -> Vec<CustomResourceColumnDefinition> {
        vec![columns::mesh(), columns::name()]
    }

    common_members!();
}
