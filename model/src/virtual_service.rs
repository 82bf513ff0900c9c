//! The VirtualService spec. Pure data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind_spec::KindSpec;
use crate::mesh_name::MeshName;
use crate::reference::NamedResources;
use crate::resource::ResourceId;
use crate::rule::Violations;
use crate::service_discovery::ServiceDiscovery;

/// A virtual service: a name that callers use, and what provides it (App Mesh `VirtualServiceSpec`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualServiceSpec {
    /// What provides the service; absent, it routes nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<VirtualServiceProvider>,
}

impl KindSpec for VirtualServiceSpec {
    fn check(&self, _path: &str, _violations: &mut Violations) {}

    fn names(&self, names: &mut NamedResources<'_>) {
        let Some(provider) = &self.provider else { return };
        let path = match provider {
            VirtualServiceProvider::VirtualNode(_) => "spec.provider.virtualNode.virtualNodeName",
            VirtualServiceProvider::VirtualRouter(_) => "spec.provider.virtualRouter.virtualRouterName",
        };
        names.add(path.into(), provider.resource(names.mesh()));
    }

    fn fill_in(&mut self) {}

    fn service_discovery(&self) -> Option<&ServiceDiscovery> {
        None
    }

    fn without(&self, _gone: &dyn Fn(&str) -> bool) -> Option<Self> {
        None
    }
}

/// What provides a virtual service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum VirtualServiceProvider {
    /// A virtual node, which gets all the traffic.
    VirtualNode(VirtualNodeServiceProvider),
    /// A virtual router, whose routes split the traffic.
    VirtualRouter(VirtualRouterServiceProvider),
}

impl VirtualServiceProvider {
    /// The virtual node or router, which is in the service's own mesh.
    pub fn resource(&self, mesh: &MeshName) -> ResourceId {
        match self {
            Self::VirtualNode(node) => ResourceId::virtual_node(mesh, &node.virtual_node_name),
            Self::VirtualRouter(router) => ResourceId::virtual_router(mesh, &router.virtual_router_name),
        }
    }
}

/// A virtual node that provides a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualNodeServiceProvider {
    /// The name of the virtual node, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub virtual_node_name: String,
}

/// A virtual router that provides a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualRouterServiceProvider {
    /// The name of the virtual router, 1 to 255 characters.
    #[schemars(length(min = 1, max = 255))]
    pub virtual_router_name: String,
}
