//! The two listeners that a node's connections are redirected to. Pure.
//!
//! They bind `0.0.0.0`, or, when the preference of IP versions includes IPv6, `[::]` for both versions: a host without
//! IPv6 refuses the latter, so it is not the default. The names never change.

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::listener::v3::listener_filter_chain_match_predicate::Rule;
use envoy_types::pb::envoy::config::listener::v3::{
    FilterChain, FilterChainMatch, Listener, ListenerFilter, ListenerFilterChainMatchPredicate,
    listener_filter,
};
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::util::pack_any;
use fleetmesh_model::common::IpPreference;

use super::filter;
use super::names::{self, Direction};
use super::proto;

/// The one port on which TLS is looked into, and the names that pass even when the egress filter drops the rest.
const AWS_PORT: i32 = 443;
const AWS_NAMES: &str = "*.amazonaws.com";

/// The listener of `direction` with `chains`, by port of the connections' original destination.
pub(super) fn listener(
    direction: Direction,
    preference: Option<IpPreference>,
    chains: Vec<FilterChain>,
    default_chain: Option<FilterChain>,
) -> Listener {
    let (name, port, traffic) = match direction {
        Direction::Ingress => (names::INGRESS_LISTENER, names::INGRESS_PORT, TrafficDirection::Inbound),
        Direction::Egress => (names::EGRESS_LISTENER, names::EGRESS_PORT, TrafficDirection::Outbound),
    };
    let both = !matches!(preference, None | Some(IpPreference::Ipv4Only));
    let mut filters =
        vec![listener_filter("envoy.filters.listener.original_dst", pack_any(OriginalDst::default()))];
    if direction == Direction::Egress {
        filters.push(tls_inspector());
    }
    Listener {
        name: name.to_owned(),
        address: proto::tcp_address(if both { "::" } else { "0.0.0.0" }, port, both),
        filter_chains: chains,
        default_filter_chain: default_chain,
        listener_filters: filters,
        // A client that waits for the server to speak first is let through, not cut off.
        continue_on_listener_filters_timeout: true,
        traffic_direction: traffic.into(),
        ..Listener::default()
    }
}

/// The chain for connections to `port`.
pub(super) fn chain(name: String, port: i32, filter: filter::NetworkFilter) -> FilterChain {
    let matcher =
        FilterChainMatch { destination_port: proto::number(port.into()), ..FilterChainMatch::default() };
    FilterChain { name, filter_chain_match: Some(matcher), filters: vec![filter], ..FilterChain::default() }
}

/// The chain for AWS's own endpoints: TLS to `*.amazonaws.com:443`.
pub(super) fn aws_chain(filter: filter::NetworkFilter) -> FilterChain {
    let matcher = FilterChainMatch {
        destination_port: proto::number(AWS_PORT.into()),
        server_names: vec![AWS_NAMES.to_owned()],
        transport_protocol: "tls".to_owned(),
        ..FilterChainMatch::default()
    };
    FilterChain {
        name: "aws".to_owned(),
        filter_chain_match: Some(matcher),
        filters: vec![filter],
        ..FilterChain::default()
    }
}

/// The chain for everything that no other chain is for.
pub(super) fn default_chain(filter: filter::NetworkFilter) -> FilterChain {
    FilterChain { name: "passthrough".to_owned(), filters: vec![filter], ..FilterChain::default() }
}

/// Reads the name that TLS clients ask for, on port 443 only: elsewhere it would hold up protocols in which the server
/// speaks first.
fn tls_inspector() -> ListenerFilter {
    let port = Int32Range { start: AWS_PORT, end: AWS_PORT + 1 };
    let on_port = ListenerFilterChainMatchPredicate { rule: Some(Rule::DestinationPortRange(port)) };
    let elsewhere = ListenerFilterChainMatchPredicate { rule: Some(Rule::NotMatch(Box::new(on_port))) };
    ListenerFilter {
        filter_disabled: Some(elsewhere),
        ..listener_filter("envoy.filters.listener.tls_inspector", pack_any(TlsInspector::default()))
    }
}

fn listener_filter(name: &str, config: Any) -> ListenerFilter {
    ListenerFilter {
        name: name.to_owned(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(config)),
        filter_disabled: None,
    }
}
