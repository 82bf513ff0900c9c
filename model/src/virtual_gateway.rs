//! The VirtualGateway spec. Pure data and its rules.

use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::common::PortProtocol;
use crate::header;
use crate::kind_spec::KindSpec;
use crate::listener::{
    HEALTH_CHECK_PORT, VirtualNodeHttpConnectionPool, VirtualNodeRequestPool, check_health_port,
};
use crate::logging::Logging;
use crate::reference::NamedResources;
use crate::rule::{LISTENER_PORTS, ListenerPorts, Rule, Violations};
use crate::schema;
use crate::service_discovery::ServiceDiscovery;
use crate::tls::ListenerTls;
use crate::virtual_node::BackendDefaults;

const POOL_PROTOCOL: Rule = Rule {
    cel: "!has(self.connectionPool) || (self.portMapping.protocol == 'http' && has(self.connectionPool.http)) || (self.portMapping.protocol == 'http2' && has(self.connectionPool.http2)) || (self.portMapping.protocol == 'grpc' && has(self.connectionPool.grpc))",
    message: "connectionPool must be of the protocol of portMapping.protocol",
};

fn rules(schema: &mut Schema) {
    schema::add_rule(schema, &LISTENER_PORTS);
}

fn listener_rules(schema: &mut Schema) {
    for rule in [&HEALTH_CHECK_PORT, &POOL_PROTOCOL] {
        schema::add_rule(schema, rule);
    }
}

/// A virtual gateway: proxies that take requests from outside the mesh into it (App Mesh `VirtualGatewaySpec`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = rules)]
pub struct VirtualGatewaySpec {
    /// Defaults for all services that the gateway leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_defaults: Option<BackendDefaults>,
    /// The ports that the proxies listen on, at most 20 (bound: CEL cost).
    #[schemars(length(max = 20))]
    pub listeners: Vec<VirtualGatewayListener>,
    /// The access log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
}

impl KindSpec for VirtualGatewaySpec {
    fn check(&self, path: &str, violations: &mut Violations) {
        let mut ports = ListenerPorts::default();
        for (index, listener) in self.listeners.iter().enumerate() {
            let at = format!("{path}.listeners[{index}]");
            ports.check(listener.port_mapping.port, &at, violations);
            listener.check(&at, violations);
        }
        if let Some(log) = self.logging.as_ref().and_then(|logging| logging.access_log.as_ref()) {
            log.check(&format!("{path}.logging.accessLog"), violations);
        }
    }

    fn names(&self, _names: &mut NamedResources<'_>) {}

    fn fill_in(&mut self) {
        for listener in &mut self.listeners {
            let port = listener.port_mapping.port;
            if let Some(check) = &mut listener.health_check {
                check.port.get_or_insert(port);
            }
        }
    }

    fn service_discovery(&self) -> Option<&ServiceDiscovery> {
        None
    }

    fn without(&self, _gone: &dyn Fn(&str) -> bool) -> Option<Self> {
        None
    }
}

/// A listener of a virtual gateway (App Mesh `VirtualGatewayListener`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = listener_rules)]
pub struct VirtualGatewayListener {
    /// Limits on what comes in by the listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<VirtualGatewayConnectionPool>,
    /// How the health of the gateway is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<VirtualGatewayHealthCheckPolicy>,
    /// The port and protocol.
    pub port_mapping: VirtualGatewayPortMapping,
    /// TLS towards the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
}

impl VirtualGatewayListener {
    fn check(&self, path: &str, violations: &mut Violations) {
        let VirtualGatewayPortMapping { port, protocol } = self.port_mapping;
        if let Some(pool) = &self.connection_pool
            && pool.protocol() != protocol
        {
            let found = format!("{} for {protocol}", pool.protocol());
            violations.broken(&format!("{path}.connectionPool"), &POOL_PROTOCOL, found);
        }
        let checked = self.health_check.as_ref().and_then(|check| check.port);
        check_health_port(checked, port, path, violations);
        if let Some(target) = self.health_check.as_ref().and_then(|check| check.path.as_ref()) {
            header::check_plain(target, &format!("{path}.healthCheck.path"), violations);
        }
    }
}

/// The protocol of a port of a virtual gateway (App Mesh `VirtualGatewayPortProtocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum VirtualGatewayPortProtocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
}

impl From<VirtualGatewayPortProtocol> for PortProtocol {
    fn from(protocol: VirtualGatewayPortProtocol) -> Self {
        match protocol {
            VirtualGatewayPortProtocol::Http => Self::Http,
            VirtualGatewayPortProtocol::Http2 => Self::Http2,
            VirtualGatewayPortProtocol::Grpc => Self::Grpc,
        }
    }
}

impl fmt::Display for VirtualGatewayPortProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PortProtocol::from(*self).as_str())
    }
}

/// A port of a virtual gateway and its protocol (App Mesh `VirtualGatewayPortMapping`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualGatewayPortMapping {
    /// The port, 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The protocol spoken on the port.
    pub protocol: VirtualGatewayPortProtocol,
}

/// A health check of a virtual gateway (App Mesh `VirtualGatewayHealthCheckPolicy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualGatewayHealthCheckPolicy {
    /// Successes in a row that make the gateway healthy, 2 to 10.
    #[schemars(range(min = 2, max = 10))]
    pub healthy_threshold: i32,
    /// Milliseconds between checks, 5000 to 300000.
    #[schemars(range(min = 5000, max = 300_000))]
    pub interval_millis: i64,
    /// The path asked for by http and http2 checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024), transform = header::plain_rules)]
    pub path: Option<String>,
    /// The port, 1 to 65535; the listener's own when absent, and it must equal it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The protocol of the check.
    pub protocol: VirtualGatewayPortProtocol,
    /// Milliseconds to wait for an answer, 2000 to 60000.
    #[schemars(range(min = 2000, max = 60000))]
    pub timeout_millis: i64,
    /// Failures in a row that make the gateway unhealthy, 2 to 10.
    #[schemars(range(min = 2, max = 10))]
    pub unhealthy_threshold: i32,
}

/// Limits of a virtual gateway's listener, of its protocol (App Mesh `VirtualGatewayConnectionPool`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum VirtualGatewayConnectionPool {
    /// For a grpc listener.
    Grpc(VirtualNodeRequestPool),
    /// For an http listener.
    Http(VirtualNodeHttpConnectionPool),
    /// For an http2 listener.
    Http2(VirtualNodeRequestPool),
}

impl VirtualGatewayConnectionPool {
    /// The protocol the limits are for.
    pub fn protocol(&self) -> VirtualGatewayPortProtocol {
        match self {
            Self::Grpc(_) => VirtualGatewayPortProtocol::Grpc,
            Self::Http(_) => VirtualGatewayPortProtocol::Http,
            Self::Http2(_) => VirtualGatewayPortProtocol::Http2,
        }
    }
}
