//! Which connections to a port are meant for the tcp service that has it. Pure.
//!
//! A tcp service is distinguished by nothing but its port. Where the mesh drops what is no backend (DROP_ALL) nothing else can be
//! called there, so the service takes all of the port. Where the mesh lets all through (ALLOW_ALL) it takes what is meant for it, and
//! the rest goes where it was going:
//! - by address, where Cloud Map discovers a node by the very name of the service: those instances' addresses are what the
//!   application was given for it. The addresses of an address are known, too.
//! - by name on port 443, where TLS is looked into: what asks for the service or for one of its nodes. TLS that asks for something else,
//!   or for nothing, is for somebody else.
//! - by port alone otherwise, which [`note`](TcpShare::note) says.

use std::collections::BTreeSet;
use std::net::IpAddr;

use envoy_types::pb::envoy::config::listener::v3::FilterChain;
use fleetmesh_model::service_discovery::ServiceDiscovery;

use super::egress::Service;
use super::inputs::Reader;
use super::listener::{self, AWS_PORT};
use super::tls::discovered_name;
use crate::cloud_map::ServiceName;

/// What of a port its tcp service takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TcpShare {
    /// TLS that asks for one of these names.
    names: BTreeSet<String>,
    rest: Rest,
}

/// What it takes besides.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rest {
    /// Everything.
    Port,
    /// What is no TLS.
    Plaintext,
    /// Connections to these addresses.
    Addresses(BTreeSet<IpAddr>),
}

impl TcpShare {
    /// The share of `service`, which has `port`; `allows_all` says whether the mesh lets through what is no backend.
    pub(super) fn of(reader: &Reader<'_>, service: &Service<'_>, port: i32, allows_all: bool) -> Self {
        let inspected = port == AWS_PORT;
        let names = if inspected { names(service) } else { BTreeSet::new() };
        let rest = match allows_all.then(|| addresses(reader, service)) {
            None => Rest::Port,
            Some(Some(addresses)) => Rest::Addresses(addresses),
            Some(None) if inspected => Rest::Plaintext,
            Some(None) => Rest::Port,
        };
        Self { names, rest }
    }

    /// The chains of the share, of `plain`, which takes all of the port. One per address, so that connections to an address
    /// outlast the coming and going of others.
    pub(super) fn chains(&self, plain: FilterChain) -> Vec<FilterChain> {
        let mut chains = Vec::new();
        if !self.names.is_empty() {
            let named = FilterChain { name: format!("{}_tls", plain.name), ..plain.clone() };
            chains.push(listener::named_tls(named, self.names.iter().cloned().collect()));
        }
        match &self.rest {
            Rest::Port => chains.push(plain),
            Rest::Plaintext => chains.push(listener::beside_tls(plain)),
            Rest::Addresses(addresses) => {
                let to = |address: &IpAddr| listener::to_address(plain.clone(), *address);
                chains.extend(addresses.iter().map(to));
            }
        }
        chains
    }

    /// What is to be known of the share of `service` where the mesh lets all through; `None` when it takes no more than what is meant
    /// for it.
    pub(super) fn note(&self, service: &str, port: i32) -> Option<String> {
        let taken = match &self.rest {
            Rest::Addresses(_) => return None,
            Rest::Port => "every connection",
            Rest::Plaintext => "every connection without TLS",
        };
        Some(format!(
            "{service:?} takes {taken} to port {port}, wherever it was going, although the mesh lets all through (egressFilter ALLOW_ALL): nothing but the port says what is meant for it. If others are called on that port, give the service another one, or the name by which Cloud Map discovers one of its nodes (SERVICE.NAMESPACE): then its addresses say it"
        ))
    }
}

/// The names that clients may ask for: the service's own, and those by which its nodes are discovered.
fn names(service: &Service<'_>) -> BTreeSet<String> {
    let discovered = service.discoveries().map(discovered_name);
    let names = discovered.chain([host(service.name).to_owned()]).map(|name| name.to_ascii_lowercase());
    names.filter(|name| is_server_name(name)).collect()
}

/// Whether Envoy compares the names that TLS asks for with this one: nobody asks for an address, and a star would not stand for
/// itself.
fn is_server_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && name.bytes().all(fits) && name.parse::<IpAddr>().is_err()
}

/// The host in the name of a service, which may name a port as well.
fn host(service: &str) -> &str {
    service.rsplit_once(':').map_or(service, |(host, _)| host)
}

/// The addresses that the application can be given for `service`; `None` when they cannot be known.
fn addresses(reader: &Reader<'_>, service: &Service<'_>) -> Option<BTreeSet<IpAddr>> {
    let host = host(service.name);
    let mut addresses: BTreeSet<IpAddr> = host.parse().into_iter().collect();
    let mut known = !addresses.is_empty();
    for discovery in service.discoveries() {
        let ServiceDiscovery::AwsCloudMap(cloud_map) = discovery else { continue };
        let Some(instances) = reader.instances(&ServiceName::of(cloud_map)) else { continue };
        known |= discovered_name(discovery).eq_ignore_ascii_case(host);
        addresses.extend(instances.iter().flat_map(|instance| instance.ips()));
    }
    known.then_some(addresses)
}
