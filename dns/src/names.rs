//! The names of the mesh and their addresses, from what Envoy has: the domains of its egress routes, and the filter chains of services
//! over tcp, which have their addresses from the control plane. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use fleetmesh_api::services::{EGRESS_LISTENERS, EGRESS_ROUTES, METADATA, resolved_name};
use fleetmesh_api::virtual_addresses::assign_beside;
use hickory_proto::rr::{LowerName, Name};
use serde::Deserialize;

/// The names that are answered, each with its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VirtualNames(BTreeMap<LowerName, Ipv4Addr>);

impl VirtualNames {
    /// The address of `name`, whose case does not matter; `None` when it is none of the mesh's.
    pub fn address(&self, name: &Name) -> Option<Ipv4Addr> {
        self.0.get(&LowerName::new(name)).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The names of what Envoy's dumps of its routes and its listeners hold; `None` when it has no egress listener, as after it
    /// started anew: what it had before is the better answer then.
    ///
    /// # Errors
    /// In words: a dump is not what Envoy writes.
    pub fn read(routes: &[u8], listeners: &[u8]) -> Result<Option<Self>, String> {
        let malformed = |error: serde_json::Error| format!("Envoy's dump cannot be read: {error}");
        let listeners: Dump<ListenerEntry> = serde_json::from_slice(listeners).map_err(malformed)?;
        let egress = listeners.configs.into_iter().filter(|entry| entry.name.starts_with(EGRESS_LISTENERS));
        let egress: Vec<Listener> = egress.filter_map(|entry| Some(entry.active_state?.listener)).collect();
        if egress.is_empty() {
            return Ok(None);
        }
        let routes: Dump<RouteEntry> = serde_json::from_slice(routes).map_err(malformed)?;
        let mut names: BTreeSet<String> = routes.configs.iter().flat_map(RouteEntry::names).collect();
        let mut given = BTreeMap::new();
        for (service, address) in egress.into_iter().flat_map(Listener::services) {
            let Some(name) = resolved_name(&service) else { continue };
            given.extend(address.map(|address| (name.clone(), address)));
            names.insert(name);
        }
        let assigned = assign_beside(&names, &given).into_iter();
        Ok(Some(Self(assigned.filter_map(|(name, address)| Some((parsed(&name)?, address))).collect())))
    }
}

/// The name of a virtual service in the form of the wire; none where no resolver could ask for it.
fn parsed(name: &str) -> Option<LowerName> {
    let mut parsed = Name::from_str_relaxed(name).ok().filter(|name| !name.is_root())?;
    parsed.set_fqdn(true);
    Some(LowerName::new(&parsed))
}

/// A dump of one kind of resources.
#[derive(Deserialize)]
struct Dump<T> {
    #[serde(default = "Vec::new")]
    configs: Vec<T>,
}

#[derive(Deserialize)]
struct RouteEntry {
    route_config: RouteConfig,
}

impl RouteEntry {
    fn names(&self) -> Vec<String> {
        let RouteConfig { name, virtual_hosts } = &self.route_config;
        let egress = virtual_hosts.iter().filter(|_| name.starts_with(EGRESS_ROUTES));
        egress.flat_map(|host| &host.domains).filter_map(|domain| resolved_name(domain)).collect()
    }
}

#[derive(Deserialize)]
struct RouteConfig {
    #[serde(default)]
    name: String,
    #[serde(default)]
    virtual_hosts: Vec<VirtualHost>,
}

#[derive(Deserialize)]
struct VirtualHost {
    #[serde(default)]
    domains: Vec<String>,
}

#[derive(Deserialize)]
struct ListenerEntry {
    #[serde(default)]
    name: String,
    active_state: Option<ListenerState>,
}

#[derive(Deserialize)]
struct ListenerState {
    listener: Listener,
}

#[derive(Deserialize)]
struct Listener {
    #[serde(default)]
    filter_chains: Vec<FilterChain>,
}

impl Listener {
    /// The services that chains of the listener say they are for, each with the address that the chain takes connections to.
    fn services(self) -> impl Iterator<Item = (String, Option<Ipv4Addr>)> {
        let of = |chain: FilterChain| {
            let said = chain.metadata?.filter_metadata.remove(METADATA)?;
            // Whatever else stands there is for other readers.
            let Service { service } = serde_json::from_value(said).ok()?;
            Some((service, chain.filter_chain_match.and_then(|matches| matches.address())))
        };
        self.filter_chains.into_iter().filter_map(of)
    }
}

#[derive(Deserialize)]
struct FilterChain {
    filter_chain_match: Option<Match>,
    metadata: Option<Metadata>,
}

/// Which connections a chain takes.
#[derive(Deserialize)]
struct Match {
    #[serde(default)]
    prefix_ranges: Vec<Range>,
}

impl Match {
    /// The one address that connections have to go to; none where there are others.
    fn address(&self) -> Option<Ipv4Addr> {
        match self.prefix_ranges.as_slice() {
            [Range { address_prefix, prefix_len: Some(32) }] => address_prefix.parse().ok(),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    address_prefix: String,
    prefix_len: Option<u32>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    filter_metadata: BTreeMap<String, serde_json::Value>,
}

/// What the control plane says of a chain.
#[derive(Deserialize)]
struct Service {
    service: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn listeners(chains: &Value) -> Vec<u8> {
        let listener = json!({"name": "lds_egress_0.0.0.0_15001", "active_state": {"version_info": "1",
            "listener": {"@type": "t", "filter_chains": chains}}});
        json!({"configs": [{"name": "lds_ingress_0.0.0.0_15000"}, listener]}).to_string().into_bytes()
    }

    fn routes(name: &str, domains: &[&str]) -> Vec<u8> {
        let route =
            json!({"route_config": {"name": name, "virtual_hosts": [{"name": "x", "domains": domains}]}});
        json!({"configs": [route, {"route_config": {}}]}).to_string().into_bytes()
    }

    fn address(names: &VirtualNames, name: &str) -> Option<Ipv4Addr> {
        names.address(&Name::from_ascii(name).expect("a name"))
    }

    #[test]
    fn the_domains_of_egress_routes_are_the_names() {
        let domains =
            ["B.apps.local:80", "b.apps.local", "c.local.", "*", "*.wild", "10.0.0.1", "10.0.0.1:80"];
        let read = VirtualNames::read(&routes("rds_egress_http_80", &domains), &listeners(&json!([])));
        let names = read.expect("dumps").expect("a listener");
        assert_eq!(names.len(), 2, "{names:?}");
        let found = address(&names, "b.apps.local.").expect("an address");
        assert_eq!(address(&names, "B.Apps.Local."), Some(found));
        assert!(address(&names, "c.local.").is_some_and(|other| other != found));
        assert_eq!(address(&names, "x.b.apps.local."), None, "nothing below a name is one");
        let ingress = VirtualNames::read(&routes("rds_ingress_http_80", &domains), &listeners(&json!([])));
        assert_eq!(ingress.expect("dumps").expect("a listener").len(), 0);
    }

    #[test]
    fn a_chain_names_its_service_and_takes_its_address() {
        let to = |service: Value, ranges: Value| json!({"metadata": {"filter_metadata": {METADATA: service}}, "filter_chain_match": {"destination_port": 5432, "prefix_ranges": ranges}});
        let of = |service: &str, ranges: Value| to(json!({ "service": service }), ranges);
        let one = json!([{"address_prefix": "198.18.0.7", "prefix_len": 32}]);
        let chains = json!([
            of("Db.apps.local", one.clone()),
            of("cache.apps.local", json!([])),
            of("net.apps.local", json!([{"address_prefix": "198.19.0.0", "prefix_len": 16}])),
            to(json!(7), one.clone()),
            {"filter_chain_match": {"prefix_ranges": one}},
            {}
        ]);
        let read = VirtualNames::read(b"{}", &listeners(&chains)).expect("dumps").expect("a listener");
        assert_eq!(address(&read, "db.apps.local."), Some(Ipv4Addr::new(198, 18, 0, 7)));
        assert!(address(&read, "cache.apps.local.").is_some(), "it has the one of its hash");
        assert_ne!(address(&read, "net.apps.local."), Some(Ipv4Addr::new(198, 19, 0, 0)), "a network");
        assert_eq!(read.len(), 3);
    }

    #[test]
    fn an_envoy_without_an_egress_listener_says_nothing() {
        for listeners in ["{}", r#"{"configs": [{"name": "lds_egress_0.0.0.0_15001"}]}"#] {
            assert_eq!(VirtualNames::read(b"{}", listeners.as_bytes()), Ok(None), "{listeners}");
        }
        assert!(VirtualNames::read(b"{", &listeners(&json!([]))).is_err());
    }
}
