//! The virtual addresses of tcp services: what `fleetmesh proxy dns` answers an application that asks for a service's name. Pure.
//!
//! An application that asked there connects to an address that means one service, so two services on one port are distinguished,
//! and nothing else is taken. An address is a function of the names of the node's tcp services alone, and seldom of more than its own
//! ([`virtual_addresses`](fleetmesh_api::virtual_addresses)): HTTP services come and go without moving it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use fleetmesh_api::services::{METADATA, SERVICE, resolved_name};
use fleetmesh_api::virtual_addresses::assign;

use super::egress::{Egress, Service};
use super::listener;

/// The tcp services of `egress` with a port and a virtual address each; none twice at one port of an address.
pub(super) fn tcp<'e, 'a>(egress: &'e Egress<'a>) -> Vec<(i32, Ipv4Addr, &'e Service<'a>)> {
    let addresses = addresses(egress);
    let mut taken = BTreeSet::new();
    let found = egress.tcp().filter_map(|(port, service)| {
        let address = *addresses.get(&resolved_name(service.name)?)?;
        // `db.local` and `db.local:5432` are one name.
        taken.insert((port, address)).then_some((port, address, service))
    });
    found.collect()
}

fn addresses(egress: &Egress<'_>) -> BTreeMap<String, Ipv4Addr> {
    let names = egress.tcp().filter_map(|(_, service)| resolved_name(service.name));
    assign(&names.collect())
}

/// The chain `plain`, for connections to the virtual `address` of `service` alone; the resolver reads of it whose that is.
pub(super) fn chain(plain: FilterChain, address: Ipv4Addr, service: &str) -> FilterChain {
    let name = Value { kind: Some(Kind::StringValue(service.to_owned())) };
    // One entry each: of several, a map has no order, and so have their bytes.
    let said = Struct { fields: [(SERVICE.to_owned(), name)].into() };
    let metadata = Metadata { filter_metadata: [(METADATA.to_owned(), said)].into(), ..Metadata::default() };
    FilterChain { metadata: Some(metadata), ..listener::to_address(plain, address.into()) }
}
