//! Names of hosts: what can be looked up, and what a request's Host can be. Pure.

use std::net::{IpAddr, Ipv4Addr};

use schemars::Schema;

use crate::kind::Kind;
use crate::rule::{Rule, Violations};
use crate::schema;

/// A DNS name or an address. CEL takes more for an IPv6 address than Rust does: it has no parser of its own before
/// Kubernetes 1.31.
const HOSTNAME: Rule = Rule {
    cel: r#"self.matches(r"^(((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$") || (self.matches(r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?$") && !self.matches(r"(^|\.)[0-9]+\.?$"))"#,
    message: "must be a DNS name or an IP address: no scheme, port, path or wildcard, and labels of 1 to 63 letters, digits, - and _",
};

/// The end of a DNS name, from anywhere on.
const SUFFIX: Rule = Rule {
    cel: r#"self.matches(r"^[*]?[A-Za-z0-9._-]*$") && !self.contains('..')"#,
    message: "must be the end of a host's name, of letters, digits, dots, - and _, and may begin with *: no scheme, port or path",
};

/// The name of a virtual service; [`name_fault`] says more of what is wrong with one.
pub const SERVICE_NAME: Rule = Rule {
    cel: r#"self.matches(r"^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(:[0-9]{1,5})?$") || (self.matches(r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(:[0-9]{1,5})?$") && !self.matches(r"(^|\.)[0-9]+(:[0-9]+)?$"))"#,
    message: "must be a name that requests have as their host: no scheme, path, wildcard or dot at the end, and labels of 1 to 63 letters, digits, - and _",
};

pub(crate) fn rules(schema: &mut Schema) {
    schema::add_rule(schema, &HOSTNAME);
}

/// Checks a name that proxies look up. A dot at its end is DNS's own, for a name that is complete.
pub(crate) fn check(name: &str, path: &str, violations: &mut Violations) {
    if name.parse::<IpAddr>().is_err() && !is_dns_name(name.strip_suffix('.').unwrap_or(name)) {
        violations.broken(path, &HOSTNAME, format!("{name:?}"));
    }
}

pub(crate) fn suffix_rules(schema: &mut Schema) {
    schema::add_rule(schema, &SUFFIX);
}

/// Checks the end of a name that requests may have as their host.
pub(crate) fn check_suffix(end: &str, path: &str, violations: &mut Violations) {
    let name = end.strip_prefix('*').unwrap_or(end);
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if !fits || name.contains("..") {
        violations.broken(path, &SUFFIX, format!("{end:?}"));
    }
}

fn is_dns_name(name: &str) -> bool {
    // A name that ends like an IPv4 address is taken for one.
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    !numeric && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let bounds_fit = !label.starts_with('-') && !label.ends_with('-');
    let all_fit = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    (1..=63).contains(&label.len()) && bounds_fit && all_fit
}

/// Why a resource of `kind` cannot be called `name`, and how it can; names of other kinds than virtual services are nobody's
/// hosts.
pub fn name_fault(kind: Kind, name: &str) -> Option<String> {
    match kind {
        Kind::VirtualService => service_name_fault(name),
        Kind::Mesh
        | Kind::VirtualNode
        | Kind::VirtualRouter
        | Kind::Route
        | Kind::VirtualGateway
        | Kind::GatewayRoute => None,
    }
}

/// Why a virtual service cannot be called `name`, and how it can; `None` when it can. A request finds it by its Host, which
/// may have a port.
fn service_name_fault(name: &str) -> Option<String> {
    // With a port it is for requests that name the port.
    let host =
        name.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(name, |(host, _)| host);
    if is_dns_name(host) || host.parse::<Ipv4Addr>().is_ok() {
        return None;
    }
    let way_out = if let Some(bare) = name.strip_suffix('.').filter(|bare| is_dns_name(bare)) {
        format!("leave out the dot at the end: {bare}")
    } else if name.contains("://") || name.contains('/') {
        "leave out the scheme and the path".to_owned()
    } else if name.contains('*') {
        "name one service; a wildcard would take the requests of others".to_owned()
    } else {
        "use labels of 1 to 63 letters, digits, - and _, with dots between them".to_owned()
    };
    Some(format!("no request can be for a virtual service called {name:?}: {way_out}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_hostname(name: &str) -> bool {
        let mut violations = Violations::default();
        check(name, "spec", &mut violations);
        violations.into_vec().is_empty()
    }

    #[test]
    fn a_hostname_is_one_that_can_be_looked_up() {
        let longest = "a".repeat(63);
        for good in [
            "b",
            "serviceB.apps.local",
            "a_b.local",
            "dot.local.",
            "10.77.0.30",
            "fd00::1",
            "1a.b",
            "xn--a",
            &longest,
        ] {
            assert!(is_hostname(good), "{good}");
        }
        let too_long = "a".repeat(64);
        let bad = [
            "",
            ".",
            "http://x.local/",
            "x.local:80",
            "x..local",
            ".local",
            "10.77.0.300",
            "10.77.0",
            "*.local",
            "-a.local",
            "a-.local",
            "a b",
            "é.local",
            "fd00::1::2",
            "x.local..",
            "\u{7}",
            &too_long,
        ];
        for bad in bad {
            assert!(!is_hostname(bad), "{bad}");
        }
    }

    #[test]
    fn a_virtual_service_that_no_request_can_be_for_says_how_it_can_be_called() {
        for good in [
            "serviceb.apps.local",
            "yelb-db",
            "color_server.howto-grpc.local",
            "Shop",
            "10.0.0.1",
            "b.local:80",
        ] {
            assert_eq!(service_name_fault(good), None);
        }
        let faults = [
            ("dot.local.", "leave out the dot at the end: dot.local"),
            ("http://x.local/", "leave out the scheme and the path"),
            ("x.local:http", "labels of 1 to 63"),
            ("*.local", "name one service"),
            ("x..local", "labels of 1 to 63"),
            ("10.77.0.300", "labels of 1 to 63"),
            ("a b", "labels of 1 to 63"),
        ];
        for (name, way_out) in faults {
            let fault = service_name_fault(name).expect(name);
            assert!(fault.contains(way_out) && fault.contains(&format!("{name:?}")), "{fault}");
        }
    }
}
