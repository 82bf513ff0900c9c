//! The route table of a port of a virtual gateway: a virtual host for each host that its routes name. Pure.
//!
//! Envoy picks one virtual host by the Host header and looks nowhere else. So each has all routes that could be meant there,
//! in the gateway's order: those for that very host, those for an end of it, those for any. A host's port does not matter.

use std::collections::BTreeSet;

use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};

use super::gateway_route;
use super::hosts::Hosts;
use super::lead::Lead;

/// The table `name` of a port with these routes, in the order in which they are tried.
pub(super) fn table(name: String, leads: &[&Lead<'_>]) -> RouteConfiguration {
    let named: Vec<_> = leads
        .iter()
        .map(|lead| (Hosts::of(lead.source.spec.hostname()), gateway_route::routes(lead)))
        .collect();
    let all: BTreeSet<&Hosts> = named.iter().map(|(hosts, _)| hosts).collect();
    let mut hosts = Vec::new();
    for of in &all {
        let meant = named.iter().filter(|(hosts, _)| hosts.cover(of));
        hosts.push(VirtualHost {
            name: of.name(),
            domains: domains(of, &all),
            routes: meant.flat_map(|(_, routes)| routes.clone()).collect(),
            ..VirtualHost::default()
        });
    }
    RouteConfiguration {
        name,
        virtual_hosts: hosts,
        ignore_port_in_host_matching: true,
        ..RouteConfiguration::default()
    }
}

/// As Envoy spells them; its `*x` is not `x` itself, which App Mesh's suffix is.
fn domains(of: &Hosts, all: &BTreeSet<&Hosts>) -> Vec<String> {
    match of {
        Hosts::Ending(end) if !all.contains(&&Hosts::One(end.clone())) => vec![of.name(), end.clone()],
        Hosts::Ending(_) | Hosts::One(_) | Hosts::Any => vec![of.name()],
    }
}
