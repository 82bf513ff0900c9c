//! The address of a control plane as a person writes it. Pure.

use std::fmt;
use std::str::FromStr;

/// The longest path that the kernel takes for a Unix socket, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// Where a control plane serves proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlPlaneAddress {
    /// A Unix socket, by its absolute path.
    Unix(String),
    /// A TCP port, without TLS.
    Tcp {
        /// A name or an IP address, the latter without brackets.
        host: String,
        /// The port, 1 to 65535.
        port: u16,
    },
    /// A TCP port, over TLS with certificates on both sides.
    Tls {
        /// A name or an IP address, the latter without brackets; the control plane's certificate must be for it.
        host: String,
        /// The port, 1 to 65535.
        port: u16,
    },
}

impl FromStr for ControlPlaneAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return unix_path(path).map(Self::Unix);
        }
        match text.split_once("://") {
            Some(("http", authority)) => {
                host_and_port(authority).map(|(host, port)| Self::Tcp { host, port })
            }
            Some(("https", authority)) => {
                host_and_port(authority).map(|(host, port)| Self::Tls { host, port })
            }
            Some((scheme, _)) => Err(format!(
                "unknown scheme {scheme:?}: expected unix:/PATH, https://HOST:PORT, http://HOST:PORT or HOST:PORT"
            )),
            None => host_and_port(text).map(|(host, port)| Self::Tcp { host, port }),
        }
    }
}

/// The form that both `fleetmesh` and AWS's image (`APPMESH_XDS_ENDPOINT`) read: `HOST:PORT` or `unix:///PATH`;
/// `https://HOST:PORT`, which `fleetmesh` alone reads.
impl fmt::Display for ControlPlaneAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Unix(path) => return write!(f, "unix://{path}"),
            Self::Tcp { host, port } => ("", host, port),
            Self::Tls { host, port } => ("https://", host, port),
        };
        if host.contains(':') {
            write!(f, "{scheme}[{host}]:{port}")
        } else {
            write!(f, "{scheme}{host}:{port}")
        }
    }
}

pub(super) fn unix_path(path: &str) -> Result<String, String> {
    // unix:///run/x is the URL form of unix:/run/x.
    let path = if path.starts_with("///") { &path[2..] } else { path };
    if !path.starts_with('/') || path.starts_with("//") {
        return Err(format!("{path:?} is not an absolute path: write unix:/run/fleetmesh/ads.sock"));
    }
    if path.len() > MAX_SOCKET_PATH {
        return Err(format!(
            "the path of a Unix socket has at most {MAX_SOCKET_PATH} bytes, this one {}",
            path.len()
        ));
    }
    Ok(path.to_owned())
}

fn host_and_port(authority: &str) -> Result<(String, u16), String> {
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let Some((host, port)) = authority.rsplit_once(':') else {
        return Err(format!("{authority:?} has no port: write HOST:PORT, for example 127.0.0.1:18000"));
    };
    let port = match port.parse::<u16>() {
        Ok(port) if port > 0 => port,
        _ => {
            return Err(format!(
                "{port:?} is not a port: a number from 1 to 65535 was expected after the last colon"
            ));
        }
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => host,
        None if is_name(host) => host,
        _ => return Err(format!("{host:?} is not a host: write a name, an IPv4 address or [IPv6 address]")),
    };
    Ok((host.to_owned(), port))
}

fn is_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && host.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Result<ControlPlaneAddress, String> {
        Ok(ControlPlaneAddress::Tcp { host: host.to_owned(), port })
    }

    #[test]
    fn accepts_sockets_urls_and_bare_addresses() {
        let socket = Ok(ControlPlaneAddress::Unix("/run/ads.sock".to_owned()));
        assert_eq!("unix:/run/ads.sock".parse(), socket);
        assert_eq!("unix:///run/ads.sock".parse(), socket);
        assert_eq!("http://control.example:18000/".parse(), tcp("control.example", 18000));
        assert_eq!("127.0.0.1:18000".parse(), tcp("127.0.0.1", 18000));
        assert_eq!("[::1]:18000".parse(), tcp("::1", 18000));
    }

    #[test]
    fn displays_what_parses_back() {
        for (text, shown) in [
            ("unix:/run/ads.sock", "unix:///run/ads.sock"),
            ("http://control.example:18000/", "control.example:18000"),
            ("[::1]:18000", "[::1]:18000"),
            ("https://control.example:18443", "https://control.example:18443"),
            ("https://[::1]:18443", "https://[::1]:18443"),
        ] {
            let address: ControlPlaneAddress = text.parse().expect("an address");
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn rejects_with_what_to_write_instead() {
        let long = format!("unix:/{}", "x".repeat(107));
        let cases = [
            ("unix:ads.sock", "not an absolute path"),
            ("unix://host/ads.sock", "not an absolute path"),
            (long.as_str(), "at most 107 bytes, this one 108"),
            ("https://control.example", "has no port"),
            ("ftp://x:1", "unknown scheme \"ftp\""),
            ("control.example", "has no port"),
            ("control.example:0", "\"0\" is not a port"),
            ("control.example:65536", "\"65536\" is not a port"),
            ("::1:18000", "write a name, an IPv4 address or [IPv6 address]"),
            (":18000", "is not a host"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<ControlPlaneAddress>().expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
