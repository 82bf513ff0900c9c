//! How proxies find the instances of a virtual node. Pure data and its rules.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::IpPreference;
use crate::hostname;
use crate::rule::Violations;

/// Service discovery of a virtual node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::schema::union)]
pub enum ServiceDiscovery {
    /// AWS Cloud Map.
    AwsCloudMap(AwsCloudMapServiceDiscovery),
    /// DNS.
    Dns(DnsServiceDiscovery),
}

impl ServiceDiscovery {
    pub(crate) fn check(&self, path: &str, violations: &mut Violations) {
        if let Self::Dns(dns) = self {
            hostname::check(&dns.hostname, &format!("{path}.dns.hostname"), violations);
        }
    }
}

/// Discovery by AWS Cloud Map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsCloudMapServiceDiscovery {
    /// Only instances with all these attributes are used; at most 100 (bound: CEL cost).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub attributes: Option<Vec<AwsCloudMapInstanceAttribute>>,
    /// The IP version to use; the mesh's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_preference: Option<IpPreference>,
    /// The HTTP name of the namespace, 1 to 1024 characters.
    #[schemars(length(min = 1, max = 1024))]
    pub namespace_name: String,
    /// The name of the service, 1 to 1024 characters.
    #[schemars(length(min = 1, max = 1024))]
    pub service_name: String,
}

/// An attribute of a Cloud Map instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsCloudMapInstanceAttribute {
    /// The attribute's name, 1 to 255 printable characters.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[a-zA-Z0-9!-~]+$"))]
    pub key: String,
    /// The attribute's value, 1 to 1024 printable characters.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^([a-zA-Z0-9!-~][ \ta-zA-Z0-9!-~]*){0,1}[a-zA-Z0-9!-~]{0,1}$")
    )]
    pub value: String,
}

/// Discovery by DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsServiceDiscovery {
    /// The name to look up, at most 253 characters (RFC 1035).
    #[schemars(length(min = 1, max = 253), transform = crate::hostname::rules)]
    pub hostname: String,
    /// The IP version to use; the mesh's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_preference: Option<IpPreference>,
    /// What an answer means; LOADBALANCER when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_type: Option<DnsResponseType>,
}

/// What a DNS answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(transform = crate::schema::plain_enum)]
pub enum DnsResponseType {
    /// The addresses are one load balancer: connect to one, keep connections when the answer changes.
    #[serde(rename = "LOADBALANCER")]
    LoadBalancer,
    /// Each address is an instance.
    #[serde(rename = "ENDPOINTS")]
    Endpoints,
}
