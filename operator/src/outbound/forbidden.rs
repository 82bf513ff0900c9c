//! Addresses that outbound requests must not use. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// AWS's metadata services, whose answers are credentials: of EC2, of containers, and EKS Pod Identity's agent; by IPv6 the
/// same. The DNS and the time of a VPC live in these ranges, too.
const METADATA_V4: &str = "a metadata service (169.254.0.0/16)";
const METADATA_V6: &str = "a metadata service (fd00:ec2::/32)";

/// What `address` is, when nobody may ask there, not even at an administrator's wish: nothing of use is there.
pub fn to_everybody(address: IpAddr) -> Option<&'static str> {
    embedded(address).into_iter().find_map(|address| match address {
        IpAddr::V4(v4) => everybody_v4(v4),
        IpAddr::V6(v6) => everybody_v6(v6),
    })
}

/// What `address` is, when no address in a Route may lead there: the operator's own host and its network's own services.
pub fn to_routes(address: IpAddr) -> Option<&'static str> {
    to_everybody(address).or_else(|| {
        let loopback = |address: &IpAddr| match address {
            IpAddr::V4(v4) => v4.is_loopback(),
            IpAddr::V6(v6) => v6.is_loopback(),
        };
        embedded(address).iter().any(loopback).then_some("the operator's own host (loopback)")
    })
}

fn everybody_v4(address: Ipv4Addr) -> Option<&'static str> {
    let first = address.octets()[0];
    if address.is_link_local() {
        Some(METADATA_V4)
    } else if first == 0 {
        Some("no host (0.0.0.0/8)")
    } else if address.is_multicast() {
        Some("a group of hosts (multicast)")
    } else if first >= 240 {
        Some("no host (240.0.0.0/4)")
    } else {
        None
    }
}

fn everybody_v6(address: Ipv6Addr) -> Option<&'static str> {
    let segments = address.segments();
    if segments[0] == 0xfd00 && segments[1] == 0x0ec2 {
        Some(METADATA_V6)
    } else if address.is_unspecified() {
        Some("no host (::)")
    } else if address.is_multicast() {
        Some("a group of hosts (multicast)")
    } else if address.is_unicast_link_local() {
        Some("the link's own hosts (fe80::/10)")
    } else {
        None
    }
}

/// The address, and the IPv4 address that an IPv6 one carries, to which the network or its translators may lead: mapped
/// (`::ffff:0:0/96`), compatible (`::/96`), translated (`64:ff9b::/96`, `64:ff9b:1::/48`), 6to4 (`2002::/16`), Teredo
/// (`2001::/32`, where it is inverted) and ISATAP (`…:0:5efe:…`).
pub fn embedded(address: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![address];
    let IpAddr::V6(v6) = address else { return all };
    let s = v6.segments();
    let v4 = |high: u16, low: u16| {
        let bits = (u32::from(high) << 16) | u32::from(low);
        IpAddr::V4(Ipv4Addr::from_bits(bits))
    };
    match s {
        // Loopback and "unspecified" are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => {}
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => {
            all.push(v4(high, low))
        }
        // RFC 6052, section 2.2: of a prefix of 48 bits the IPv4 address stands around the bits 64 to 71.
        [0x64, 0xff9b, 1, first, second, third, high, low] => {
            all.extend([v4(first, (second << 8) | (third >> 8)), v4(high, low)]);
        }
        [0x64, 0xff9b, 0, .., high, low] => all.push(v4(high, low)),
        [0x2002, high, low, ..] => all.push(v4(high, low)),
        [0x2001, 0, .., high, low] => all.push(v4(!high, !low)),
        [.., 0 | 0x200, 0x5efe, high, low] => all.push(v4(high, low)),
        _ => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn nobody_asks_metadata_services_and_what_is_no_host() {
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "169.254.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2001:0:0:0:0:0:5601:5601",
            "fe80::200:5efe:a9fe:a9fe",
            "2001:db8::5efe:169.254.169.254",
        ] {
            assert!(to_everybody(ip(text)).is_some(), "{text}");
            assert!(to_routes(ip(text)).is_some(), "{text}");
        }
    }

    #[test]
    fn routes_do_not_reach_the_operators_own_host() {
        for text in [
            "127.0.0.1",
            "127.8.9.1",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::",
        ] {
            assert_eq!(to_routes(ip(text)), Some("the operator's own host (loopback)"), "{text}");
            assert_eq!(to_everybody(ip(text)), None, "{text}: a provider may be there");
        }
    }

    #[test]
    fn hosts_of_private_and_public_networks_are_asked() {
        for text in
            ["10.0.0.7", "172.20.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "fd12:3456::1", "2600:1f18::1"]
        {
            assert_eq!(to_routes(ip(text)), None, "{text}");
        }
    }
}
