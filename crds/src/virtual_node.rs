//! The VirtualNode kind. Pure data.

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::add_rule;
use fleetmesh_model::{Kind, ResourceId, Spec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::columns::{self, number, text, wide};
use crate::extension::{Extension, NodeExtension};
use crate::fleet::Fleet;
use crate::http::{Http, ROOM_FOR_HTTP};
use crate::iam::Iam;
use crate::identity::{mesh_name, name};
use crate::management::Management;
use crate::namespaces::AllowedRoutes;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::{NodeStatus, VirtualNodeResourceStatus};

pub(crate) const FLEET_NEEDS_IAM: Rule = Rule {
    cel: "!has(self.fleet) || has(self.iam)",
    message: "iam must be set when fleet is: instances are known by the role that it makes; iam: {} takes every default",
};

pub(crate) const ATTRIBUTES_FREE: Rule = Rule {
    cel: "!has(self.fleet) || !has(self.fleet.replicas) || !has(self.serviceDiscovery) || !has(self.serviceDiscovery.awsCloudMap) || !has(self.serviceDiscovery.awsCloudMap.attributes) || !self.serviceDiscovery.awsCloudMap.attributes.exists(one, one.key.startsWith('AWS_') || one.key.startsWith('fleetmesh.dev/'))",
    message: "serviceDiscovery.awsCloudMap.attributes of a node with replicas must not begin with AWS_ or fleetmesh.dev/, which are set for each instance",
};

fn rules(schema: &mut Schema) {
    add_rule(schema, &FLEET_NEEDS_IAM);
    add_rule(schema, &ATTRIBUTES_FREE);
    add_rule(schema, &ROOM_FOR_HTTP);
}

/// A virtual node: the instances of one version of one service.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "VirtualNode",
    namespaced,
    doc = "A virtual node: the instances of one version of one service.",
    status = "VirtualNodeResourceStatus",
    derive = "PartialEq",
    shortname = "fnode",
    category = "fleetmesh",
    scale(spec_replicas_path = ".spec.fleet.replicas", status_replicas_path = ".status.fleet.running"),
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
    /// Whose routes may retire the node when a rollout has replaced it (`canary.drain.retire`): those of its own namespace
    /// when absent. A route of another namespace leaves the node alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_retirement: Option<AllowedRoutes>,
    /// The EC2 instances that run the node; without it the node is a mesh resource and needs no AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fleet: Option<Fleet>,
    /// How the proxies take HTTP: limits and case of headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// The IAM identity of the node's instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iam: Option<Iam>,
    /// How Fleetmesh manages the App Mesh object.
    #[serde(flatten)]
    pub management: Management,
    /// The App Mesh request's `spec`.
    #[serde(flatten)]
    pub app_mesh: fleetmesh_model::VirtualNodeSpec,
}

impl MeshResource for VirtualNode {
    const KIND: Kind = Kind::VirtualNode;
    const ROLLS_OUT: bool = false;

    type Own = NodeStatus;

    fn resource_id(&self) -> ResourceId {
        ResourceId::virtual_node(
            &self.spec.mesh_name,
            effective_name(self.spec.virtual_node_name.as_ref(), self),
        )
    }

    fn app_mesh_spec(&self) -> Spec {
        Spec::VirtualNode(Box::new(self.spec.app_mesh.clone()))
    }

    fn extension(&self) -> Extension {
        Extension::Node(Box::new(NodeExtension {
            http: self.spec.http,
            iam: self.spec.iam.clone(),
            fleet: self.spec.fleet.clone(),
            retirement: self.spec.allowed_retirement.clone(),
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
