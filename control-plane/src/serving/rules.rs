//! What no request may be, whatever it asks for: one that means two things at once, or one that a web page on another name
//! made a browser send to loopback (DNS rebinding). Pure.

use std::net::IpAddr;

use fleetmesh_api::headers;
use fleetmesh_mesh::refusal::{Class, Refusal};
use http::header::{AUTHORIZATION, DATE, HOST};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName};

/// Headers that say who asks, whom, and when; each once.
const SINGLE: [HeaderName; 5] = [
    HOST,
    AUTHORIZATION,
    DATE,
    HeaderName::from_static(headers::AMZ_DATE),
    HeaderName::from_static(headers::AMZ_SECURITY_TOKEN),
];
/// How much of a foreign name an answer repeats.
const SHOWN: usize = 100;

/// The names that a listener answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Any: callers prove themselves, or enter a folder.
    Any,
    /// Those of loopback, and these.
    Loopback(Vec<String>),
}

/// Whether a request with this head may be served on a listener that answers to `hosts`.
///
/// # Errors
/// 400 for a head that means two things, 403 for a host that is not the listener's; both say what would do.
pub fn check(head: &Parts, hosts: &Hosts) -> Result<(), Refusal> {
    if let Some(name) = SINGLE.iter().find(|name| head.headers.get_all(*name).iter().nth(1).is_some()) {
        return Err(Refusal::bad_request(format!("the header {name} was sent more than once: send it once")));
    }
    if head.uri.path().contains("//") {
        return Err(Refusal::bad_request("the path has an empty segment (//): write each slash once"));
    }
    let named = named(&head.headers)?;
    if let (Some(named), Some(authority)) = (&named, head.uri.authority())
        && !same(named, authority)
    {
        return Err(Refusal::bad_request(
            "the header host and the address of the request name different hosts",
        ));
    }
    match (hosts, named.as_ref().or(head.uri.authority())) {
        // No browser leaves it out.
        (Hosts::Any, _) | (_, None) => Ok(()),
        (Hosts::Loopback(more), Some(host)) if is_ours(host.host(), more) => Ok(()),
        (Hosts::Loopback(_), Some(host)) => {
            let shown: String = host.host().chars().take(SHOWN).collect();
            Err(Refusal::new(
                Class::Forbidden,
                format!(
                    "the host {shown:?} is not this listener's: ask 127.0.0.1 or localhost, or start the control plane with --allowed-host NAME"
                ),
            ))
        }
    }
}

/// Whether both name one host, and one port as far as both say it.
fn same(one: &Authority, other: &Authority) -> bool {
    let ports = one.port_u16().zip(other.port_u16());
    one.host().eq_ignore_ascii_case(other.host()) && ports.is_none_or(|(one, other)| one == other)
}

/// The header with the host.
fn named(headers: &HeaderMap) -> Result<Option<Authority>, Refusal> {
    let Some(value) = headers.get(HOST) else { return Ok(None) };
    let parsed = Authority::try_from(value.as_bytes()).ok().filter(|host| !host.as_str().contains('@'));
    parsed.map(Some).ok_or_else(|| Refusal::bad_request("the header host is no HOST or HOST:PORT"))
}

fn is_ours(host: &str, more: &[String]) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(|address| address.to_canonical().is_loopback())
        || host == "localhost"
        || host.ends_with(".localhost")
        || more.iter().any(|name| name.eq_ignore_ascii_case(&host))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request").into_parts().0
    }

    fn status(uri: &str, headers: &[(&str, &str)], hosts: &Hosts) -> u16 {
        check(&head(uri, headers), hosts).err().map_or(200, |refusal| refusal.class.status())
    }

    #[test]
    fn a_page_of_another_name_does_not_reach_loopback() {
        let hosts = Hosts::Loopback(vec!["mesh.example".into()]);
        let of = |host: &str| status("/v20190125/meshes", &[("host", host)], &hosts);
        for host in [
            "127.0.0.1:9080",
            "localhost:9080",
            "LocalHost",
            "127.8.9.1",
            "[::1]:9080",
            "a.localhost",
            "mesh.example:1",
        ] {
            assert_eq!(of(host), 200, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9080",
            "localhost.evil.example",
            "10.0.0.1",
            "127.0.0.1.evil.example",
        ] {
            assert_eq!(of(host), 403, "{host}");
        }
        assert_eq!(status("/", &[("host", "")], &hosts), 400);
        assert_eq!(status("/", &[("host", "evil.example")], &Hosts::Any), 200, "callers prove themselves");
        assert_eq!(status("http://evil.example/", &[], &hosts), 403, "HTTP/2 has it in the address");
        assert_eq!(status("http://evil.example/", &[("host", "localhost")], &hosts), 400);
        assert_eq!(status("/", &[], &hosts), 200);
        let long = format!("{}.example", "a".repeat(5000));
        let refusal = check(&head("/", &[("host", &long)]), &hosts).expect_err("a stranger");
        assert!(refusal.message.len() < 400 && refusal.message.contains("--allowed-host"), "{refusal}");
    }

    #[test]
    fn a_head_that_means_two_things_is_refused() {
        for name in ["host", "authorization", "date", "x-amz-date", "x-amz-security-token"] {
            let twice = [("host", "localhost"), (name, "localhost"), (name, "localhost")];
            assert_eq!(status("/", &twice[usize::from(name == "host")..], &Hosts::Any), 400, "{name}");
        }
        for path in ["//v20190125/meshes", "/v20190125//meshes", "/v20190125/meshes//"] {
            assert_eq!(status(path, &[("host", "localhost")], &Hosts::Any), 400, "{path}");
        }
        assert_eq!(status("/v20190125/tags?resourceArn=a//b", &[("host", "localhost")], &Hosts::Any), 200);
    }
}
