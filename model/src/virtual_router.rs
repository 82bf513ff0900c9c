//! The VirtualRouter spec. Pure data and its rules.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::common::PortMapping;
use crate::kind_spec::KindSpec;
use crate::reference::NamedResources;
use crate::rule::{LISTENER_PORTS, ListenerPorts, Violations};
use crate::schema;
use crate::service_discovery::ServiceDiscovery;

fn rules(schema: &mut Schema) {
    schema::add_rule(schema, &LISTENER_PORTS);
}

/// A virtual router: the routes of one or more virtual services (App Mesh `VirtualRouterSpec`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
pub struct VirtualRouterSpec {
    /// The ports callers use; at most 20 (bound: CEL cost).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub listeners: Option<Vec<VirtualRouterListener>>,
}

impl VirtualRouterSpec {
    /// The listeners, none when absent.
    pub fn listeners(&self) -> &[VirtualRouterListener] {
        self.listeners.as_deref().unwrap_or_default()
    }
}

impl KindSpec for VirtualRouterSpec {
    fn check(&self, path: &str, violations: &mut Violations) {
        let mut ports = ListenerPorts::default();
        for (index, listener) in self.listeners().iter().enumerate() {
            ports.check(listener.port_mapping.port, &format!("{path}.listeners[{index}]"), violations);
        }
    }

    fn names(&self, _names: &mut NamedResources<'_>) {}

    fn fill_in(&mut self) {}

    fn service_discovery(&self) -> Option<&ServiceDiscovery> {
        None
    }

    fn without(&self, _gone: &dyn Fn(&str) -> bool) -> Option<Self> {
        None
    }
}

/// A listener of a virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualRouterListener {
    /// The port and protocol.
    pub port_mapping: PortMapping,
}
