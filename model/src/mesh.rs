//! The Mesh spec. Pure data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::IpPreference;
use crate::kind_spec::KindSpec;
use crate::reference::NamedResources;
use crate::rule::Violations;
use crate::service_discovery::ServiceDiscovery;

/// A service mesh (App Mesh `MeshSpec`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshSpec {
    /// Where proxies may send traffic that no backend covers; DROP_ALL when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_filter: Option<EgressFilter>,
    /// Defaults of service discovery for the whole mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_discovery: Option<MeshServiceDiscovery>,
}

impl KindSpec for MeshSpec {
    fn check(&self, _path: &str, _violations: &mut Violations) {}

    fn names(&self, _names: &mut NamedResources<'_>) {}

    fn fill_in(&mut self) {}

    fn service_discovery(&self) -> Option<&ServiceDiscovery> {
        None
    }

    fn without(&self, _gone: &dyn Fn(&str) -> bool) -> Option<Self> {
        None
    }
}

/// The egress filter of a mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EgressFilter {
    /// The kind of filter.
    #[serde(rename = "type")]
    pub kind: EgressFilterType,
}

/// What a proxy does with traffic to a destination that is not a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum EgressFilterType {
    /// Pass it through.
    AllowAll,
    /// Drop it, except for AWS's own endpoints (`*.amazonaws.com:443`).
    DropAll,
}

/// Mesh-wide defaults of service discovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeshServiceDiscovery {
    /// The IP version that proxies use unless a node says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_preference: Option<IpPreference>,
}
