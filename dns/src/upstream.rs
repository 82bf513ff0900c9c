//! Which servers other names are forwarded to. Pure.

use std::net::{IpAddr, SocketAddr};

use crate::Error;

/// The port of DNS.
const PORT: u16 = 53;
/// The most servers that are asked: more would be tried when a client has long given up.
const MOST: usize = 8;

/// The servers that are `given`, or those that `resolv_conf`, a text as in resolv.conf(5), names when none is. One that is `own` would
/// ask itself for ever.
///
/// # Errors
/// One of those that are given is `own`, or none is left.
pub fn upstreams(
    given: &[SocketAddr],
    resolv_conf: Option<&str>,
    own: SocketAddr,
) -> Result<Vec<SocketAddr>, Error> {
    if given.contains(&own) {
        return Err(Error::Loop(own));
    }
    let named = resolv_conf.filter(|_| given.is_empty()).into_iter().flat_map(nameservers);
    let mut found: Vec<SocketAddr> = Vec::new();
    for server in given.iter().copied().chain(named) {
        if server != own && !found.contains(&server) && found.len() < MOST {
            found.push(server);
        }
    }
    if found.is_empty() { Err(Error::NoUpstream(own)) } else { Ok(found) }
}

/// The servers that a resolv.conf names, in its order. One of a link (`fe80::1%eth0`) is left out: its scope is a name
/// that this program does not look up.
fn nameservers(text: &str) -> impl Iterator<Item = SocketAddr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse::<IpAddr>().ok()
    });
    servers.map(|server| SocketAddr::new(server, PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "127.0.0.153:53";

    fn found(given: &[&str], resolv_conf: &str) -> Result<Vec<String>, String> {
        let given: Vec<SocketAddr> = given.iter().map(|text| text.parse().expect("an address")).collect();
        let found = upstreams(&given, Some(resolv_conf), OWN.parse().expect("an address"));
        found.map(|found| found.iter().map(ToString::to_string).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_file_names_them_unless_somebody_else_does() {
        let file = "# nameserver 1.1.1.1\nsearch x\nnameserver 10.0.0.2\n nameserver\t::1 \nnameserver 10.0.0.2\n\
                    nameserver fe80::1%eth0\nnameserver\noptions a\n";
        assert_eq!(found(&[], file), Ok(vec!["10.0.0.2:53".to_owned(), "[::1]:53".to_owned()]));
        assert_eq!(found(&["10.0.0.9:5353"], file), Ok(vec!["10.0.0.9:5353".to_owned()]));
    }

    #[test]
    fn nobody_is_forwarded_to_themselves() {
        let file = "nameserver 127.0.0.153\nnameserver 10.0.0.2\n";
        assert_eq!(found(&[], file), Ok(vec!["10.0.0.2:53".to_owned()]));
        let alone = found(&[], "nameserver 127.0.0.153\n").expect_err("none left");
        assert!(alone.contains("--upstream") && alone.contains(OWN), "{alone}");
        let given = found(&["10.0.0.2:53", OWN], file).expect_err("itself");
        assert!(given.contains("would ask itself"), "{given}");
    }

    #[test]
    fn there_are_not_too_many() {
        let file: String = (1..=20).map(|host| format!("nameserver 10.0.0.{host}\n")).collect();
        assert_eq!(found(&[], &file).map(|found| found.len()), Ok(MOST));
    }
}
