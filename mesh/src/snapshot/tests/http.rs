//! How HTTP is taken and spoken: what tags raise and where, upgrades, and the last hop.

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::listener::v3::{Listener, filter};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, RouteMatch};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::HttpProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::UpstreamProtocolOptions;
use envoy_types::pb::envoy::extensions::upstreams::http::v3::http_protocol_options::explicit_http_config::ProtocolConfig;
use fleetmesh_api::tags::{HEADER_CASE_TAG, HEADERS_KIB_TAG, HEADERS_TAG};
use fleetmesh_model::ResourceId;
use jiff::Timestamp;
use prost::{Message, Name};
use serde_json::{Value, json};

use super::bootstrap::decoded;
use super::corpus::calling;
use super::{client, gateway};
use crate::cloud_map::Discovered;
use crate::snapshot::{ResourceType, Snapshot, route_match};
use crate::testing::{node, view};
use crate::view::MeshView;

/// `client` listens on 7000 and calls `a.local:80` in HTTP/1.1, `b.local:80` in HTTP/2 and `b.local:81`.
fn mesh() -> MeshView {
    let listener = |port: u16, protocol: &str| json!({"portMapping": {"port": port, "protocol": protocol}});
    let found = |host: &str| json!({"dns": {"hostname": host}});
    let provider = |name: &str| json!({"provider": {"virtualNode": {"virtualNodeName": name}}});
    let mut caller = calling(&["a.local", "b.local"]);
    caller["listeners"] = json!([listener(7000, "http")]);
    caller["serviceDiscovery"] = found("client");
    view(&[
        ("virtualNode/a", json!({"listeners": [listener(80, "http")], "serviceDiscovery": found("a")})),
        (
            "virtualNode/b",
            json!({"listeners": [listener(80, "http2"), listener(81, "http")], "serviceDiscovery": found("b")}),
        ),
        ("virtualService/a.local", provider("a")),
        ("virtualService/b.local", provider("b")),
        ("virtualNode/client", caller),
    ])
}

fn tag(view: &mut MeshView, id: &ResourceId, tags: &[(&str, &str)]) {
    let record = Arc::make_mut(view.resources.get_mut(id).expect("the object"));
    record.tags.extend(tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
}

/// The manager of the chain `chain`.
fn manager(snapshot: &Snapshot, chain: &str) -> HttpConnectionManager {
    let listeners = decoded::<Listener>(snapshot, ResourceType::Listener);
    let mut chains = listeners.flat_map(|listener| listener.filter_chains);
    let found = chains.find(|one| one.name == chain).expect("the chain");
    let Some(filter::ConfigType::TypedConfig(any)) = &found.filters[0].config_type else {
        panic!("no filter")
    };
    assert_eq!(any.type_url, HttpConnectionManager::type_url());
    HttpConnectionManager::decode(any.value.as_slice()).expect("a manager")
}

/// What a manager takes: KiB of headers, headers, and whether their case is kept. `None` is Envoy's own.
fn takes(snapshot: &Snapshot, chain: &str) -> (Option<u32>, Option<u32>, bool) {
    let manager = manager(snapshot, chain);
    let headers = manager.common_http_protocol_options.and_then(|common| common.max_headers_count);
    let kept = manager.http_protocol_options.expect("HTTP/1.1").header_key_format.is_some();
    (manager.max_request_headers_kb.map(|kib| kib.value), headers.map(|count| count.value), kept)
}

fn options(snapshot: &Snapshot, cluster: &str) -> HttpProtocolOptions {
    let mut clusters = decoded::<Cluster>(snapshot, ResourceType::Cluster);
    let cluster = clusters.find(|one| one.name == cluster).expect("the cluster");
    let options = cluster.typed_extension_protocol_options.into_values().next().expect("options");
    HttpProtocolOptions::decode(options.value.as_slice()).expect("HTTP")
}

/// Whether a cluster keeps the case of headers, and how many an answer may have.
fn speaks(snapshot: &Snapshot, cluster: &str) -> (bool, Option<u32>) {
    let options = options(snapshot, cluster);
    let headers = options.common_http_protocol_options.and_then(|common| common.max_headers_count);
    let http1 = match options.upstream_protocol_options {
        Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) => match explicit.protocol_config {
            Some(ProtocolConfig::HttpProtocolOptions(http1)) => Some(http1),
            _ => None,
        },
        Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(same)) => same.http_protocol_options,
        _ => None,
    };
    let kept = http1.is_some_and(|http1| http1.header_key_format.is_some());
    (kept, headers.map(|count| count.value))
}

