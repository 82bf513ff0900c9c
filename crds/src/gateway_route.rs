//! The GatewayRoute kind. Pure data.

use fleetmesh_model::{Kind, ResourceId, Spec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::columns::{self, text};
use crate::extension::Extension;
use crate::identity::{mesh_name, name, parent_gateway_name};
use crate::management::Management;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::{NoStatus, PlainResourceStatus};

/// A route of a virtual gateway: which requests it takes and to which virtual service it leads them.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "GatewayRoute",
    namespaced,
    doc = "A route of a virtual gateway: which requests it takes and to which virtual service it leads them.",
    status = "PlainResourceStatus",
    derive = "PartialEq",
    shortname = "fgatewayroute",
    category = "fleetmesh",
    crates(kube_core = "::kube_core")
)]
pub struct GatewayRouteResourceSpec {
    /// The mesh's name in App Mesh. It never changes.
    #[schemars(transform = mesh_name)]
    pub mesh_name: String,
    /// The App Mesh name of the virtual gateway that the gateway route belongs to. It never changes.
    #[schemars(transform = parent_gateway_name)]
    pub virtual_gateway_name: String,
    /// The gateway route's name in App Mesh; metadata.name when absent. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = name)]
    pub gateway_route_name: Option<String>,
    /// How Fleetmesh manages the App Mesh object.
    #[serde(flatten)]
    pub management: Management,
    /// The App Mesh request's `spec`.
    #[serde(flatten)]
    pub app_mesh: fleetmesh_model::GatewayRouteSpec,
}

impl MeshResource for GatewayRoute {
    const KIND: Kind = Kind::GatewayRoute;
    const ROLLS_OUT: bool = false;

    type Own = NoStatus;

    fn resource_id(&self) -> ResourceId {
        ResourceId::gateway_route(
            &self.spec.mesh_name,
            &self.spec.virtual_gateway_name,
            effective_name(self.spec.gateway_route_name.as_ref(), self),
        )
    }

    fn app_mesh_spec(&self) -> Spec {
        Spec::GatewayRoute(Box::new(self.spec.app_mesh.clone()))
    }

    fn extension(&self) -> Extension {
        Extension::None
    }

    fn columns() -> Vec<CustomResourceColumnDefinition> {
        vec![
            columns::mesh(),
            text("Gateway", ".spec.virtualGatewayName", "The App Mesh name of the virtual gateway"),
            columns::name(),
        ]
    }

    common_members!();
}
