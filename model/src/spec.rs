//! A spec of any kind: its references and the rules it breaks. Pure.

use serde::{Deserialize, Serialize};

use crate::mesh::MeshSpec;
use crate::reference::Reference;
use crate::resource::{Kind, ResourceId};
use crate::route::RouteSpec;
use crate::rule::{Violation, Violations};
use crate::virtual_node::VirtualNodeSpec;
use crate::virtual_router::VirtualRouterSpec;
use crate::virtual_service::{VirtualServiceProvider, VirtualServiceSpec};

/// The spec of a resource of any kind. It serialises as the bare spec of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[allow(missing_docs, reason = "the variants are App Mesh's kinds")]
pub enum Spec {
    Mesh(MeshSpec),
    VirtualNode(Box<VirtualNodeSpec>),
    VirtualRouter(VirtualRouterSpec),
    Route(Box<RouteSpec>),
    VirtualService(VirtualServiceSpec),
}

impl Spec {
    /// Reads the spec of a `kind` from its JSON.
    ///
    /// # Errors
    /// serde's, when a member is missing or of another type. Bounds are the schema's business, not serde's.
    pub fn from_json(kind: Kind, json: serde_json::Value) -> Result<Self, serde_json::Error> {
        fn read<T: for<'de> Deserialize<'de>>(json: serde_json::Value) -> Result<T, serde_json::Error> {
            serde_json::from_value(json)
        }
        Ok(match kind {
            Kind::Mesh => Self::Mesh(read(json)?),
            Kind::VirtualNode => Self::VirtualNode(Box::new(read(json)?)),
            Kind::VirtualRouter => Self::VirtualRouter(read(json)?),
            Kind::Route => Self::Route(Box::new(read(json)?)),
            Kind::VirtualService => Self::VirtualService(read(json)?),
        })
    }

    /// The kind that the spec is of.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Mesh(_) => Kind::Mesh,
            Self::VirtualNode(_) => Kind::VirtualNode,
            Self::VirtualRouter(_) => Kind::VirtualRouter,
            Self::Route(_) => Kind::Route,
            Self::VirtualService(_) => Kind::VirtualService,
        }
    }

    /// The rules, beyond the schema's bounds, that the spec breaks; paths begin with `spec`.
    pub fn violations(&self) -> Vec<Violation> {
        let mut violations = Violations::default();
        match self {
            Self::VirtualNode(spec) => spec.check("spec", &mut violations),
            Self::VirtualRouter(spec) => spec.check("spec", &mut violations),
            Self::Route(spec) => spec.check("spec", &mut violations),
            Self::Mesh(_) | Self::VirtualService(_) => {}
        }
        violations.into_vec()
    }

    /// Everything that the resource `id` with this spec names, its parent first.
    pub fn references(&self, id: &ResourceId) -> Vec<Reference> {
        let mesh = id.mesh_name();
        let parent = id.parent().map(|target| Reference { path: None, target, required: true });
        let mut references: Vec<Reference> = parent.into_iter().collect();
        let mut add = |path: String, target: ResourceId, required: bool| {
            references.push(Reference { path: Some(path), target, required });
        };
        match self {
            Self::Mesh(_) | Self::VirtualRouter(_) => {}
            Self::VirtualNode(spec) => {
                for (index, backend) in spec.backends().enumerate() {
                    let path = format!("spec.backends[{index}].virtualService.virtualServiceName");
                    add(path, ResourceId::virtual_service(mesh, &backend.virtual_service_name), false);
                }
            }
            Self::Route(spec) => {
                if let Some((_, member, action)) = spec.action() {
                    for (index, target) in action.weighted_targets.iter().enumerate() {
                        let path = format!("spec.{member}.action.weightedTargets[{index}].virtualNode");
                        add(path, ResourceId::virtual_node(mesh, &target.virtual_node), true);
                    }
                }
            }
            Self::VirtualService(spec) => match &spec.provider {
                None => {}
                Some(VirtualServiceProvider::VirtualNode(node)) => add(
                    "spec.provider.virtualNode.virtualNodeName".into(),
                    ResourceId::virtual_node(mesh, &node.virtual_node_name),
                    true,
                ),
                Some(VirtualServiceProvider::VirtualRouter(router)) => add(
                    "spec.provider.virtualRouter.virtualRouterName".into(),
                    ResourceId::virtual_router(mesh, &router.virtual_router_name),
                    true,
                ),
            },
        }
        references
    }
}
