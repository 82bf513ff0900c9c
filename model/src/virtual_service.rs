//! The VirtualService spec. Pure data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A virtual service: a name that callers use, and what provides it (App Mesh `VirtualServiceSpec`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualServiceSpec {
    /// What provides the service; absent, it routes nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<VirtualServiceProvider>,
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
