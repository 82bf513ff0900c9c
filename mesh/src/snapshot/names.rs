//! Names of Envoy resources, as App Mesh's own control plane gave them: dashboards and scripts match on these. Pure.

use fleetmesh_api::ports;
use fleetmesh_model::common::PortProtocol;

/// The listener that inbound connections are redirected to.
pub const INGRESS_LISTENER: &str = "lds_ingress_0.0.0.0_15000";
/// The listener that outbound connections are redirected to.
pub const EGRESS_LISTENER: &str = "lds_egress_0.0.0.0_15001";
/// The port of [`INGRESS_LISTENER`].
pub const INGRESS_PORT: u32 = ports::INGRESS as u32;
/// The port of [`EGRESS_LISTENER`].
pub const EGRESS_PORT: u32 = ports::EGRESS as u32;

/// What the names of the listeners of virtual gateways begin with; the port follows.
pub const GATEWAY_LISTENER: &str = "lds_ingress_0.0.0.0_";
/// How many hexadecimal digits distinguish the secrets of a kind.
pub const SECRET_DIGITS: usize = 16;
/// What the name of a certificate from files begins with.
pub const CERTIFICATE_SECRET: &str = "file_certificate_";
/// What the name of trusted authorities from a file begins with.
pub const TRUST_SECRET: &str = "file_trust_";
/// What the name of trusted authorities of ACM PCA begins with.
pub const ACM_TRUST_SECRET: &str = "acm_trust_";

/// What the names of AWS's own endpoints end in, as App Mesh's egress filter had it. They pass on port 443 whatever the filter says.
pub const AWS_DOMAINS: [&str; 1] = ["amazonaws.com"];
/// The same for the rest of AWS, in each of its partitions: with [`AWS_DOMAINS`] every `dnsSuffix` and `dualStackDnsSuffix` of botocore's
/// `partitions.json`. They have a chain of their own: Envoy ends the connections of a chain that changes, and those of proxies from
/// before these passed stay.
pub const MORE_AWS_DOMAINS: [&str; 13] = [
    "api.aws",
    "amazonaws.com.cn",
    "api.amazonwebservices.com.cn",
    "amazonaws.eu",
    "api.amazonwebservices.eu",
    "c2s.ic.gov",
    "api.aws.ic.gov",
    "sc2s.sgov.gov",
    "api.aws.scloud",
    "cloud.adc-e.uk",
    "api.cloud-aws.adc-e.uk",
    "csp.hci.ic.gov",
    "api.aws.hci.ic.gov",
];

/// The listener on a port of a virtual gateway.
pub fn gateway_listener(port: i32) -> String {
    format!("{GATEWAY_LISTENER}{port}")
}

/// Which way traffic goes, seen from the proxy's application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the application.
    Ingress,
    /// From the application.
    Egress,
}

impl Direction {
    /// The word that names carry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// The cluster of one port of a virtual node. Unambiguous within a mesh, whatever a node is called: the last two parts
/// never contain an underscore.
pub fn cluster(direction: Direction, mesh: &str, node: &str, protocol: PortProtocol, port: i32) -> String {
    format!("cds_{}_{mesh}_{node}_{protocol}_{port}", direction.as_str())
}

/// The name of one of several clusters of one port of a virtual node, which differ in how connections are made: `cluster` is
/// the name that the only one would have, `mark` distinguishes them. No other name has a tilde in its last part.
pub fn cluster_apart(cluster: &str, mark: &str) -> String {
    format!("{cluster}~{mark}")
}

/// The secret of a certificate from files; `hash` has [`SECRET_DIGITS`] digits.
pub fn certificate_secret(hash: &str) -> String {
    format!("{CERTIFICATE_SECRET}{hash}")
}

/// The secret of the authorities in a file; `hash` has [`SECRET_DIGITS`] digits.
pub fn trust_secret(hash: &str) -> String {
    format!("{TRUST_SECRET}{hash}")
}

/// The secret of authorities of ACM PCA; `hash` has [`SECRET_DIGITS`] digits.
pub fn acm_trust_secret(hash: &str) -> String {
    format!("{ACM_TRUST_SECRET}{hash}")
}

/// The cluster that passes connections through to where they were going.
pub fn passthrough_cluster(mesh: &str) -> String {
    format!("cds_egress_{mesh}_passthrough")
}

/// The route configuration of one port.
pub fn route(direction: Direction, protocol: PortProtocol, port: i32) -> String {
    format!("rds_{}_{protocol}_{port}", direction.as_str())
}
