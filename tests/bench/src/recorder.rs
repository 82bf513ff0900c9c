//! A reverse proxy between the operator and the control plane that notes every App Mesh call: so calls are counted
//! and timed by neither of the two that are measured. Distribution polls are passed on and not counted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use tokio::net::TcpListener;

/// One App Mesh call: when it came, what it was about, and whether it could change something.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// When its head had been read.
    pub at: Instant,
    /// The same by the clock on the wall.
    pub when: Timestamp,
    /// Its path.
    pub path: String,
    /// PUT or DELETE.
    pub write: bool,
}

impl RecordedCall {
    /// The last part of the path: the name of the object, when it is about one.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// What was called so far.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<RecordedCall>>>);

impl Calls {
    /// Takes all calls noted since the last time.
    pub fn take(&self) -> Vec<RecordedCall> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many writes are noted.
    pub fn writes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|call| call.write).count()
    }

    fn note(&self, call: RecordedCall) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

#[derive(Clone)]
struct Relay {
    calls: Calls,
    client: Client<HttpConnector, Body>,
    upstream: SocketAddr,
}

/// Starts the recorder in front of `upstream` on a free loopback port.
///
/// # Errors
/// When no port can be had.
pub async fn start(upstream: SocketAddr) -> Result<(SocketAddr, Calls)> {
    let calls = Calls::default();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let relay = Relay { calls: calls.clone(), client, upstream };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().fallback(pass_on).with_state(relay);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream: &mut tokio::net::TcpStream| {
        // Without it the recorder would add Nagle's delay to what it measures.
        let _ = stream.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((address, calls))
}

async fn pass_on(State(relay): State<Relay>, mut request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    if path.starts_with("/v20190125/") {
        let write = matches!(*request.method(), Method::PUT | Method::DELETE);
        let path = request.uri().path().to_owned();
        relay.calls.note(RecordedCall { at: Instant::now(), when: Timestamp::now(), path, write });
    }
    let Ok(uri) = format!("http://{}{path}", relay.upstream).parse::<Uri>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    *request.uri_mut() = uri;
    match relay.client.request(request).await {
        Ok(response) => response.into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
