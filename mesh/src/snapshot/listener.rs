//! The two listeners that a node's connections are redirected to, and those of gateways. Pure.
//!
//! They bind `0.0.0.0`, or, when the preference of IP versions includes IPv6, `[::]` for both versions: a host without
//! IPv6 refuses the latter, so it is not the default. The names never change.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::{Address, CidrRange, TrafficDirection, TransportSocket};
use envoy_types::pb::envoy::config::listener::v3::listener_filter_chain_match_predicate::{MatchSet, Rule};
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

/// The port on which TLS is looked into on the way out, because AWS's own endpoints pass there even when the egress filter drops
/// the rest.
pub(super) const AWS_PORT: i32 = 443;

/// The listener of `direction` with `chains`, by port of the connections' original destination. On the ports `inspected` TLS is
/// distinguished from plaintext; those of AWS's names are inspected anyhow.
pub(super) fn listener(
    direction: Direction,
    preference: Option<IpPreference>,
    chains: Vec<FilterChain>,
    default_chain: Option<FilterChain>,
    inspected: &[i32],
) -> Listener {
    let (name, port, traffic) = match direction {
        Direction::Ingress => (names::INGRESS_LISTENER, names::INGRESS_PORT, TrafficDirection::Inbound),
        Direction::Egress => (names::EGRESS_LISTENER, names::EGRESS_PORT, TrafficDirection::Outbound),
    };
    let mut filters =
        vec![listener_filter("envoy.filters.listener.original_dst", pack_any(OriginalDst::default()))];
    let aws = (direction == Direction::Egress).then_some(AWS_PORT);
    filters.extend(tls_inspector(inspected.iter().copied().chain(aws)));
    Listener {
        name: name.to_owned(),
        address: address(preference, port),
        filter_chains: chains,
        default_filter_chain: default_chain,
        listener_filters: filters,
        // A client that waits for the server to speak first is let through, not cut off.
        continue_on_listener_filters_timeout: true,
        traffic_direction: traffic.into(),
        ..Listener::default()
    }
}

/// The listener on the port `port` of a gateway, which is reached from outside. With `inspects` TLS is distinguished from
/// plaintext.
pub(super) fn edge(
    port: i32,
    preference: Option<IpPreference>,
    chains: Vec<FilterChain>,
    inspects: bool,
) -> Listener {
    Listener {
        name: names::gateway_listener(port),
        address: address(preference, proto::clamp(port.into())),
        filter_chains: chains,
        listener_filters: tls_inspector(inspects.then_some(port)).into_iter().collect(),
        traffic_direction: TrafficDirection::Inbound.into(),
        ..Listener::default()
    }
}

/// All addresses of the host, of IPv4 alone unless the preference includes IPv6.
fn address(preference: Option<IpPreference>, port: u32) -> Option<Address> {
    let both = !matches!(preference, None | Some(IpPreference::Ipv4Only));
    proto::tcp_address(if both { "::" } else { "0.0.0.0" }, port, both)
}

/// The chain for everything that arrives at a port of a gateway.
pub(super) fn edge_chain(filter: filter::NetworkFilter) -> FilterChain {
    FilterChain { name: "gateway".to_owned(), filters: vec![filter], ..FilterChain::default() }
}

/// The chain for connections to `port`.
pub(super) fn chain(name: String, port: i32, filter: filter::NetworkFilter) -> FilterChain {
    let matcher =
        FilterChainMatch { destination_port: proto::number(port.into()), ..FilterChainMatch::default() };
    FilterChain { name, filter_chain_match: Some(matcher), filters: vec![filter], ..FilterChain::default() }
}

/// The chain `plain`, for TLS by `socket`. `beside` plaintext on the same port, which has a chain of its own then, it takes what
/// begins as TLS does; alone it takes everything, and closes what is no TLS.
pub(super) fn over_tls(mut plain: FilterChain, socket: Option<TransportSocket>, beside: bool) -> FilterChain {
    if beside {
        plain.name.push_str("_tls");
        plain.filter_chain_match.get_or_insert_default().transport_protocol = "tls".to_owned();
    }
    FilterChain { transport_socket: socket, ..plain }
}

/// The chain `plain`, for connections to `address` alone.
pub(super) fn to_address(mut plain: FilterChain, address: IpAddr) -> FilterChain {
    plain.name = format!("{}_{address}", plain.name);
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let range = CidrRange { address_prefix: address.to_string(), prefix_len: proto::number(bits) };
    plain.filter_chain_match.get_or_insert_default().prefix_ranges = vec![range];
    plain
}

/// The chain `chain` for what is no TLS.
pub(super) fn beside_tls(mut chain: FilterChain) -> FilterChain {
    chain.filter_chain_match.get_or_insert_default().transport_protocol = "raw_buffer".to_owned();
    chain
}

/// The chains for AWS's own endpoints: TLS to names in [`names::AWS_DOMAINS`] and [`names::MORE_AWS_DOMAINS`] on port 443.
pub(super) fn aws_chains(filter: &filter::NetworkFilter) -> [FilterChain; 2] {
    let of = |name: &str, domains: &[&str]| {
        let below = domains.iter().map(|domain| format!("*.{domain}")).collect();
        named_tls(chain(name.to_owned(), AWS_PORT, filter.clone()), below)
    };
    [of("aws", &names::AWS_DOMAINS), of("aws_partitions", &names::MORE_AWS_DOMAINS)]
}

/// The chain `plain`, for TLS that asks for one of `server_names` alone; for all TLS when there are none.
pub(super) fn named_tls(mut plain: FilterChain, server_names: Vec<String>) -> FilterChain {
    let matcher = plain.filter_chain_match.get_or_insert_default();
    matcher.server_names = server_names;
    matcher.transport_protocol = "tls".to_owned();
    plain
}

/// The chain for everything that no other chain is for.
pub(super) fn default_chain(filter: filter::NetworkFilter) -> FilterChain {
    FilterChain { name: "passthrough".to_owned(), filters: vec![filter], ..FilterChain::default() }
}

/// Looks for TLS and the name that it asks for on these ports only: elsewhere it would hold up protocols in which the server
/// speaks first.
fn tls_inspector(ports: impl IntoIterator<Item = i32>) -> Option<ListenerFilter> {
    let on_port = |port: i32| ListenerFilterChainMatchPredicate {
        rule: Some(Rule::DestinationPortRange(Int32Range { start: port, end: port.saturating_add(1) })),
    };
    let mut on_ports: Vec<_> = ports.into_iter().map(on_port).collect();
    let last = on_ports.pop()?;
    // Envoy takes no set of one.
    let somewhere = if on_ports.is_empty() {
        last
    } else {
        on_ports.push(last);
        ListenerFilterChainMatchPredicate { rule: Some(Rule::OrMatch(MatchSet { rules: on_ports })) }
    };
    let elsewhere = ListenerFilterChainMatchPredicate { rule: Some(Rule::NotMatch(Box::new(somewhere))) };
    Some(ListenerFilter {
        filter_disabled: Some(elsewhere),
        ..listener_filter("envoy.filters.listener.tls_inspector", pack_any(TlsInspector::default()))
    })
}

fn listener_filter(name: &str, config: Any) -> ListenerFilter {
    ListenerFilter {
        name: name.to_owned(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(config)),
        filter_disabled: None,
    }
}
