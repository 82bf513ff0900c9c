//! Requests to the embedded API, as HTTP/1.1 writes them, through the gate, the router and what is behind them. Each is tried as it
//! is, and without the token, and as a dry run. Without exactly one right token nothing but the open pages is answered, for
//! another host nothing at all, and nothing is stored: what changes something is asked as a dry run alone.

mod seeds;

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::body::{Body, to_bytes};
use fleetmesh_standalone::api::Api;
use fleetmesh_standalone::gate::Gate;
use fleetmesh_standalone::store::Store;
use fleetmesh_standalone_core::resource::Resources;
use http::header::{AUTHORIZATION, HOST};
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::super::Target;
use seeds::written;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// What is in an object, and in no answer to those who may not see it.
const CANARY: &str = "what-only-the-administrator-reads";
/// Who may be asked beside loopback.
const ALLOWED: &str = "mesh.example.com";
/// The pages that anybody may see.
const OPEN: [&str; 3] = ["/livez", "/readyz", "/healthz"];
/// The most headers of a request that is tried.
const HEADERS: usize = 64;
/// The longest answer that is read, in bytes.
const LONGEST: usize = 8 << 20;

/// See the module.
pub struct Requests {
    runtime: Runtime,
    gate: Gate,
    store: Arc<Store>,
}

/// A request that was read.
type Read = Request<Vec<u8>>;
/// The code and the body of an answer.
type Answer = (u16, Vec<u8>);

impl Requests {
    /// To an API in memory, with a few objects.
    pub fn new() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let store = Arc::new(Store::in_memory()?);
        let resources = Arc::new(Resources::new(&fleetmesh_crds::all()));
        let api = Api::new(Arc::clone(&store), resources, "127.0.0.1:6443", CancellationToken::new())?;
        let target = Self { runtime, gate: Gate::new(api, TOKEN, vec![ALLOWED.to_owned()]), store };
        let namespace = r#"{"metadata":{"name":"default"}}"#;
        let map = format!(
            r#"{{"metadata":{{"name":"a","labels":{{"app":"a"}},"annotations":{{"note":"{CANARY}"}}}},"data":{{"a":"{CANARY}"}}}}"#
        );
        let mesh = format!(
            r#"{{"apiVersion":"fleetmesh.dev/v1alpha1","kind":"Mesh","metadata":{{"name":"apps","annotations":{{"note":"{CANARY}"}}}},"spec":{{}}}}"#
        );
        for (path, body) in [
            ("/api/v1/namespaces", namespace),
            ("/api/v1/namespaces/default/configmaps", &map),
            ("/api/v1/namespaces/default/secrets", &map.replace("\"data\"", "\"stringData\"")),
            ("/apis/fleetmesh.dev/v1alpha1/meshes", &mesh),
        ] {
            let text = written("POST", path, "application/json", body);
            let (code, answer) = target.ask(read(&text).context("a request")?)?;
            anyhow::ensure!(code == 201, "{path}: {code} {}", String::from_utf8_lossy(&answer));
        }
        Ok(target)
    }

    fn ask(&self, request: Read) -> Result<Answer> {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch"));
        self.runtime.block_on(async {
            let response = self.gate.answer(request.map(Body::from)).await;
            let code = response.status().as_u16();
            // A watch that is let in has no end.
            let body = if is_watch && code == 200 { Body::empty() } else { response.into_body() };
            Ok((code, to_bytes(body, LONGEST).await?.to_vec()))
        })
    }

    /// The answer to a request; nothing may be stored by it.
    fn try_request(&self, request: &Read) -> Result<Answer, String> {
        let revision = || self.store.read(|ledger| ledger.state.revision());
        let before = revision();
        let answer = self.ask(copy(request)).map_err(|error| format!("the answer ends early: {error}"))?;
        if revision() != before {
            return Err(format!("{} {} was stored", request.method(), request.uri()));
        }
        let is_known = is_known(request);
        if !is_known && contains(&answer.1, CANARY) {
            return Err(format!("{} {} shows an object to anybody", request.method(), request.uri()));
        }
        let is_open = OPEN.contains(&request.uri().path());
        let is_let_in = !is_turned_away(&answer);
        if is_let_in && !is_known && !is_open {
            let text = String::from_utf8_lossy(&answer.1);
            return Err(format!(
                "{} {} without the token: {} {text}",
                request.method(),
                request.uri(),
                answer.0
            ));
        }
        if is_let_in && !is_for_this_host(request) {
            return Err(format!("{} {} for another host: {}", request.method(), request.uri(), answer.0));
        }
        Ok(answer)
    }
}

