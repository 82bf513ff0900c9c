//! Instances of a service, and the addresses at which a virtual node's callers reach them. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fleetmesh_model::common::IpPreference;
use fleetmesh_model::service_discovery::AwsCloudMapInstanceAttribute;
use serde::{Deserialize, Serialize};

const IPV4: &str = "AWS_INSTANCE_IPV4";
const IPV6: &str = "AWS_INSTANCE_IPV6";
const PORT: &str = "AWS_INSTANCE_PORT";

/// A registered instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredInstance {
    /// Its id, unique in its service.
    pub id: String,
    /// Whether Cloud Map's health check, or whoever reports to a custom one, says that it is unhealthy.
    pub unhealthy: bool,
    /// Its attributes, those of AWS and those that it was registered with.
    pub attributes: BTreeMap<String, String>,
}

/// How the callers of one port of a virtual node choose among instances.
#[derive(Clone, Copy, Debug)]
pub struct AttributeChoice<'a> {
    /// The attributes that an instance must have, with these values.
    pub attributes: &'a [AwsCloudMapInstanceAttribute],
    /// Which of its addresses is used. App Mesh does not say what it prefers by itself; IPv4 is what old nodes have.
    pub preference: Option<IpPreference>,
    /// The port of the virtual node's listener, used for an instance that has no port of its own.
    pub port: u16,
    /// Whether that listener is the node's only one. One number cannot stand for several listeners, so with more of
    /// them the port of an instance is not used.
    pub only_listener: bool,
}

/// Where the instances are reached, in order and each once. As App Mesh had it, an instance needs every attribute; one
/// without an address of the wanted kind cannot be reached and is left out. Unhealthy instances are left out unless
/// there would be no other.
pub fn addresses(instances: &[RegisteredInstance], choice: AttributeChoice<'_>) -> Vec<SocketAddr> {
    let reached = instances.iter().filter(|instance| instance.matches(choice.attributes));
    let reached = reached.filter_map(|instance| Some((instance.unhealthy, instance.address(choice)?)));
    let reached: Vec<(bool, SocketAddr)> = reached.collect();
    let all_unhealthy = reached.iter().all(|(unhealthy, _)| *unhealthy);
    let used = reached.into_iter().filter(|(unhealthy, _)| all_unhealthy || !unhealthy);
    let mut addresses: Vec<SocketAddr> = used.map(|(_, address)| address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

impl RegisteredInstance {
    /// All of its addresses.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        let v4 = self.parsed::<Ipv4Addr>(IPV4).map(IpAddr::from);
        v4.into_iter().chain(self.parsed::<Ipv6Addr>(IPV6).map(IpAddr::from))
    }

    fn matches(&self, attributes: &[AwsCloudMapInstanceAttribute]) -> bool {
        attributes.iter().all(|wanted| self.attributes.get(&wanted.key) == Some(&wanted.value))
    }

    fn address(&self, choice: AttributeChoice<'_>) -> Option<SocketAddr> {
        let v4 = || self.parsed::<Ipv4Addr>(IPV4).map(IpAddr::from);
        let v6 = || self.parsed::<Ipv6Addr>(IPV6).map(IpAddr::from);
        let ip = match choice.preference {
            None | Some(IpPreference::Ipv4Preferred) => v4().or_else(v6),
            Some(IpPreference::Ipv6Preferred) => v6().or_else(v4),
            Some(IpPreference::Ipv4Only) => v4(),
            Some(IpPreference::Ipv6Only) => v6(),
        }?;
        let own = self.parsed::<u16>(PORT).filter(|port| *port > 0 && choice.only_listener);
        Some(SocketAddr::new(ip, own.unwrap_or(choice.port)))
    }

    fn parsed<T: std::str::FromStr>(&self, attribute: &str) -> Option<T> {
        self.attributes.get(attribute)?.trim().parse().ok()
    }
}
