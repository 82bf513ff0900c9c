//! The VirtualGateway kind. Pure data.

use fleetmesh_model::{Kind, ResourceId, Spec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::columns::{self, number};
use crate::extension::{Extension, GatewayExtension};
use crate::identity::{mesh_name, name};
use crate::management::Management;
use crate::namespaces::AllowedRoutes;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::{NoStatus, PlainResourceStatus};

/// A virtual gateway: proxies that take requests from outside the mesh into it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "VirtualGateway",
    namespaced,
    doc = "A virtual gateway: proxies that take requests from outside the mesh into it.",
    status = "PlainResourceStatus",
    derive = "PartialEq",
    shortname = "fgateway",
    category = "fleetmesh",
    crates(kube_core = "::kube_core")
)]
pub struct VirtualGatewayResourceSpec {
    /// The mesh's name in App Mesh. It never changes.
    #[schemars(transform = mesh_name)]
    pub mesh_name: String,
    /// The gateway's name in App Mesh; metadata.name when absent. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = name)]
    pub virtual_gateway_name: Option<String>,
    /// Who may attach gateway routes to the gateway: those of its own namespace when absent. A gateway route of another
    /// namespace also needs a ReferenceGrant in the gateway's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_routes: Option<AllowedRoutes>,
    /// How Fleetmesh manages the App Mesh object.
    #[serde(flatten)]
    pub management: Management,
    /// The App Mesh request's `spec`.
    #[serde(flatten)]
    pub app_mesh: fleetmesh_model::VirtualGatewaySpec,
}

impl MeshResource for VirtualGateway {
    const KIND: Kind = Kind::VirtualGateway;
    const ROLLS_OUT: bool = false;

    type Own = NoStatus;

    fn resource_id(&self) -> ResourceId {
        ResourceId::virtual_gateway(
            &self.spec.mesh_name,
            effective_name(self.spec.virtual_gateway_name.as_ref(), self),
        )
    }

    fn app_mesh_spec(&self) -> Spec {
        Spec::VirtualGateway(Box::new(self.spec.app_mesh.clone()))
    }

    fn extension(&self) -> Extension {
        Extension::Gateway(Box::new(GatewayExtension { routes: self.spec.allowed_routes.clone() }))
    }

    fn columns() -> Vec<CustomResourceColumnDefinition> {
        vec![
            columns::mesh(),
            columns::name(),
            number("Proxies", ".status.proxies.connected", "The connected proxies that need the object"),
        ]
    }

    common_members!();
}
