//! An address or a range of addresses. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A range of addresses: all those that share the first `length` bits of `address`, whose other bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// The range of `length` bits around `address`; nothing when the family has fewer bits.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shl(32_u32.checked_sub(length.into())?).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & host).into()
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shl(128_u32.checked_sub(length.into())?).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & host).into()
            }
        };
        Some(Self { address, length })
    }

    /// Whether it is a range of IPv6 addresses.
    pub fn is_ipv6(&self) -> bool {
        self.address.is_ipv6()
    }

    /// The range in the form `ADDRESS/LENGTH`, also for a single address.
    pub fn with_length(&self) -> String {
        format!("{}/{}", self.address, self.length)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not an IP address or a range like 10.0.0.0/8");
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u8>().map_err(|_| expected())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| expected())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(bits);
        Self::new(address, length)
            .ok_or_else(|| format!("{text:?}: the length of the range is at most {bits}"))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let single = if self.is_ipv6() { 128 } else { 32 };
        if self.length == single { self.address.fmt(f) } else { f.write_str(&self.with_length()) }
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_what_it_parsed_with_the_host_bits_cleared() {
        let cases = [
            ("169.254.169.254", "169.254.169.254"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("fd00:ec2::254", "fd00:ec2::254"),
            ("fd00:ec2::254/32", "fd00:ec2::/32"),
            ("::/0", "::/0"),
            ("10.0.0.1/32", "10.0.0.1"),
        ];
        for (text, shown) in cases {
            assert_eq!(text.parse::<Network>().map(|network| network.to_string()), Ok(shown.to_owned()));
        }
    }

    #[test]
    fn rejects_what_is_no_range() {
        for text in ["", "10.0.0", "10.0.0.0/x", "name", "10.0.0.0/300"] {
            let error = text.parse::<Network>().expect_err(text);
            assert!(error.contains("is not an IP address or a range"), "{error}");
        }
        for (text, bound) in [("10.0.0.0/33", "at most 32"), ("::/129", "at most 128")] {
            assert!(text.parse::<Network>().expect_err(text).contains(bound));
        }
    }
}
