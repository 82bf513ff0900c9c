//! Clusters: the local application, the ports of other nodes, and the way through. Pure.
//!
//! Service discovery uses the cluster types LOGICAL_DNS and STRICT_DNS, which Envoy 1.29 (AWS's last App Mesh image)
//! and 1.40 both accept; the extension that replaces them is unknown to the former, and newer proxies get it ([`dns`](super::dns)).

use std::collections::HashMap;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, DnsLookupFamily, EdsClusterConfig, LbPolicy, RefreshRate,
};
use envoy_types::pb::envoy::config::core::v3::ConfigSource;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
    explicit_http_config::ProtocolConfig,
};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use fleetmesh_model::MeshSpec;
use fleetmesh_model::common::{IpPreference, PortProtocol};
use fleetmesh_model::listener::Listener;
use fleetmesh_model::service_discovery::{
    AwsCloudMapServiceDiscovery, DnsResponseType, DnsServiceDiscovery, ServiceDiscovery,
};

use super::assignment;
use super::endpoint::{Endpoint, Target};
use super::health_check;
use super::http_options::HttpWays;
use super::names::{self, Direction};
use super::outlier;
use super::pool::Limits;
use super::proto;
use super::tls::{self, TlsSocket};

/// How long a proxy may take to connect to another node, in milliseconds.
const EGRESS_CONNECT: u64 = 1000;
/// How long a proxy may take to connect to its own application, in milliseconds.
const INGRESS_CONNECT: u64 = 250;
/// How soon a failed look-up is tried again, first and at most, in milliseconds: mesh resources may exist before the
/// services do.
const DNS_RETRY: (u64, u64) = (1000, 5000);
/// How long a new cluster waits for its first endpoints, in milliseconds. Envoy acknowledges no clusters meanwhile, and so
/// gets no listeners and routes: a service that is never discovered may hold up a proxy this long, and no longer.
const FIRST_ENDPOINTS: u64 = 5000;
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The application behind one listener of the node, protected by the listener's connection pool; its HTTP is spoken in these `ways`.
pub(super) fn ingress(mesh: &str, node: &str, listener: &Listener, ways: HttpWays) -> Cluster {
    let mapping = &listener.port_mapping;
    let name = names::cluster(Direction::Ingress, mesh, node, mapping.protocol, mapping.port);
    Cluster {
        connect_timeout: proto::millis(INGRESS_CONNECT),
        cluster_discovery_type: kind(DiscoveryType::Static),
        load_assignment: Some(one_endpoint(&name, "127.0.0.1", mapping.port)),
        circuit_breakers: Some(Limits::of_listener(listener.connection_pool.as_ref()).circuit_breakers()),
        ..base(name, Some(mapping.protocol), ways)
    }
}

/// One port of another node, and the secrets that connections to it need. HTTP is spoken in the `own` ways of the
/// caller, and lets through what the tags of the node do, too.
pub(super) fn egress(mesh: &MeshSpec, own: HttpWays, target: &Target<'_>) -> (Cluster, Vec<Secret>) {
    let (name, Target { endpoint, tls, apart: _ }) = (target.cluster(), target);
    let node = &endpoint.node.record.arn;
    let TlsSocket { socket, secrets } =
        tls::client_socket(*tls, endpoint.protocol(), node, endpoint.discovery);
    let base = base(name, Some(endpoint.protocol()), own.or(endpoint.http()));
    let cluster = match endpoint.discovery {
        ServiceDiscovery::Dns(dns) => by_dns(base, mesh, endpoint, dns),
        ServiceDiscovery::AwsCloudMap(cloud_map) => by_cloud_map(base, endpoint, cloud_map),
    };
    (Cluster { transport_socket: socket, ..cluster }, secrets)
}

#[allow(deprecated, reason = "Envoy 1.29 knows no other way to say how DNS is refreshed")]
fn by_dns(base: Cluster, mesh: &MeshSpec, endpoint: &Endpoint<'_>, dns: &DnsServiceDiscovery) -> Cluster {
    let DnsServiceDiscovery { hostname, ip_preference, response_type } = dns;
    let discovery = match response_type {
        None | Some(DnsResponseType::LoadBalancer) => DiscoveryType::LogicalDns,
        Some(DnsResponseType::Endpoints) => DiscoveryType::StrictDns,
    };
    Cluster {
        connect_timeout: proto::millis(EGRESS_CONNECT),
        cluster_discovery_type: kind(discovery),
        dns_lookup_family: lookup_family((*ip_preference).or_else(|| mesh_preference(mesh))).into(),
        respect_dns_ttl: true,
        dns_failure_refresh_rate: Some(RefreshRate {
            base_interval: proto::millis(DNS_RETRY.0),
            max_interval: proto::millis(DNS_RETRY.1),
        }),
        load_assignment: Some(one_endpoint(&base.name, hostname, endpoint.port())),
        health_checks: health_check::health_checks(endpoint.listener, hostname),
        outlier_detection: endpoint.listener.outlier_detection.as_ref().map(outlier::detection),
        ..base
    }
}