const INGRESS: &str = "rds_ingress_http_7000";
const EGRESS: [&str; 2] = ["rds_egress_http_80", "rds_egress_http_81"];

#[test]
fn without_tags_limits_are_envoy_s_own() {
    let snapshot = client(&mesh());
    for chain in [INGRESS, EGRESS[0], EGRESS[1]] {
        assert_eq!(takes(&snapshot, chain), (None, None, false), "{chain}");
    }
    for cluster in
        ["cds_ingress_apps_client_http_7000", "cds_egress_apps_a_http_80", "cds_egress_apps_passthrough"]
    {
        assert_eq!(speaks(&snapshot, cluster), (false, None), "{cluster}");
    }
}

#[test]
fn what_a_node_takes_its_callers_let_through_on_its_ports() {
    let mut view = mesh();
    tag(&mut view, &node("a"), &[(HEADERS_KIB_TAG, "96"), (HEADERS_TAG, "300")]);
    tag(&mut view, &node("b"), &[(HEADERS_KIB_TAG, "200"), (HEADER_CASE_TAG, "true")]);
    let snapshot = client(&view);
    assert_eq!(takes(&snapshot, EGRESS[0]), (Some(200), Some(300), true), "the largest of the port");
    assert_eq!(takes(&snapshot, EGRESS[1]), (Some(200), None, true));
    assert_eq!(takes(&snapshot, INGRESS), (None, None, false), "others' tags are not its own");
    assert_eq!(speaks(&snapshot, "cds_egress_apps_a_http_80"), (false, Some(300)));
    assert_eq!(speaks(&snapshot, "cds_egress_apps_b_http_81"), (true, None));
    let http2 = manager(&snapshot, EGRESS[0]).http2_protocol_options.expect("HTTP/2");
    assert_eq!(
        http2.max_header_field_size_kb.map(|kib| kib.value),
        Some(200),
        "one header may have all of it"
    );
}

#[test]
fn a_node_s_own_tags_hold_for_its_application_and_never_lower_what_it_may_send() {
    let mut view = mesh();
    tag(
        &mut view,
        &node("client"),
        &[(HEADERS_KIB_TAG, "8"), (HEADERS_TAG, "400"), (HEADER_CASE_TAG, "true")],
    );
    let snapshot = client(&view);
    assert_eq!(takes(&snapshot, INGRESS), (Some(8), Some(400), true));
    assert_eq!(takes(&snapshot, EGRESS[0]), (None, Some(400), true));
    for cluster in
        ["cds_ingress_apps_client_http_7000", "cds_egress_apps_a_http_80", "cds_egress_apps_passthrough"]
    {
        assert_eq!(speaks(&snapshot, cluster), (true, Some(400)), "{cluster}");
    }
    let before = client(&mesh());
    assert!(!before.unchanged(&view, &Discovered::default()), "a tag is an input");
}

#[test]
fn a_gateway_takes_what_its_tags_say_or_else_what_is_behind_it() {
    let all = gateway::leads("red.local", json!({"prefix": "/"}), Value::Null);
    let mut view = gateway::gateway(&gateway::plain(), &[("all", all)]);
    let edge = ResourceId::virtual_gateway("apps", "edge");
    tag(&mut view, &node("red"), &[(HEADERS_KIB_TAG, "8192"), (HEADERS_TAG, "300")]);
    assert_eq!(takes(&gateway::edge(&view), "gateway"), (Some(8192), Some(300), false));
    // Whoever answers for the gateway bounds what strangers may send.
    tag(&mut view, &edge, &[(HEADERS_KIB_TAG, "60"), (HEADER_CASE_TAG, "true")]);
    assert_eq!(takes(&gateway::edge(&view), "gateway"), (None, Some(300), true));
}

