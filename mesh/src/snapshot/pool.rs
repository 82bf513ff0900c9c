//! Connection pools: how much an Envoy lets through to a cluster at once (circuit breakers). Pure.
//!
//! As in App Mesh, a pool protects the application behind the listener that has it, so it is the limit of the node's own
//! cluster of that port. A client does not know how many instances a node has, and is not limited
//! (`docs/adr/0033-pools-and-tls.md`).

use envoy_types::pb::envoy::config::cluster::v3::CircuitBreakers;
use envoy_types::pb::envoy::config::cluster::v3::circuit_breakers::Thresholds;
use fleetmesh_model::listener::{
    VirtualNodeConnectionPool, VirtualNodeHttpConnectionPool, VirtualNodeRequestPool,
};
use fleetmesh_model::virtual_gateway::VirtualGatewayConnectionPool;

use super::proto;

/// No limit, as App Mesh spells it.
const UNLIMITED: i64 = 2_147_483_647;

/// What a cluster lets through at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Connections to all of its hosts.
    pub(super) connections: i64,
    /// Requests that wait for a connection.
    pub(super) pending: i64,
    /// Requests under way.
    pub(super) requests: i64,
}

impl Limits {
    /// App Mesh's defaults: none.
    pub(super) const NONE: Self = Self { connections: UNLIMITED, pending: UNLIMITED, requests: UNLIMITED };

    /// The limits of a virtual node's listener.
    pub(super) fn of_listener(pool: Option<&VirtualNodeConnectionPool>) -> Self {
        match pool {
            None => Self::NONE,
            Some(VirtualNodeConnectionPool::Http(http)) => Self::http(http),
            Some(VirtualNodeConnectionPool::Http2(pool) | VirtualNodeConnectionPool::Grpc(pool)) => {
                Self::requests(pool)
            }
            Some(VirtualNodeConnectionPool::Tcp(tcp)) => {
                Self { connections: tcp.max_connections.into(), ..Self::NONE }
            }
        }
    }

    /// The limits of a virtual gateway's listener.
    pub(super) fn of_gateway(pool: Option<&VirtualGatewayConnectionPool>) -> Self {
        match pool {
            None => Self::NONE,
            Some(VirtualGatewayConnectionPool::Http(http)) => Self::http(http),
            Some(VirtualGatewayConnectionPool::Http2(pool) | VirtualGatewayConnectionPool::Grpc(pool)) => {
                Self::requests(pool)
            }
        }
    }

    fn http(pool: &VirtualNodeHttpConnectionPool) -> Self {
        Self {
            connections: pool.max_connections.into(),
            pending: pool.max_pending_requests.map_or(UNLIMITED, i64::from),
            ..Self::NONE
        }
    }

    fn requests(pool: &VirtualNodeRequestPool) -> Self {
        Self { requests: pool.max_requests.into(), ..Self::NONE }
    }

    /// As Envoy takes it. Retries are limited by what they are: requests.
    pub(super) fn circuit_breakers(self) -> CircuitBreakers {
        let thresholds = Thresholds {
            max_connections: proto::number(self.connections),
            max_pending_requests: proto::number(self.pending),
            max_requests: proto::number(self.requests),
            max_retries: proto::number(UNLIMITED),
            ..Thresholds::default()
        };
        CircuitBreakers { thresholds: vec![thresholds], per_host_thresholds: Vec::new() }
    }
}
