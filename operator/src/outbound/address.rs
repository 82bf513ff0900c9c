//! The address of an outbound request: scheme, host, port, path, and nothing else. Pure.

use std::net::IpAddr;

use url::Url;

use super::OutboundFailure;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Whether by TLS.
    pub tls: bool,
    /// The host.
    pub host: ProviderHost,
    /// The port.
    pub port: u16,
    /// The path without a `/` at its end; empty for none.
    pub path: String,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderHost {
    /// A name, to be resolved.
    Name(String),
    /// An address, in whatever notation it was written.
    Ip(IpAddr),
}

impl Address {
    /// Reads `text` by the WHATWG's rules, by which also `http://2130706433` and `http://0x7f.1` are addresses of loopback.
    ///
    /// # Errors
    /// It is no address of a server, or has parts that it must not have.
    pub fn parse(text: &str) -> Result<Self, OutboundFailure> {
        let url = Url::parse(text).map_err(|_| OutboundFailure::Malformed("it is no URL"))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(OutboundFailure::Malformed("its scheme is neither http nor https")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundFailure::Malformed(
                "it has a user: credentials belong into a Secret that a provider names",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(OutboundFailure::Malformed("it has a query or a fragment"));
        }
        let host = match url.host() {
            Some(url::Host::Domain(name)) => ProviderHost::Name(name.to_owned()),
            Some(url::Host::Ipv4(address)) => ProviderHost::Ip(address.into()),
            Some(url::Host::Ipv6(address)) => ProviderHost::Ip(address.into()),
            None => return Err(OutboundFailure::Malformed("it has no host")),
        };
        let port = url.port_or_known_default().ok_or(OutboundFailure::Malformed("it has no port"))?;
        Ok(Self { tls, host, port, path: url.path().trim_end_matches('/').to_owned() })
    }

    /// Host and port as the header Host has them.
    pub fn authority(&self) -> String {
        let host = match &self.host {
            ProviderHost::Name(name) => name.clone(),
            ProviderHost::Ip(IpAddr::V6(address)) => format!("[{address}]"),
            ProviderHost::Ip(address) => address.to_string(),
        };
        let standard = if self.tls { 443 } else { 80 };
        if self.port == standard { host } else { format!("{host}:{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_port_and_path_are_all() {
        let address = Address::parse("https://p.example.com/prom/").expect("an address");
        assert_eq!((address.tls, address.port, address.path.as_str()), (true, 443, "/prom"));
        assert_eq!(address.authority(), "p.example.com");
        let address = Address::parse("http://[fd00::1]:9090").expect("an address");
        assert_eq!((address.authority().as_str(), address.path.as_str()), ("[fd00::1]:9090", ""));
    }

    #[test]
    fn whatever_else_is_in_an_address_is_refused() {
        for text in [
            "ftp://h/",
            "file:///etc/passwd",
            "gopher://h/",
            "unix:/run/x",
            "http://",
            "h:80",
            "http://ann:secret@h/",
            "http://ann@h/",
            "http://h/?a=b",
            "http://h/?",
            "http://h/#x",
            "http://h:99999/",
            "http://a b/",
        ] {
            assert!(matches!(Address::parse(text), Err(OutboundFailure::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn numbers_are_addresses_however_they_are_written() {
        for text in
            ["http://2130706433", "http://0x7f.1", "http://0177.0.0.1", "http://127.1/", "http://127.0.0.1."]
        {
            let host = Address::parse(text).map(|address| address.host);
            assert_eq!(host, Ok(ProviderHost::Ip([127, 0, 0, 1].into())), "{text}");
        }
    }
}
