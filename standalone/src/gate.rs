//! What a request has to have before anybody reads what it asks for: the host of this listener, and the token.

use axum::body::Body;
use axum::response::Response;
use fleetmesh_standalone_core::status::Status;
use http::header::{AUTHORIZATION, HOST};
use http::uri::Authority;
use http::{HeaderMap, Request};
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

use crate::api::{Api, Caller, failure};

/// The user of the token.
const USER: &str = "fleetmesh-admin";
/// Pages that anybody on this host may see: they say nothing but whether the API is there.
const OPEN: [&str; 3] = ["/livez", "/readyz", "/healthz"];
/// How much of a foreign name an answer repeats.
const SHOWN: usize = 100;

/// The API behind its checks. Clones are the same.
#[derive(Clone)]
pub struct Gate {
    api: Api,
    token: Arc<str>,
    hosts: Arc<[String]>,
}

impl Gate {
    /// Lets those pass who have `token`, and ask loopback or one of `hosts`.
    pub fn new(api: Api, token: &str, hosts: Vec<String>) -> Self {
        Self { api, token: token.into(), hosts: hosts.into() }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        match self.check(&request) {
            Ok(caller) => self.api.answer(&caller, request).await,
            Err(status) => failure(&status),
        }
    }

    fn check(&self, request: &Request<Body>) -> Result<Caller, Status> {
        let (headers, uri) = (request.headers(), request.uri());
        host(headers, uri.authority(), &self.hosts)?;
        if OPEN.contains(&uri.path()) || self.is_known(headers) {
            return Ok(Caller::administrator(USER));
        }
        Err(Status::unauthorized())
    }

    /// Whether a request with these headers shows the token.
    pub(crate) fn is_known(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
            return false;
        };
        // As long for a wrong token as for the right one, so that nobody learns it letter by letter.
        scheme.eq_ignore_ascii_case("bearer")
            && bool::from(token.trim().as_bytes().ct_eq(self.token.as_bytes()))
    }
}

/// Whether the request is for this listener: a page of another name, which resolves to loopback, is none of ours.
fn host(headers: &HeaderMap, authority: Option<&Authority>, hosts: &[String]) -> Result<(), Status> {
    let mut values = headers.get_all(HOST).iter();
    let named = match (values.next(), values.next()) {
        (_, Some(_)) => return Err(Status::bad_request("the header host was sent more than once")),
        (Some(value), None) => Some(
            Authority::try_from(value.as_bytes())
                .map_err(|_| Status::bad_request("the header host is no HOST or HOST:PORT"))?,
        ),
        (None, None) => None,
    };
    if named.is_none() && authority.is_none() {
        return Err(Status::bad_request("the request names no host"));
    }
    // A request in absolute form has both.
    let names = named.iter().chain(authority).map(Authority::host);
    match names.into_iter().find(|name| !is_ours(name, hosts)) {
        None => Ok(()),
        Some(other) => {
            let shown: String = other.chars().take(SHOWN).collect();
            Err(Status::not_for_this_listener(format!(
                "the host {shown:?} is not this listener's: ask 127.0.0.1 or localhost, or start fleetmesh standalone with --allowed-host NAME"
            )))
        }
    }
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
    use super::*;

    #[test]
    fn every_name_that_a_request_gives_is_ours() {
        let asked = |header: Option<&str>, authority: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|name| (HOST, name.parse().expect("a value"))));
            let authority = authority.map(|name| name.parse::<Authority>().expect("an authority"));
            host(&headers, authority.as_ref(), &["mesh.example.com".to_owned()]).map_err(|status| status.code)
        };
        assert_eq!(asked(None, None), Err(400));
        assert_eq!(asked(Some("127.0.0.1:6443"), None), Ok(()));
        assert_eq!(asked(None, Some("[::1]:6443")), Ok(()));
        assert_eq!(asked(Some("localhost"), Some("MESH.example.com.")), Ok(()));
        assert_eq!(asked(Some("rebound.example"), None), Err(403));
        assert_eq!(asked(Some("localhost"), Some("rebound.example")), Err(403));
        assert_eq!(asked(Some("rebound.example"), Some("localhost")), Err(403));
        assert_eq!(asked(Some("127.0.0.1@rebound.example"), None), Err(403));
    }
}
