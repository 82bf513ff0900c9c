//! What `fleetmesh proxy dns` finds out about services from a proxy's configuration: how the control plane names what is on the way out,
//! and what it says of filter chains.

use std::net::IpAddr;

/// What the names of listeners begin with that take an application's connections.
pub const EGRESS_LISTENERS: &str = "lds_egress_";
/// What the names of route configurations begin with whose virtual hosts are services.
pub const EGRESS_ROUTES: &str = "rds_egress_";
/// The key of a filter chain's `filter_metadata` under which [`SERVICE`] is the name of the virtual service that the chain is for. The
/// one address that such a chain takes connections to is the service's virtual address ([`crate::virtual_addresses`]). A proxy does not
/// read them. Control planes from before it existed say nothing, and services over tcp are then no names.
pub const METADATA: &str = "fleetmesh.dev";
/// See [`METADATA`].
pub const SERVICE: &str = "service";

/// The name by which resolvers ask for `service`, a virtual service or a domain of its route: in lower case, without its port and
/// the dot at its end. `None` for what is no name: an address, or a pattern.
pub fn resolved_name(service: &str) -> Option<String> {
    let name = match service.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => service,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_address = [service, name].iter().any(|text| text.parse::<IpAddr>().is_ok());
    let is_name = !name.is_empty() && !name.contains(['*', ':', '[']) && !is_address;
    is_name.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_resolvers_ask_for() {
        for (service, name) in [
            ("Db.apps.local", "db.apps.local"),
            ("db.apps.local:5432", "db.apps.local"),
            ("db.apps.local.", "db.apps.local"),
            ("db.apps.local.:80", "db.apps.local"),
            ("db", "db"),
        ] {
            assert_eq!(resolved_name(service).as_deref(), Some(name), "{service}");
        }
        for none in
            ["", ".", ":80", "*", "*.apps.local", "10.0.0.1", "10.0.0.1:80", "fd00::1", "[fd00::1]:80"]
        {
            assert_eq!(resolved_name(none), None, "{none}");
        }
    }
}
