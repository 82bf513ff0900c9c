//! Stand-ins for what of AWS cannot be had in a test: an App Mesh endpoint that does not tell about proxies, in front of
//! a real control plane, and one that refuses every signature, in the words that AWS's service uses.

use std::convert::Infallible;
use std::sync::Arc;

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

/// What the endpoint does with requests.
pub enum Manner {
    /// App Mesh's API goes to the control plane at this address; anything else does not exist, as at AWS.
    AppMeshOnly(String),
    /// Nobody is known.
    UnknownClient,
}

/// An endpoint on a free port, which ends when dropped.
pub struct Front {
    pub url: String,
    task: JoinHandle<()>,
}

impl Front {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let client = Client::builder(TokioExecutor::new()).build_http();
        let shared = Arc::new((manner, client));
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                // A client that goes away is its own affair.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, task }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Upstream = Client<HttpConnector, Full<Bytes>>;

async fn answer(
    shared: Arc<(Manner, Upstream)>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (manner, client) = shared.as_ref();
    Ok(match manner {
        Manner::UnknownClient => {
            let body = r#"{"message":"The security token included in the request is invalid."}"#;
            refusal(StatusCode::FORBIDDEN, Some("UnrecognizedClientException"), body)
        }
        Manner::AppMeshOnly(_) if !is_app_mesh(request.uri().path()) => {
            refusal(StatusCode::FORBIDDEN, None, "<UnknownOperationException/>")
        }
        Manner::AppMeshOnly(upstream) => forward(client, upstream, request)
            .await
            .unwrap_or_else(|reason| refusal(StatusCode::BAD_GATEWAY, None, &reason)),
    })
}

fn is_app_mesh(path: &str) -> bool {
    path.starts_with("/v20190125/")
}

fn refusal(status: StatusCode, kind: Option<&str>, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_owned()));
    *response.status_mut() = status;
    if let Some(kind) = kind {
        response.headers_mut().insert("x-amzn-errortype", kind.parse().unwrap());
    }
    response
}

async fn forward(
    client: &Upstream,
    upstream: &str,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, String> {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    parts.uri = format!("{upstream}{target}").parse().unwrap();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    let answer = client.request(Request::from_parts(parts, Full::from(body))).await;
    let (parts, body) = answer.map_err(|error| error.to_string())?.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
    Ok(Response::from_parts(parts, Full::from(body)))
}
