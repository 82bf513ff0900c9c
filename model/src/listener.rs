//! Listeners of virtual nodes: port, health check, timeouts, connection pool, outlier detection, TLS. Pure data and
//! the rules between its members.

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::common::{Duration, GrpcTimeout, HttpTimeout, PortMapping, PortProtocol, TcpTimeout};
use crate::header;
use crate::rule::{Rule, Violations};
use crate::schema;
use crate::tls::ListenerTls;

/// Of the listeners of virtual nodes and of virtual gateways.
pub(crate) const HEALTH_CHECK_PORT: Rule = Rule {
    cel: "!has(self.healthCheck) || !has(self.healthCheck.port) || self.healthCheck.port == self.portMapping.port",
    message: "healthCheck.port must equal portMapping.port",
};
const POOL_PROTOCOL: Rule = Rule {
    cel: "!has(self.connectionPool) || (self.portMapping.protocol == 'http' && has(self.connectionPool.http)) || (self.portMapping.protocol == 'http2' && has(self.connectionPool.http2)) || (self.portMapping.protocol == 'grpc' && has(self.connectionPool.grpc)) || (self.portMapping.protocol == 'tcp' && has(self.connectionPool.tcp))",
    message: "connectionPool must be of the protocol of portMapping.protocol",
};
const TIMEOUT_PROTOCOL: Rule = Rule {
    cel: "!has(self.timeout) || (self.portMapping.protocol == 'http' && has(self.timeout.http)) || (self.portMapping.protocol == 'http2' && has(self.timeout.http2)) || (self.portMapping.protocol == 'grpc' && has(self.timeout.grpc)) || (self.portMapping.protocol == 'tcp' && has(self.timeout.tcp))",
    message: "timeout must be of the protocol of portMapping.protocol",
};
const HEALTH_CHECK_PATH: Rule = Rule {
    cel: "!(self.protocol in ['http', 'http2']) || (has(self.path) && self.path.startsWith('/'))",
    message: "path must be set and begin with / for an http or http2 health check",
};

fn listener_rules(schema: &mut Schema) {
    for rule in [&HEALTH_CHECK_PORT, &POOL_PROTOCOL, &TIMEOUT_PROTOCOL] {
        schema::add_rule(schema, rule);
    }
}

fn health_check_rules(schema: &mut Schema) {
    schema::add_rule(schema, &HEALTH_CHECK_PATH);
}

/// A listener of a virtual node (App Mesh `Listener`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = listener_rules)]
pub struct Listener {
    /// Limits on connections and requests to the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<VirtualNodeConnectionPool>,
    /// How callers check the node's health.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheckPolicy>,
    /// When callers stop using a failing instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// The port and protocol of the application.
    pub port_mapping: PortMapping,
    /// Timeouts of requests to the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<ListenerTimeout>,
    /// TLS towards the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
}

impl Listener {
    pub(crate) fn check(&self, path: &str, violations: &mut Violations) {
        let protocol = self.port_mapping.protocol;
        if let Some(pool) = &self.connection_pool
            && pool.protocol() != protocol
        {
            let found = format!("{} for {protocol}", pool.protocol());
            violations.broken(&format!("{path}.connectionPool"), &POOL_PROTOCOL, found);
        }
        if let Some(timeout) = &self.timeout
            && timeout.protocol() != protocol
        {
            let found = format!("{} for {protocol}", timeout.protocol());
            violations.broken(&format!("{path}.timeout"), &TIMEOUT_PROTOCOL, found);
        }
        let Some(check) = &self.health_check else { return };
        check_health_port(check.port, self.port_mapping.port, path, violations);
        let needs_path = matches!(check.protocol, PortProtocol::Http | PortProtocol::Http2);
        let target = check.path.as_deref().unwrap_or("");
        if needs_path && !target.starts_with('/') {
            violations.broken(&format!("{path}.healthCheck.path"), &HEALTH_CHECK_PATH, format!("{target:?}"));
        }
        header::check_plain(target, &format!("{path}.healthCheck.path"), violations);
    }
}

