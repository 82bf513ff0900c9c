//! App Mesh's timeouts and their defaults. Pure.

use fleetmesh_model::RouteSpec;
use fleetmesh_model::common::{Duration, GrpcTimeout, HttpTimeout, TcpTimeout};
use fleetmesh_model::listener::ListenerTimeout;
use fleetmesh_model::normalize::{IDLE_MILLIS as IDLE, PER_REQUEST_MILLIS as PER_REQUEST};

/// Timeouts in milliseconds; 0 disables, in App Mesh as in Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeouts {
    pub(super) per_request: u64,
    pub(super) idle: u64,
}

impl Timeouts {
    /// App Mesh's defaults.
    pub(super) const DEFAULT: Self = Self { per_request: PER_REQUEST, idle: IDLE };

    /// The timeouts of a route.
    pub(super) fn of_route(route: &RouteSpec) -> Self {
        if let Some(grpc) = &route.grpc_route {
            grpc.timeout.as_ref().map_or(Self::DEFAULT, Self::grpc)
        } else if let Some(http) = route.http2_route.as_ref().or(route.http_route.as_ref()) {
            http.timeout.as_ref().map_or(Self::DEFAULT, Self::http)
        } else {
            let timeout = route.tcp_route.as_ref().and_then(|tcp| tcp.timeout.as_ref());
            timeout.map_or(Self::DEFAULT, Self::tcp)
        }
    }

    /// The timeouts of a listener.
    pub(super) fn of_listener(timeout: Option<&ListenerTimeout>) -> Self {
        match timeout {
            None => Self::DEFAULT,
            Some(ListenerTimeout::Grpc(timeout)) => Self::grpc(timeout),
            Some(ListenerTimeout::Http(timeout) | ListenerTimeout::Http2(timeout)) => Self::http(timeout),
            Some(ListenerTimeout::Tcp(timeout)) => Self::tcp(timeout),
        }
    }

    fn http(HttpTimeout { idle, per_request }: &HttpTimeout) -> Self {
        Self { per_request: or(per_request.as_ref(), PER_REQUEST), idle: or(idle.as_ref(), IDLE) }
    }

    fn grpc(GrpcTimeout { idle, per_request }: &GrpcTimeout) -> Self {
        Self { per_request: or(per_request.as_ref(), PER_REQUEST), idle: or(idle.as_ref(), IDLE) }
    }

    fn tcp(TcpTimeout { idle }: &TcpTimeout) -> Self {
        Self { per_request: PER_REQUEST, idle: or(idle.as_ref(), IDLE) }
    }
}

fn or(given: Option<&Duration>, default: u64) -> u64 {
    given.map_or(default, Duration::as_millis)
}