/// Reads a request as hyper would; nothing when it would not.
fn read(input: &[u8]) -> Option<Read> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = request.parse(input).ok().filter(httparse::Status::is_complete)?.unwrap();
    let mut builder = Request::builder().method(request.method?).uri(request.path?.parse::<Uri>().ok()?);
    for header in request.headers.iter() {
        builder = builder.header(header.name, header.value);
    }
    builder.body(input.get(length..)?.to_vec()).ok()
}

fn copy(request: &Read) -> Read {
    let mut copy = Request::new(request.body().clone());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// The same request, which stores nothing.
fn dry(request: &Read) -> Option<Read> {
    let mut dry = copy(request);
    let mut parts = request.uri().clone().into_parts();
    let text = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
    let sign = if text.contains('?') { '&' } else { '?' };
    parts.path_and_query = Some(format!("{text}{sign}dryRun=All").parse().ok()?);
    *dry.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(dry)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Whether the gate answered, and not what is behind it.
fn is_turned_away((code, body): &Answer) -> bool {
    match code {
        401 => contains(body, "\"reason\":\"Unauthorized\""),
        400 => contains(body, "the header host ") || contains(body, "the request names no host"),
        403 => contains(body, "is not this listener's"),
        _ => false,
    }
}

/// Whether the request has the token, once and nothing beside it.
fn is_known(request: &Read) -> bool {
    let values: Vec<_> = request.headers().get_all(AUTHORIZATION).iter().collect();
    let [value] = values.as_slice() else { return false };
    let Ok(value) = value.to_str() else { return false };
    let mut words = value.split_whitespace();
    let (scheme, token) = (words.next().unwrap_or_default(), words.next());
    scheme.eq_ignore_ascii_case("bearer") && token == Some(TOKEN) && words.next().is_none()
}

/// Whether every name that the request gives for its host is one of this listener.
fn is_for_this_host(request: &Read) -> bool {
    let headers: Vec<_> = request.headers().get_all(HOST).iter().collect();
    let header = headers.iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let names: Vec<String> = header.chain(request.uri().authority().map(ToString::to_string)).collect();
    headers.len() <= 1 && !names.is_empty() && names.iter().all(|name| is_ours(name))
}

fn is_ours(authority: &str) -> bool {
    let name = authority.rsplit('@').next().unwrap_or_default().to_lowercase();
    let host = match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address.to_owned(),
        None => name.split(':').next().unwrap_or_default().trim_end_matches('.').to_owned(),
    };
    let is_loopback = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.octets().first() == Some(&127),
        Ok(IpAddr::V6(address)) => {
            address.is_loopback() || address.to_ipv4_mapped().is_some_and(|address| address.is_loopback())
        }
        Err(_) => false,
    };
    is_loopback || host == "localhost" || host.ends_with(".localhost") || host == ALLOWED
}

impl Target for Requests {
    fn name(&self) -> &'static str {
        "standalone-requests"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        seeds::seeds()
    }

    fn words(&self) -> &'static [&'static [u8]] {
        seeds::WORDS
    }

    fn try_input(&self, input: &[u8]) -> Result<bool, String> {
        let Some(request) = read(input) else { return Ok(false) };
        let mut bare = copy(&request);
        bare.headers_mut().remove(AUTHORIZATION);
        self.try_request(&bare)?;
        let mut is_let_in = false;
        if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
            is_let_in |= !is_turned_away(&self.try_request(&request)?);
        }
        if let Some(dry) = dry(&request) {
            is_let_in |= !is_turned_away(&self.try_request(&dry)?);
        }
        Ok(is_let_in)
    }
}