/// Its instances come on the same stream; nothing about the service is in the cluster, so a change of the service, its
/// attributes or its instances changes endpoints only.
fn by_cloud_map(base: Cluster, endpoint: &Endpoint<'_>, cloud_map: &AwsCloudMapServiceDiscovery) -> Cluster {
    let host = format!("{}.{}", cloud_map.service_name, cloud_map.namespace_name);
    let source = ConfigSource { initial_fetch_timeout: proto::millis(FIRST_ENDPOINTS), ..proto::ads() };
    Cluster {
        connect_timeout: proto::millis(EGRESS_CONNECT),
        cluster_discovery_type: kind(DiscoveryType::Eds),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(source),
            ..EdsClusterConfig::default()
        }),
        // Cloud Map is the authority: without this an instance that was deregistered, but is still healthy, would be
        // called until its check fails.
        ignore_health_on_host_removal: true,
        health_checks: health_check::health_checks(endpoint.listener, &host),
        outlier_detection: endpoint.listener.outlier_detection.as_ref().map(outlier::detection),
        ..base
    }
}

/// Wherever the connection was going, in whatever version of HTTP it came.
pub(super) fn passthrough(mesh: &str, ways: HttpWays) -> Cluster {
    Cluster {
        connect_timeout: proto::millis(EGRESS_CONNECT),
        cluster_discovery_type: kind(DiscoveryType::OriginalDst),
        lb_policy: LbPolicy::ClusterProvided.into(),
        ..base(names::passthrough_cluster(mesh), None, ways)
    }
}

/// The mesh's preference of IP versions.
pub(super) fn mesh_preference(mesh: &MeshSpec) -> Option<IpPreference> {
    mesh.service_discovery.as_ref().and_then(|discovery| discovery.ip_preference)
}

/// App Mesh looks up both without saying which it prefers; an IPv4 address is the one that old nodes have.
fn lookup_family(preference: Option<IpPreference>) -> DnsLookupFamily {
    match preference {
        None | Some(IpPreference::Ipv4Preferred) => DnsLookupFamily::V4Preferred,
        Some(IpPreference::Ipv6Preferred) => DnsLookupFamily::Auto,
        Some(IpPreference::Ipv4Only) => DnsLookupFamily::V4Only,
        Some(IpPreference::Ipv6Only) => DnsLookupFamily::V6Only,
    }
}

fn base(name: String, protocol: Option<PortProtocol>, ways: HttpWays) -> Cluster {
    Cluster {
        name,
        circuit_breakers: Some(Limits::NONE.circuit_breakers()),
        typed_extension_protocol_options: protocol_options(protocol, ways),
        ..Cluster::default()
    }
}

fn kind(discovery: DiscoveryType) -> Option<ClusterDiscoveryType> {
    Some(ClusterDiscoveryType::Type(discovery.into()))
}

/// At most one entry, so the map's order cannot show in the encoding.
fn protocol_options(protocol: Option<PortProtocol>, ways: HttpWays) -> HashMap<String, Any> {
    let explicit = |config| {
        UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(config) })
    };
    let options = match protocol {
        Some(PortProtocol::Tcp) => return HashMap::new(),
        Some(PortProtocol::Http) => explicit(ProtocolConfig::HttpProtocolOptions(ways.http1())),
        Some(PortProtocol::Http2 | PortProtocol::Grpc) => {
            explicit(ProtocolConfig::Http2ProtocolOptions(ways.http2()))
        }
        None => UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http_protocol_options: Some(ways.http1()),
            http2_protocol_options: Some(ways.http2()),
            http3_protocol_options: None,
        }),
    };
    let options = HttpProtocolOptions {
        common_http_protocol_options: ways.common(),
        upstream_protocol_options: Some(options),
        ..HttpProtocolOptions::default()
    };
    HashMap::from([(HTTP_OPTIONS.to_owned(), pack_any(options))])
}

fn one_endpoint(cluster: &str, host: &str, port: i32) -> ClusterLoadAssignment {
    assignment::assignment(cluster, [proto::tcp_address(host, proto::clamp(port.into()), false)])
}
