//! The VirtualGateway kind. Pure data.

use fleetmesh_model::schema::add_rule;
use fleetmesh_model::{Kind, ResourceId, Spec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::columns::{self, number, text, wide};
use crate::extension::{Extension, GatewayExtension};
use crate::gateway_fleet::GatewayFleet;
use crate::http::{Http, ROOM_FOR_HTTP};
use crate::iam::Iam;
use crate::identity::{mesh_name, name};
use crate::management::Management;
use crate::namespaces::AllowedRoutes;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::{NodeStatus, VirtualNodeResourceStatus};
use crate::virtual_node::FLEET_NEEDS_IAM;

fn rules(schema: &mut Schema) {
    add_rule(schema, &FLEET_NEEDS_IAM);
    add_rule(schema, &ROOM_FOR_HTTP);
}

/// A virtual gateway: proxies that take requests from outside the mesh into it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "VirtualGateway",
    namespaced,
    doc = "A virtual gateway: proxies that take requests from outside the mesh into it.",
    status = "VirtualNodeResourceStatus",
    derive = "PartialEq",
    shortname = "fgateway",
    category = "fleetmesh",
    scale(spec_replicas_path = ".spec.fleet.replicas", status_replicas_path = ".status.fleet.running"),
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
    /// The EC2 instances that run the gateway; without it the gateway is a mesh resource and needs no AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<GatewayFleet>,
    /// How the proxies take HTTP: limits and case of headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// The IAM identity of the gateway's instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<Iam>,
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

    type Own = NodeStatus;

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
        Extension::Gateway(Box::new(GatewayExtension {
            http: self.spec.http,
            iam: self.spec.iam.clone(),
            fleet: self.spec.fleet.clone().map(Into::into),
            routes: self.spec.allowed_routes.clone(),
        }))
    }

    fn columns() -> Vec<CustomResourceColumnDefinition> {
        vec![
            columns::mesh(),
            columns::name(),
            number("Proxies", ".status.proxies.connected", "The connected proxies that need the object"),
            number("Instances", ".status.fleet.running", "The EC2 instances that run"),
            wide(text("Class", ".status.fleet.className", "The FleetClass of the instances")),
        ]
    }

    common_members!();
}
