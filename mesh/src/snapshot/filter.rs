//! Network filters: HTTP connection managers whose routes come by RDS, TCP proxies, and the one that hangs up. Pure.

use envoy_types::pb::envoy::config::accesslog::v3::AccessLog;
use envoy_types::pb::envoy::config::listener::v3::{Filter, filter};
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::direct_response::v3::Config as DirectResponse;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    CodecType, RouteSpecifier, ServerHeaderTransformation, UpgradeConfig,
};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter, Rds, http_filter,
};
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::weighted_cluster::ClusterWeight;
use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3::tcp_proxy::{
    ClusterSpecifier, WeightedCluster,
};
use envoy_types::pb::google::protobuf::{Any, BoolValue};
use envoy_types::util::pack_any;

use super::http_options::HttpWays;
use super::names::Direction;
use super::proto;
use crate::form::Form;

const HTTP: &str = "envoy.filters.network.http_connection_manager";

/// A network filter of a listener's chain.
pub(super) type NetworkFilter = Filter;

/// HTTP of any version, routed by the route configuration `route` and taken in these `ways`. The application notices as little as can
/// be: the server header is its own, upgrades and HTTP/1.0 pass.
pub(super) fn http(
    direction: Direction,
    route: String,
    access_log: Vec<AccessLog>,
    ways: HttpWays,
) -> NetworkFilter {
    network_filter(HTTP, pack_any(manager(direction, route, access_log, ways)))
}

/// The same at the edge of the mesh, where clients are strangers: the client's address is added to `x-forwarded-for`, headers
/// that only Envoys may set are taken away, and dots and double slashes in a path cannot lead around a route's prefix.
pub(super) fn edge_http(route: String, access_log: Vec<AccessLog>, ways: HttpWays) -> NetworkFilter {
    let yes = || Some(BoolValue { value: true });
    let manager = HttpConnectionManager {
        use_remote_address: yes(),
        normalize_path: yes(),
        merge_slashes: true,
        preserve_external_request_id: true,
        ..manager(Direction::Ingress, route, access_log, ways)
    };
    network_filter(HTTP, pack_any(manager))
}

fn manager(
    direction: Direction,
    route: String,
    access_log: Vec<AccessLog>,
    ways: HttpWays,
) -> HttpConnectionManager {
    let router = HttpFilter {
        name: "envoy.filters.http.router".into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(pack_any(Router::default()))),
        ..HttpFilter::default()
    };
    HttpConnectionManager {
        codec_type: CodecType::Auto.into(),
        stat_prefix: direction.as_str().to_owned(),
        http_filters: vec![router],
        http_protocol_options: Some(ways.http1_of_clients()),
        http2_protocol_options: ways.http2_of_clients(),
        common_http_protocol_options: ways.common(),
        max_request_headers_kb: ways.request_headers(),
        server_header_transformation: ServerHeaderTransformation::PassThrough.into(),
        upgrade_configs: ways.upgrades().iter().copied().map(upgrade).collect(),
        // The dot at the end of a name that is complete is DNS's own.
        strip_trailing_host_dot: ways.form >= Form::Second,
        access_log,
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(proto::ads()),
            route_config_name: route,
        })),
        ..HttpConnectionManager::default()
    }
}

fn upgrade(token: &str) -> UpgradeConfig {
    UpgradeConfig { upgrade_type: token.to_owned(), ..UpgradeConfig::default() }
}

/// TCP to `targets` by weight; to nowhere when none has one. Envoy knows no weight of 0 here, so those are left out:
/// no connection would go there anyway.
pub(super) fn tcp(
    direction: Direction,
    targets: Vec<(String, u32)>,
    idle_millis: u64,
    access_log: Vec<AccessLog>,
) -> NetworkFilter {
    let weighted: Vec<_> = targets.into_iter().filter(|(_, weight)| *weight > 0).collect();
    if weighted.is_empty() {
        return network_filter("envoy.filters.network.direct_response", pack_any(DirectResponse::default()));
    }
    let clusters =
        weighted.into_iter().map(|(name, weight)| ClusterWeight { name, weight, ..Default::default() });
    let proxy = TcpProxy {
        stat_prefix: direction.as_str().to_owned(),
        idle_timeout: proto::millis(idle_millis),
        access_log,
        cluster_specifier: Some(ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: clusters.collect(),
        })),
        ..TcpProxy::default()
    };
    network_filter("envoy.filters.network.tcp_proxy", pack_any(proxy))
}

fn network_filter(name: &str, config: Any) -> NetworkFilter {
    Filter { name: name.to_owned(), config_type: Some(filter::ConfigType::TypedConfig(config)) }
}
