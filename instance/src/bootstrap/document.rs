//! The bootstrap as a document in Envoy's own terms (`envoy.config.bootstrap.v3.Bootstrap`). Pure.
//!
//! Members of an object are written in alphabetical order, so that the text is the same whether or not a build makes
//! JSON objects keep their order.

use std::net::IpAddr;

use fleetmesh_api::bootstrap::SDS_CLUSTER;
use fleetmesh_api::metadata::INSTANCE_ID;
use fleetmesh_model::re2::PROGRAM_SIZE_LIMIT;
use serde_json::{Value, json};

use super::{Bootstrap, ControlPlaneAddress, secrets};

/// The cluster that holds the control plane's address.
const CONTROL_PLANE: &str = "fleetmesh_control_plane";

/// The whole document.
pub fn document(bootstrap: &Bootstrap) -> Value {
    let mut document = json!({
        "admin": {
            "address": socket_address(&bootstrap.admin_address.to_string(), bootstrap.admin_port),
        },
        "dynamic_resources": dynamic_resources(),
        "layered_runtime": layered_runtime(),
        "node": {
            "cluster": bootstrap.resource,
            "id": bootstrap.resource,
        },
        "overload_manager": overload_manager(bootstrap.max_connections),
        "static_resources": {
            "clusters": [
                control_plane_cluster(&bootstrap.control_plane, &bootstrap.cert_dir),
                sds_cluster(&bootstrap.sds_socket),
            ],
        },
    });
    if let Some(instance) = &bootstrap.instance_id {
        document["node"]["metadata"] = json!({ INSTANCE_ID: instance });
    }
    if bootstrap.load_reporting {
        document["cluster_manager"] = json!({
            "load_stats_config": {
                "api_type": "GRPC",
                "grpc_services": [control_plane_service()],
                "transport_api_version": "V3",
            },
        });
    }
    document
}

fn dynamic_resources() -> Value {
    // No initial fetch timeout: a proxy that starts before its control plane waits for its configuration (and is not
    // ready) instead of serving without one.
    let source = json!({ "ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3" });
    json!({
        "ads_config": {
            // What changes, and not everything with each change.
            "api_type": "DELTA_GRPC",
            "grpc_services": [control_plane_service()],
            // Envoy's description of itself has some 60 KB; once per stream is enough.
            "set_node_on_first_message_only": true,
            "transport_api_version": "V3",
        },
        "cds_config": source,
        "lds_config": source,
    })
}

fn control_plane_service() -> Value {
    json!({
        "envoy_grpc": {
            "cluster_name": CONTROL_PLANE,
            // Envoy's own maximum of 30 s would keep a proxy on old routes that long after a control plane's restart.
            "retry_policy": {
                "retry_back_off": { "base_interval": "0.5s", "max_interval": "5s" },
            },
        },
    })
}

fn control_plane_cluster(at: &ControlPlaneAddress, cert_dir: &str) -> Value {
    let (discovery, address) = match at {
        ControlPlaneAddress::Unix(path) => ("STATIC", json!({ "pipe": { "path": path } })),
        ControlPlaneAddress::Tcp { host, port } | ControlPlaneAddress::Tls { host, port } => {
            let discovery = if host.parse::<IpAddr>().is_ok() { "STATIC" } else { "STRICT_DNS" };
            (discovery, socket_address(host, *port))
        }
    };
    // A control plane whose host vanished is noticed after 15 s, not after TCP's many minutes.
    let options = json!({ "connection_keepalive": { "interval": "10s", "timeout": "5s" } });
    let mut cluster = json!({
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": CONTROL_PLANE,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
        "name": CONTROL_PLANE,
        "type": discovery,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2_options(options),
        },
    });
    if discovery == "STRICT_DNS" {
        cluster["dns_lookup_family"] = json!("V4_PREFERRED");
    }
    if let ControlPlaneAddress::Tls { host, .. } = at {
        cluster["transport_socket"] = secrets::transport_socket(host, cert_dir);
    }
    cluster
}

/// The secret discovery service on this host. It is there even where nothing serves it: Envoy refuses all its listeners when one
/// names a cluster that does not exist, and so would keep an open one that was to be closed.
fn sds_cluster(socket: &str) -> Value {
    // What a default says is left out, and so are pings: nobody vanishes at the other end of a Unix socket. User data has room
    // for no more.
    json!({
        "load_assignment": {
            "cluster_name": SDS_CLUSTER,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "pipe": { "path": socket } } } }] }],
        },
        "name": SDS_CLUSTER,
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2_options(json!({})),
        },
    })
}

fn http2_options(options: Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": { "http2_protocol_options": options },
    })
}

fn layered_runtime() -> Value {
    json!({
        "layers": [
            // A regular expression of a route may have 255 characters; Envoy's default of 100 refuses many of them.
            { "name": "fleetmesh", "static_layer": { "re2.max_program_size.error_level": PROGRAM_SIZE_LIMIT } },
            // Last, so that what an operator sets through the admin interface wins.
            { "admin_layer": {}, "name": "admin" },
        ],
    })
}

fn overload_manager(max_connections: u32) -> Value {
    json!({
        "resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                "max_active_downstream_connections": max_connections,
            },
        }],
    })
}

fn socket_address(address: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": address, "port_value": port } })
}