/// Checks the port of a health check of the listener on `port`, which stands at `path`.
pub(crate) fn check_health_port(checked: Option<i32>, port: i32, path: &str, violations: &mut Violations) {
    if let Some(checked) = checked.filter(|checked| *checked != port) {
        let found = format!("{checked} and {port}");
        violations.broken(&format!("{path}.healthCheck.port"), &HEALTH_CHECK_PORT, found);
    }
}

/// A health check (App Mesh `HealthCheckPolicy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = health_check_rules)]
pub struct HealthCheckPolicy {
    /// Successes in a row that make an instance healthy, 2 to 10.
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
    pub protocol: PortProtocol,
    /// Milliseconds to wait for an answer, 2000 to 60000.
    #[schemars(range(min = 2000, max = 60000))]
    pub timeout_millis: i64,
    /// Failures in a row that make an instance unhealthy, 2 to 10.
    #[schemars(range(min = 2, max = 10))]
    pub unhealthy_threshold: i32,
}

/// When callers stop using an instance that fails (App Mesh `OutlierDetection`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutlierDetection {
    /// How long an instance is left out the first time.
    pub base_ejection_duration: Duration,
    /// The time between sweeps.
    pub interval: Duration,
    /// The greatest share of instances left out, in percent, 0 to 100.
    #[schemars(range(min = 0, max = 100))]
    pub max_ejection_percent: i32,
    /// Consecutive 5xx answers that leave an instance out, 1 or more.
    #[schemars(range(min = 1))]
    pub max_server_errors: i64,
}

/// Timeouts of a listener, of its protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum ListenerTimeout {
    /// For a grpc listener.
    Grpc(GrpcTimeout),
    /// For an http listener.
    Http(HttpTimeout),
    /// For an http2 listener.
    Http2(HttpTimeout),
    /// For a tcp listener.
    Tcp(TcpTimeout),
}

impl ListenerTimeout {
    /// The protocol the timeouts are for.
    pub fn protocol(&self) -> PortProtocol {
        match self {
            Self::Grpc(_) => PortProtocol::Grpc,
            Self::Http(_) => PortProtocol::Http,
            Self::Http2(_) => PortProtocol::Http2,
            Self::Tcp(_) => PortProtocol::Tcp,
        }
    }
}

/// Limits of a listener, of its protocol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum VirtualNodeConnectionPool {
    /// For a grpc listener.
    Grpc(VirtualNodeRequestPool),
    /// For an http listener.
    Http(VirtualNodeHttpConnectionPool),
    /// For an http2 listener.
    Http2(VirtualNodeRequestPool),
    /// For a tcp listener.
    Tcp(VirtualNodeTcpConnectionPool),
}

impl VirtualNodeConnectionPool {
    /// The protocol the limits are for.
    pub fn protocol(&self) -> PortProtocol {
        match self {
            Self::Grpc(_) => PortProtocol::Grpc,
            Self::Http(_) => PortProtocol::Http,
            Self::Http2(_) => PortProtocol::Http2,
            Self::Tcp(_) => PortProtocol::Tcp,
        }
    }
}

/// Limits of a grpc or http2 listener (App Mesh `VirtualNodeGrpcConnectionPool`, `VirtualNodeHttp2ConnectionPool`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualNodeRequestPool {
    /// Requests under way at once, 1 or more.
    #[schemars(range(min = 1))]
    pub max_requests: i32,
}

/// Limits of an http listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualNodeHttpConnectionPool {
    /// Connections at once, 1 or more.
    #[schemars(range(min = 1))]
    pub max_connections: i32,
    /// Requests that may wait for a connection, 1 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_pending_requests: Option<i32>,
}

/// Limits of a tcp listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualNodeTcpConnectionPool {
    /// Connections at once, 1 or more.
    #[schemars(range(min = 1))]
    pub max_connections: i32,
}
