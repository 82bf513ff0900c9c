//! Small builders for protobuf's and Envoy's wrapper types. Pure.

use envoy_types::pb::envoy::config::core::v3::{
    Address, AggregatedConfigSource, ApiVersion, ConfigSource, SocketAddress, address, config_source,
    socket_address,
};
use envoy_types::pb::google::protobuf::{Duration, UInt32Value};

/// Ten years: Envoy refuses durations that overflow its clocks, and nothing here means more than "never".
const MAX_MILLIS: u64 = 10 * 365 * 24 * 3600 * 1000;

/// A duration of `millis` milliseconds, at most ten years.
pub(crate) fn millis(millis: u64) -> Option<Duration> {
    let millis = millis.min(MAX_MILLIS);
    let seconds = i64::try_from(millis / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(millis % 1000 * 1_000_000).unwrap_or(0);
    Some(Duration { seconds, nanos })
}

/// A wrapped number; a negative one counts as 0, one beyond `u32` saturates.
pub(super) fn number(value: i64) -> Option<UInt32Value> {
    Some(UInt32Value { value: clamp(value) })
}

/// `value` as Envoy's unsigned number; a negative one counts as 0, one beyond `u32` saturates.
pub(super) fn clamp(value: i64) -> u32 {
    u32::try_from(value.max(0)).unwrap_or(u32::MAX)
}

/// The stream that the resource which holds this came on.
pub(super) fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(config_source::ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        ..ConfigSource::default()
    }
}

/// A TCP address. `both_families` makes an IPv6 socket accept IPv4 too.
pub(super) fn tcp_address(host: &str, port: u32, both_families: bool) -> Option<Address> {
    let socket = SocketAddress {
        address: host.to_owned(),
        ipv4_compat: both_families,
        port_specifier: Some(socket_address::PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    Some(Address { address: Some(address::Address::SocketAddress(socket)) })
}
