//! The names of the mesh and their addresses, from what Envoy has: the domains of its egress routes, and what the control plane
//! says of filter chains. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use fleetmesh_api::services::{EGRESS_LISTENERS, EGRESS_ROUTES, METADATA};
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
        for Service { service, address } in egress.into_iter().flat_map(Listener::services) {
            let name = plain(&service);
            given.extend(address.map(|address| (name.clone(), address)));
            names.insert(name);
        }
        let assigned = assign_beside(&names, &given).into_iter();
        Ok(Some(Self(assigned.filter_map(|(name, address)| Some((parsed(&name)?, address))).collect())))
    }
}

/// The name of a virtual service as resolvers ask for it; none where no resolver could.
fn parsed(name: &str) -> Option<LowerName> {
    if name.parse::<IpAddr>().is_ok() || name.contains('*') {
        return None;
    }
    let mut parsed = Name::from_str_relaxed(name).ok().filter(|name| !name.is_root())?;
    parsed.set_fqdn(true);
    Some(LowerName::new(&parsed))
}

/// A domain of a route or the name of a service in lower case, without its port and the dot at its end.
fn plain(domain: &str) -> String {
    let name = match domain.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => domain,
    };
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
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
        let domains = egress.flat_map(|host| &host.domains);
        domains.filter(|domain| *domain != "*").map(|domain| plain(domain)).collect()
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
    /// The services that chains of the listener say they are for.
    fn services(self) -> impl Iterator<Item = Service> {
        let of = |chain: FilterChain| chain.metadata?.filter_metadata.remove(METADATA);
        // Whatever else stands there is for other readers.
        self.filter_chains.into_iter().filter_map(of).filter_map(|said| serde_json::from_value(said).ok())
    }
}

#[derive(Deserialize)]
struct FilterChain {
    metadata: Option<Metadata>,
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
    #[serde(default)]
    address: Option<Ipv4Addr>,
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
    fn a_chain_names_its_service_and_may_say_its_address() {
        let of = |service: Value| json!({"metadata": {"filter_metadata": {METADATA: service}}});
        let chains = json!([
            of(json!({"service": "Db.apps.local", "address": "198.18.0.7"})),
            of(json!({"service": "cache.apps.local"})),
            of(json!(7)),
            {}
        ]);
        let read = VirtualNames::read(b"{}", &listeners(&chains)).expect("dumps").expect("a listener");
        assert_eq!(address(&read, "db.apps.local."), Some(Ipv4Addr::new(198, 18, 0, 7)));
        assert!(address(&read, "cache.apps.local.").is_some());
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn an_envoy_without_an_egress_listener_says_nothing() {
        for listeners in ["{}", r#"{"configs": [{"name": "lds_egress_0.0.0.0_15001"}]}"#] {
            assert_eq!(VirtualNames::read(b"{}", listeners.as_bytes()), Ok(None), "{listeners}");
        }
        assert!(VirtualNames::read(b"{", &listeners(&json!([]))).is_err());
    }
}
