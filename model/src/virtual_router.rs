//! The VirtualRouter spec. Pure data and its rules.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::common::PortMapping;
use crate::rule::{Rule, Violations};
use crate::schema;

const LISTENER_PORTS: Rule = Rule {
    cel: "!has(self.listeners) || self.listeners.all(a, self.listeners.exists_one(b, b.portMapping.port == a.portMapping.port))",
    message: "listeners must have different ports",
};

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

    pub(crate) fn check(&self, path: &str, violations: &mut Violations) {
        for (index, listener) in self.listeners().iter().enumerate() {
            let port = listener.port_mapping.port;
            if self.listeners().iter().take(index).any(|earlier| earlier.port_mapping.port == port) {
                let at = format!("{path}.listeners[{index}].portMapping.port");
                violations.broken(&at, &LISTENER_PORTS, format!("{port} twice"));
            }
        }
    }
}

/// A listener of a virtual router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualRouterListener {
    /// The port and protocol.
    pub port_mapping: PortMapping,
}
