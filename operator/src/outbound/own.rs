//! Whether an address is the operator's own, on any interface: the operating system does not allow binding another host's. Binds UDP
//! sockets, and sends nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use super::forbidden::embedded;

/// Addresses for documentation (RFC 5737, RFC 3849), which no host has: who can bind one can bind any.
const NOBODYS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// Whether `address`, or the IPv4 address that it carries, is one of this host's, or of this Pod's. Where the system lets
/// everybody bind any address (`ip_nonlocal_bind`), it cannot be found out, and none is.
pub fn is_own(address: IpAddr) -> bool {
    embedded(address).into_iter().any(|one| {
        let significant =
            NOBODYS.iter().filter(|other| other.is_ipv4() == one.is_ipv4()).all(|other| !binds(*other));
        significant && binds(one)
    })
}

fn binds(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_address_is_ones_own_when_it_can_be_bound() {
        for own in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::127.0.0.1"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.7", "198.51.100.1", "2001:db8::7", "::ffff:192.0.2.7"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }
}
