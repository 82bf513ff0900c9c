//! The Mesh kind. Pure data.

use fleetmesh_model::rule::Rule;
use fleetmesh_model::schema::{add_rule, plain_enum};
use fleetmesh_model::{Kind, ResourceId, Spec};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use kube_derive::CustomResource;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::columns::{self, text};
use crate::extension::{Extension, MeshExtension};
use crate::identity::name;
use crate::management::Management;
use crate::mesh_tls::{MeshStatus, MeshTls};
use crate::namespaces::AllowedNamespaces;
use crate::resource::{MeshResource, common_members, effective_name};
use crate::status::MeshResourceStatus;

pub(crate) const OBSERVED_AS_IT_IS: Rule = Rule {
    cel: "!has(self.management) || self.management != 'Observe' || !has(self.egressFilter) && !has(self.serviceDiscovery) && !has(self.tags)",
    message: "egressFilter, serviceDiscovery and tags must not be set when management is Observe: the mesh stays as whoever made it wants it",
};

fn rules(schema: &mut Schema) {
    add_rule(schema, &OBSERVED_AS_IT_IS);
}

/// A service mesh: the boundary within which virtual nodes, routers, routes and services know each other.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
#[kube(
    group = "fleetmesh.dev",
    version = "v1alpha1",
    kind = "Mesh",
    doc = "A service mesh: the boundary within which virtual nodes, routers, routes and services know each other.",
    status = "MeshResourceStatus",
    derive = "PartialEq",
    shortname = "fmesh",
    crates(kube_core = "::kube_core")
)]
pub struct MeshResourceSpec {
    /// The mesh's name in App Mesh; metadata.name when absent. It never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = name)]
    pub mesh_name: Option<String>,
    /// Whether Fleetmesh makes and keeps the App Mesh mesh, or only looks at one that is made elsewhere.
    #[serde(default, rename = "management")]
    pub mode: MeshManagement,
    /// Which namespaces may put resources into the mesh; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// TLS between all proxies of the mesh, added to the App Mesh requests of virtual nodes and gateways that say nothing about it:
    /// listeners take both first, then clients use TLS, then, with STRICT, listeners take nothing else; each step waits until the
    /// proxies run the one before. Absent, nothing is added. Every proxy must have joined by `fleetmesh proxy join`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<MeshTls>,
    /// How Fleetmesh manages the App Mesh object.
    #[serde(flatten)]
    pub management: Management,
    /// The App Mesh request's `spec`.
    #[serde(flatten)]
    pub app_mesh: fleetmesh_model::MeshSpec,
}

/// Who makes and keeps the App Mesh mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = plain_enum)]
pub enum MeshManagement {
    /// Fleetmesh: the mesh is created, brought in step with this resource, and deleted with it as `deletionPolicy` says.
    #[default]
    Manage,
    /// Somebody else: the mesh is never written to, tagged or deleted. What this resource allows counts all the same.
    Observe,
}

impl MeshResource for Mesh {
    const KIND: Kind = Kind::Mesh;
    const ROLLS_OUT: bool = false;

    type Own = MeshStatus;

    fn resource_id(&self) -> ResourceId {
        ResourceId::mesh(effective_name(self.spec.mesh_name.as_ref(), self))
    }

    fn app_mesh_spec(&self) -> Spec {
        Spec::Mesh(self.spec.app_mesh.clone())
    }

    fn extension(&self) -> Extension {
        Extension::Mesh(MeshExtension {
            observed: self.spec.mode == MeshManagement::Observe,
            namespaces: self.spec.allowed_namespaces.clone(),
            tls: self.spec.tls.map(|tls| tls.mode),
        })
    }

    fn columns() -> Vec<CustomResourceColumnDefinition> {
        vec![columns::name(), text("TLS", ".status.tls.stage", "How far TLS between the proxies is")]
    }

    common_members!();
}
