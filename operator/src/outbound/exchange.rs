//! One exchange over a connection of its own: no pool, no proxy from the environment, no redirect. The caller bounds its time.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Body as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::address::ProviderHost;
use super::{OutboundFailure, OutboundPlace, Question, tls};

/// The longest body that is read, in bytes.
pub const LONGEST: usize = 64 * 1024;
/// The longest head of an answer, in bytes, and the most headers in it.
const LONGEST_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// What a server answered.
#[derive(Clone, PartialEq, Eq)]
pub struct ExchangeAnswer {
    /// The status code.
    pub status: u16,
    /// The body. It is the server's: nothing of it is to be repeated.
    pub body: Bytes,
}

/// Its body is not for logs.
impl std::fmt::Debug for ExchangeAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answer({}, {} bytes)", self.status, self.body.len())
    }
}

/// Asks `place` at `address`, one of those that its name led to.
///
/// # Errors
/// See [`OutboundFailure`].
pub async fn exchange(
    place: &OutboundPlace,
    address: IpAddr,
    question: Question,
) -> Result<ExchangeAnswer, OutboundFailure> {
    let stream = TcpStream::connect(SocketAddr::new(address, place.address.port)).await;
    let stream = stream.map_err(|_| OutboundFailure::Unreachable)?;
    let request = request(place, question)?;
    if !place.address.tls {
        return converse(stream, request).await;
    }
    let name = match &place.address.host {
        ProviderHost::Ip(ip) => ServerName::from(*ip),
        ProviderHost::Name(name) => ServerName::try_from(name.clone())
            .map_err(|_| OutboundFailure::Malformed("its host is no DNS name"))?,
    };
    let connector = TlsConnector::from(tls::config(place.ca_bundle.as_deref())?);
    let stream = connector.connect(name, stream).await.map_err(|_| OutboundFailure::Untrusted)?;
    converse(stream, request).await
}

fn request(place: &OutboundPlace, question: Question) -> Result<Request<Full<Bytes>>, OutboundFailure> {
    let (method, behind, body) = match question {
        Question::Get(behind) => (Method::GET, behind, None),
        Question::Post(json) => (Method::POST, String::new(), Some(json)),
    };
    let mut target = format!("{}{behind}", place.address.path);
    if !target.starts_with('/') {
        target.insert(0, '/');
    }
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(HOST, place.address.authority())
        .header(USER_AGENT, concat!("fleetmesh/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json")
        .header(CONNECTION, "close");
    if let Some(authorization) = &place.authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    if body.is_some() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    let body = Full::new(Bytes::from(body.unwrap_or_default()));
    request.body(body).map_err(|_| OutboundFailure::Malformed("it makes no request"))
}

async fn converse<S>(stream: S, request: Request<Full<Bytes>>) -> Result<ExchangeAnswer, OutboundFailure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let protocol = |error: hyper::Error| match error.is_parse_too_large() {
        true => OutboundFailure::TooLong("16 KiB and 64 headers before a body"),
        false => OutboundFailure::Protocol,
    };
    let handshake = http1::Builder::new()
        .max_buf_size(2 * LONGEST_HEAD)
        .max_header_size(LONGEST_HEAD)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = handshake.map_err(protocol)?;
    // It is ended with this future, whoever ends that.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender.send_request(request).await.map_err(protocol)?;
    let status = answer.status().as_u16();
    let body = answer.into_body();
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(OutboundFailure::TooLong("64 KiB"));
    }
    let body =
        Limited::new(body, LONGEST).collect().await.map_err(|error| match error
            .is::<http_body_util::LengthLimitError>(
        ) {
            true => OutboundFailure::TooLong("64 KiB"),
            false => OutboundFailure::Protocol,
        })?;
    Ok(ExchangeAnswer { status, body: body.to_bytes() })
}
