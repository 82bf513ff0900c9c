//! Active health checks, which the callers' proxies make. Pure.

use envoy_types::pb::envoy::config::core::v3::HealthCheck;
use envoy_types::pb::envoy::config::core::v3::health_check::{
    GrpcHealthCheck, HealthChecker, HttpHealthCheck, TcpHealthCheck,
};
use envoy_types::pb::envoy::r#type::v3::CodecClientType;
use fleetmesh_model::common::PortProtocol;
use fleetmesh_model::listener::{HealthCheckPolicy, Listener};

use super::proto;

/// Whether Envoy can make the check that `listener` asks for: a grpc check needs an HTTP/2 connection.
fn is_possible(listener: &Listener) -> bool {
    let protocol = listener.port_mapping.protocol;
    listener.health_check.as_ref().is_none_or(|check| can_check(check.protocol, protocol))
}

/// Whether Envoy can make a check by `check` on a port that speaks `protocol`.
pub(super) fn can_check(check: PortProtocol, protocol: PortProtocol) -> bool {
    check != PortProtocol::Grpc || matches!(protocol, PortProtocol::Http2 | PortProtocol::Grpc)
}

/// The checks of a listener; `host` is what http checks send as Host.
pub(super) fn health_checks(listener: &Listener, host: &str) -> Vec<HealthCheck> {
    let possible = is_possible(listener);
    listener.health_check.iter().filter(|_| possible).map(|policy| health_check(policy, host)).collect()
}

fn health_check(policy: &HealthCheckPolicy, host: &str) -> HealthCheck {
    // The port is the listener's own, so the endpoints carry it already.
    let HealthCheckPolicy {
        healthy_threshold,
        interval_millis,
        path,
        port: _,
        protocol,
        timeout_millis,
        unhealthy_threshold,
    } = policy;
    let interval = proto::millis(u64::try_from(*interval_millis).unwrap_or(0));
    HealthCheck {
        timeout: proto::millis(u64::try_from(*timeout_millis).unwrap_or(0)),
        interval,
        // By default Envoy checks a cluster without traffic only once a minute.
        no_traffic_interval: interval,
        healthy_threshold: proto::number((*healthy_threshold).into()),
        unhealthy_threshold: proto::number((*unhealthy_threshold).into()),
        health_checker: Some(match protocol {
            PortProtocol::Http => http(path.as_deref(), host, CodecClientType::Http1),
            PortProtocol::Http2 => http(path.as_deref(), host, CodecClientType::Http2),
            PortProtocol::Grpc => HealthChecker::GrpcHealthCheck(GrpcHealthCheck::default()),
            PortProtocol::Tcp => HealthChecker::TcpHealthCheck(TcpHealthCheck::default()),
        }),
        ..HealthCheck::default()
    }
}

fn http(path: Option<&str>, host: &str, codec: CodecClientType) -> HealthChecker {
    HealthChecker::HttpHealthCheck(HttpHealthCheck {
        host: host.to_owned(),
        path: path.unwrap_or("/").to_owned(),
        codec_client_type: codec.into(),
        ..HttpHealthCheck::default()
    })
}
