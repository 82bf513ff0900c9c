//! What a listener of a virtual gateway limits, checks and demands. Pure.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use fleetmesh_model::common::{PortMapping, PortProtocol};
use fleetmesh_model::listener::{HealthCheckPolicy, Listener};
use fleetmesh_model::service_discovery::{DnsServiceDiscovery, ServiceDiscovery};
use fleetmesh_model::virtual_gateway::{VirtualGatewayHealthCheckPolicy, VirtualGatewayListener};

use super::http_options::HttpWays;
use super::pool::Limits;
use super::tls::{self, ClientTls, ServerTls};
use super::{cluster, health_check};
use crate::form::Form;
use crate::http_tags::HttpTags;

/// Limits a cluster that requests leave the gateway by to what the gateway's listeners let through. With several listeners the
/// greatest limit holds: requests of each may go there.
pub(super) fn limit(cluster: &mut Cluster, listeners: &[VirtualGatewayListener]) {
    let pools = listeners.iter().map(|listener| Limits::of_gateway(listener.connection_pool.as_ref()));
    let limits = pools.reduce(|a, b| Limits {
        connections: a.connections.max(b.connections),
        pending: a.pending.max(b.pending),
        requests: a.requests.max(b.requests),
    });
    cluster.circuit_breakers = Some(limits.unwrap_or(Limits::NONE).circuit_breakers());
}

/// The proxy's own port as a cluster with the listener's health check; `None` without one that Envoy can make. Where the
/// listener asks for certificates of clients there is none to show.
pub(super) fn self_check(
    mesh: &str,
    gateway: &str,
    listener: &VirtualGatewayListener,
    form: Form,
) -> Option<Cluster> {
    let VirtualGatewayHealthCheckPolicy {
        healthy_threshold,
        interval_millis,
        path,
        port,
        protocol,
        timeout_millis,
        unhealthy_threshold,
    } = listener.health_check.as_ref()?;
    let policy = HealthCheckPolicy {
        healthy_threshold: *healthy_threshold,
        interval_millis: *interval_millis,
        path: path.clone(),
        port: *port,
        protocol: (*protocol).into(),
        timeout_millis: *timeout_millis,
        unhealthy_threshold: *unhealthy_threshold,
    };
    let own = Listener {
        connection_pool: None,
        health_check: Some(policy),
        outlier_detection: None,
        port_mapping: PortMapping {
            port: listener.port_mapping.port,
            protocol: PortProtocol::from(listener.port_mapping.protocol),
        },
        timeout: None,
        tls: None,
    };
    let socket = match ServerTls::of(listener.tls.as_ref()) {
        ServerTls::Plaintext | ServerTls::Permissive(_) => None,
        ServerTls::Strict(tls) if tls.validation.is_none() => {
            let hostname = gateway.to_owned();
            let own = DnsServiceDiscovery { hostname, ip_preference: None, response_type: None };
            let protocol = listener.port_mapping.protocol.into();
            // Nobody is verified, so no ARN is compared.
            tls::client_socket(ClientTls::Unverified, protocol, "", &ServiceDiscovery::Dns(own)).socket
        }
        ServerTls::Strict(_) | ServerTls::Closed => return None,
    };
    let health_checks = health_check::health_checks(&own, gateway);
    let ways = HttpWays { form, tags: HttpTags::default() };
    let ingress = cluster::ingress(mesh, gateway, &own, ways);
    let cluster = Cluster { health_checks, transport_socket: socket, ..ingress };
    (!cluster.health_checks.is_empty()).then_some(cluster)
}