#[test]
fn connections_are_upgraded_in_every_version_and_names_may_end_in_a_dot() {
    let snapshot = client(&mesh());
    for chain in [INGRESS, EGRESS[0]] {
        let manager = manager(&snapshot, chain);
        assert!(manager.strip_trailing_host_dot);
        assert!(manager.http2_protocol_options.expect("HTTP/2").allow_connect);
        let upgrades: Vec<_> = manager.upgrade_configs.iter().map(|one| one.upgrade_type.as_str()).collect();
        assert_eq!(upgrades, ["websocket", "spdy/3.1", "tcp"]);
    }
    let Some(UpstreamProtocolOptions::ExplicitHttpConfig(explicit)) =
        options(&snapshot, "cds_egress_apps_b_http2_80").upstream_protocol_options
    else {
        panic!("one version")
    };
    let Some(ProtocolConfig::Http2ProtocolOptions(http2)) = explicit.protocol_config else {
        panic!("HTTP/2")
    };
    assert!(http2.allow_connect);
}

/// What the last hop retries: the method that a route matches, the event and how often.
fn retries(snapshot: &Snapshot) -> Vec<(Option<&'static str>, String, Option<u32>)> {
    let mut tables = decoded::<RouteConfiguration>(snapshot, ResourceType::Route);
    let table = tables.find(|table| table.name == INGRESS).expect("the routes");
    let routes = table.virtual_hosts.into_iter().flat_map(|host| host.routes);
    let retries = routes.map(|route| {
        let Some(Action::Route(action)) = route.action else { panic!("no route") };
        let policy = action.retry_policy.unwrap_or_default();
        let headers = route.r#match.expect("a match").headers;
        let safe =
            RouteMatch { headers: headers.clone(), ..route_match::everything() } == route_match::safe();
        assert!(safe || headers.is_empty(), "{headers:?}");
        (safe.then_some("safe"), policy.retry_on, policy.num_retries.map(|number| number.value))
    });
    retries.collect()
}

#[test]
fn the_last_hop_retries_once_what_is_safe_or_was_not_sent() {
    let expected =
        [(Some("safe"), "reset".to_owned(), Some(1)), (None, "reset-before-request".to_owned(), Some(1))];
    assert_eq!(retries(&client(&mesh())), expected);
}

#[test]
fn who_is_older_than_a_form_gets_the_one_before() {
    let mut view = mesh();
    view.forms.second = Timestamp::MAX;
    let before = client(&view);
    assert_eq!(retries(&before), [(None, String::new(), None)]);
    for chain in [INGRESS, EGRESS[0]] {
        let manager = manager(&before, chain);
        assert!(!manager.strip_trailing_host_dot && manager.http2_protocol_options.is_none());
        assert!(manager.http_protocol_options.expect("HTTP/1.1").ignore_http_11_upgrade.is_empty());
        assert_eq!(manager.upgrade_configs.len(), 1, "WebSocket alone");
    }
    // What others' tags say reaches it all the same.
    tag(&mut view, &node("b"), &[(HEADERS_KIB_TAG, "200")]);
    let manager = manager(&client(&view), EGRESS[0]);
    assert_eq!(manager.max_request_headers_kb.map(|kib| kib.value), Some(200));
    assert!(!manager.http2_protocol_options.expect("a limit").allow_connect);
    // Each node by itself.
    let own = Arc::make_mut(view.resources.get_mut(&node("client")).expect("the node"));
    own.last_updated_at = Timestamp::MAX;
    assert_eq!(retries(&client(&view)).len(), 2);
}
