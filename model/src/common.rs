//! Shapes that several kinds share: ports, protocols, durations, timeouts, IP preference. Pure data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The protocol of a port (App Mesh `PortProtocol`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum PortProtocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// Any TCP protocol.
    Tcp,
}

impl PortProtocol {
    /// The App Mesh word for the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

impl std::fmt::Display for PortProtocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A port and its protocol (App Mesh `PortMapping`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PortMapping {
    /// The port, 1 to 65535.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The protocol spoken on the port.
    pub protocol: PortProtocol,
}

/// A length of time (App Mesh `Duration`). Zero means "no limit" where App Mesh's timeouts use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Duration {
    /// The unit of `value`; milliseconds when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<DurationUnit>,
    /// The number of units, 0 or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub value: Option<i64>,
}

impl Duration {
    /// The duration in milliseconds; an absent value counts as 0, a product beyond `u64` saturates.
    pub fn as_millis(&self) -> u64 {
        let value = u64::try_from(self.value.unwrap_or(0)).unwrap_or(0);
        match self.unit {
            Some(DurationUnit::S) => value.saturating_mul(1000),
            Some(DurationUnit::Ms) | None => value,
        }
    }
}

/// The unit of a [`Duration`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = crate::schema::plain_enum)]
pub enum DurationUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
}

/// Which addresses a proxy looks up and prefers (App Mesh `IpPreference`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::plain_enum)]
pub enum IpPreference {
    /// IPv6 first, IPv4 when there is none.
    #[serde(rename = "IPv6_PREFERRED")]
    Ipv6Preferred,
    /// IPv4 first, IPv6 when there is none.
    #[serde(rename = "IPv4_PREFERRED")]
    Ipv4Preferred,
    /// IPv4 only.
    #[serde(rename = "IPv4_ONLY")]
    Ipv4Only,
    /// IPv6 only.
    #[serde(rename = "IPv6_ONLY")]
    Ipv6Only,
}

/// Timeouts of HTTP and HTTP/2 requests (App Mesh `HttpTimeout`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpTimeout {
    /// How long a connection may stay idle; 300 s when absent, 0 disables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// How long one request may take; 15 s when absent, 0 disables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_request: Option<Duration>,
}

/// Timeouts of gRPC requests (App Mesh `GrpcTimeout`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcTimeout {
    /// How long a connection may stay idle; 300 s when absent, 0 disables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
    /// How long one request may take; 15 s when absent, 0 disables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_request: Option<Duration>,
}

/// Timeouts of TCP connections (App Mesh `TcpTimeout`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpTimeout {
    /// How long a connection may stay idle; 300 s when absent, 0 disables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Duration>,
}
