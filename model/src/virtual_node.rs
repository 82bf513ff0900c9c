//! The VirtualNode spec. Pure data and its rules.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::header;
use crate::kind_spec::KindSpec;
use crate::listener::Listener;
use crate::logging::Logging;
use crate::reference::NamedResources;
use crate::resource::ResourceId;
use crate::rule::{LISTENER_PORTS, ListenerPorts, Rule, Violations};
use crate::schema;
use crate::service_discovery::ServiceDiscovery;
use crate::tls::ClientPolicy;

const DISCOVERY_NEEDED: Rule = Rule {
    cel: "!has(self.listeners) || self.listeners.size() == 0 || has(self.serviceDiscovery)",
    message: "serviceDiscovery must be set when there are listeners",
};

fn rules(schema: &mut Schema) {
    for rule in [&DISCOVERY_NEEDED, &LISTENER_PORTS] {
        schema::add_rule(schema, rule);
    }
}

/// A virtual node: instances of one version of one service (App Mesh `VirtualNodeSpec`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
pub struct VirtualNodeSpec {
    /// Defaults for all backends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_defaults: Option<BackendDefaults>,
    /// The virtual services that the node calls; at most 50 (App Mesh's quota). They need not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub backends: Option<Vec<Backend>>,
    /// The ports the application listens on; at most 20 (bound: CEL cost).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub listeners: Option<Vec<Listener>>,
    /// The access log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// How callers find the instances; needed when there are listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_discovery: Option<ServiceDiscovery>,
}

impl VirtualNodeSpec {
    /// The listeners, none when absent.
    pub fn listeners(&self) -> &[Listener] {
        self.listeners.as_deref().unwrap_or_default()
    }

    /// The virtual services named as backends.
    pub fn backends(&self) -> impl Iterator<Item = &VirtualServiceBackend> {
        self.backends.as_deref().unwrap_or_default().iter().map(|Backend::VirtualService(backend)| backend)
    }

    /// The spec without the backends whose names `gone` picks; a list that is then empty is as one that was never there.
    pub fn without_backends(mut self, gone: impl Fn(&str) -> bool) -> Self {
        if let Some(backends) = &mut self.backends {
            backends.retain(|Backend::VirtualService(backend)| !gone(&backend.virtual_service_name));
        }
        self.backends = self.backends.filter(|backends| !backends.is_empty());
        self
    }
}

impl KindSpec for VirtualNodeSpec {
    fn check(&self, path: &str, violations: &mut Violations) {
        let listeners = self.listeners();
        if !listeners.is_empty() && self.service_discovery.is_none() {
            violations.broken(&format!("{path}.serviceDiscovery"), &DISCOVERY_NEEDED, "none");
        }
        if let Some(discovery) = &self.service_discovery {
            discovery.check(&format!("{path}.serviceDiscovery"), violations);
        }
        if let Some(log) = self.logging.as_ref().and_then(|logging| logging.access_log.as_ref()) {
            log.check(&format!("{path}.logging.accessLog"), violations);
        }
        for (index, backend) in self.backends().enumerate() {
            let at = format!("{path}.backends[{index}].virtualService.virtualServiceName");
            header::check_plain(&backend.virtual_service_name, &at, violations);
        }
        let mut ports = ListenerPorts::default();
        for (index, listener) in listeners.iter().enumerate() {
            let at = format!("{path}.listeners[{index}]");
            ports.check(listener.port_mapping.port, &at, violations);
            listener.check(&at, violations);
        }
    }

    fn names(&self, names: &mut NamedResources<'_>) {
        for (index, backend) in self.backends().enumerate() {
            let path = format!("spec.backends[{index}].virtualService.virtualServiceName");
            names.add(path, ResourceId::virtual_service(names.mesh(), &backend.virtual_service_name));
        }
    }

    fn fill_in(&mut self) {
        for listener in self.listeners.iter_mut().flatten() {
            let port = listener.port_mapping.port;
            if let Some(check) = &mut listener.health_check {
                check.port.get_or_insert(port);
            }
        }
    }

    fn service_discovery(&self) -> Option<&ServiceDiscovery> {
        self.service_discovery.as_ref()
    }

    fn without(&self, gone: &dyn Fn(&str) -> bool) -> Option<Self> {
        Some(self.clone().without_backends(gone))
    }
}

/// Defaults for all backends of a node, or for all services that a gateway leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendDefaults {
    /// How the proxies connect to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_policy: Option<ClientPolicy>,
}

/// Something a node calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum Backend {
    /// A virtual service.
    VirtualService(VirtualServiceBackend),
}

/// A virtual service that a node calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualServiceBackend {
    /// How the node connects to this backend; the defaults when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_policy: Option<ClientPolicy>,
    /// The name of the virtual service, at most 255 characters.
    #[schemars(length(min = 1, max = 255), transform = header::plain_rules)]
    pub virtual_service_name: String,
}
