//! A proxy of ours between the control plane and moto, which does what moto cannot be told to: throttle, in the words
//! that AWS's service uses, and go away and come back with what it knew. It is a stand-in for the network and for AWS's
//! front, for nothing else.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the proxy does with requests.
#[derive(Clone, Debug)]
pub enum Manner {
    /// They go to this endpoint; when it does not answer, the proxy answers 502.
    Forward(String),
    /// They are too many.
    Throttle,
}

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The operation: `DiscoverInstances`.
    pub operation: String,
    pub status: StatusCode,
}

struct Shared {
    manner: Mutex<Manner>,
    answered: Mutex<Vec<Answered>>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A proxy on a free port, which ends when dropped.
pub struct Front {
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Front {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let shared = Arc::new(Shared { manner: Mutex::new(manner), answered: Mutex::default(), client });
        let serving = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let shared = Arc::clone(&serving);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                // A client that goes away is its own affair.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, shared, task }
    }

    /// Changes what the proxy does, and forgets what it answered.
    pub fn set(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
        self.shared.answered.lock().unwrap().clear();
    }

    /// What it answered since it does what it does, in order.
    pub fn answered(&self) -> Vec<Answered> {
        self.shared.answered.lock().unwrap().clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    let operation = target.and_then(|target| target.split('.').next_back()).unwrap_or_default().to_owned();
    let manner = shared.manner.lock().unwrap().clone();
    let response = match manner {
        Manner::Throttle => {
            let body = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;
            refusal(StatusCode::BAD_REQUEST, body)
        }
        Manner::Forward(upstream) => forward(&shared.client, &upstream, request)
            .await
            .unwrap_or_else(|reason| refusal(StatusCode::BAD_GATEWAY, &reason)),
    };
    shared.answered.lock().unwrap().push(Answered { operation, status: response.status() });
    Ok(response)
}

fn refusal(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", "application/x-amz-json-1.1".parse().unwrap());
    response
}

async fn forward(
    client: &Client<HttpConnector, Full<Bytes>>,
    upstream: &str,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, String> {
    let (mut parts, body) = request.into_parts();
    parts.uri = format!("{upstream}{}", parts.uri.path()).parse().unwrap();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let answer = client.request(Request::from_parts(parts, Full::from(body))).await;
    let (parts, body) = answer.map_err(|error| error.to_string())?.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Response::from_parts(parts, Full::from(body)))
}
