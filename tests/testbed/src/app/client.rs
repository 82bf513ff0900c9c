//! The client of the application: one request, with an ordinary pooled HTTP client that resolves names by the
//! system's resolver and opens connections by name and port.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};

use super::server::{RESPONDER, frame};
use super::{Protocol, raw, tcp, upgrade};

/// A request without an answer for so long has failed: longer than App Mesh's default timeout of 15 s, so that the
/// proxy's own answer is seen.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a request is made of.
#[derive(Debug, Clone)]
pub struct AppCall {
    /// Where it goes; `tcp://NAME:PORT` for TCP.
    pub url: Uri,
    /// What it speaks.
    pub protocol: Protocol,
    /// The method; gRPC always uses POST.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// What TCP begins with before anything is read; all that is sent of raw HTTP.
    pub opening: Vec<u8>,
    /// What the connection is to be upgraded to, in HTTP.
    pub upgrade: Option<String>,
}

/// What came back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppAnswer {
    /// The HTTP status; 200 for TCP.
    pub status: u16,
    /// gRPC's status, from trailers or headers.
    pub grpc_status: Option<String>,
    /// Who answered: empty when it was no server of the application (a proxy's own answer).
    pub responder: String,
    /// Headers of the answer.
    pub headers: BTreeMap<String, String>,
    /// The body, as text.
    pub body: String,
}

impl AppAnswer {
    /// Who answered with success, or the reason why it is none.
    ///
    /// # Errors
    /// The status is not 200, or gRPC's is not 0.
    pub fn outcome(self) -> Result<String, String> {
        match (self.status, self.grpc_status.as_deref()) {
            (200, None | Some("0")) => Ok(self.responder),
            (200, Some(status)) => Err(format!("grpc-status {status} {}", self.responder)),
            (status, _) => Err(format!("status {status} {}", self.body.chars().take(80).collect::<String>())),
        }
    }
}

/// A client with its own connections.
#[derive(Debug, Clone)]
pub struct Client(Pool<HttpConnector, Full<Bytes>>);

impl Client {
    /// A client that speaks `protocol` only.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut pool = Pool::builder(TokioExecutor::new());
        pool.http2_only(matches!(protocol, Protocol::Http2 | Protocol::Grpc));
        Self(pool.build(connector))
    }

    /// Makes the call.
    ///
    /// # Errors
    /// No answer within 20 s, no connection, or the connection broke.
    pub async fn send(&self, call: &AppCall) -> Result<AppAnswer> {
        tokio::time::timeout(TIMEOUT, self.exchange(call)).await.context("timed out")?
    }

    async fn exchange(&self, call: &AppCall) -> Result<AppAnswer> {
        if call.protocol == Protocol::Tcp {
            let authority = call.url.authority().context("no host in the URL")?;
            let responder = tcp::call(authority.as_str(), &call.opening).await?;
            return Ok(AppAnswer {
                status: 200,
                grpc_status: None,
                responder,
                headers: BTreeMap::new(),
                body: String::new(),
            });
        }
        if call.protocol == Protocol::Raw {
            let authority = call.url.authority().context("no host in the URL")?;
            return raw::call(authority.as_str(), &call.opening).await;
        }
        if let Some(token) = &call.upgrade {
            let response = upgrade::call(&call.url, token, call.protocol == Protocol::Http2).await?;
            let responder = response.headers().get(RESPONDER).map(text).unwrap_or_default();
            let status = response.status().as_u16();
            let headers = BTreeMap::new();
            return Ok(AppAnswer { status, grpc_status: None, responder, headers, body: String::new() });
        }
        let response = self.0.request(request(call)?).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = trailers.get("grpc-status").or(parts.headers.get("grpc-status"));
        Ok(AppAnswer {
            status: parts.status.as_u16(),
            grpc_status: match (call.protocol, status) {
                (_, Some(status)) => Some(text(status)),
                // A call that ends without a status has not succeeded.
                (Protocol::Grpc, None) if parts.status == StatusCode::OK => Some("missing".to_owned()),
                _ => None,
            },
            responder: parts.headers.get(RESPONDER).map(text).unwrap_or_default(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        })
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

fn request(call: &AppCall) -> Result<Request<Full<Bytes>>> {
    let grpc = call.protocol == Protocol::Grpc;
    let body = if grpc { frame(&[]) } else { Bytes::new() };
    let mut request = Request::new(Full::new(body));
    *request.uri_mut() = call.url.clone();
    *request.method_mut() = if grpc { Method::POST } else { call.method.clone() };
    *request.headers_mut() = call.headers.clone();
    if grpc {
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
    }
    Ok(request)
}

/// Reads `NAME: VALUE` lines.
///
/// # Errors
/// A line is not a header.
pub fn headers(lines: &[String]) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { bail!("{line:?} is not NAME: VALUE") };
        let name: HeaderName = name.trim().parse().with_context(|| format!("{name:?} is no header name"))?;
        headers.append(name, HeaderValue::from_str(value.trim())?);
    }
    Ok(headers)
}
