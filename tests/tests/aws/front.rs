//! A stand-in for what moto does not do: in front of it, it refuses an action as AWS would, or carries it out and loses
//! the reply. Everything else goes to moto, and what was asked is counted.

use std::collections::BTreeMap;
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

/// What happens to an action.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// It is refused with this status and code.
    Refuses(u16, &'static str),
    /// It is carried out, and its reply is lost, this many times.
    LosesReply(u32),
}

#[derive(Default)]
struct State {
    manners: BTreeMap<String, Manner>,
    counts: BTreeMap<String, usize>,
}

/// The front on a free port, which ends when dropped.
pub struct Front {
    pub url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

type Upstream = Client<HttpConnector, Full<Bytes>>;

impl Front {
    /// Starts it; `upstream` gives moto's address, which is known later.
    pub async fn start(upstream: tokio::sync::watch::Receiver<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let client: Upstream = Client::builder(TokioExecutor::new()).build_http();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (shared, client, upstream) = (Arc::clone(&shared), client.clone(), upstream.clone());
                let service = service_fn(move |request| {
                    answer(Arc::clone(&shared), client.clone(), upstream.borrow().clone(), request)
                });
                // A client that goes away is its own affair, and so is a connection that was cut.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { url, state, task }
    }

    /// From now on an action is met like this; as usual with `None`.
    pub fn meets(&self, action: &str, manner: Option<Manner>) {
        let mut state = self.state.lock().unwrap();
        match manner {
            Some(manner) => state.manners.insert(action.to_owned(), manner),
            None => state.manners.remove(action),
        };
    }

    /// How often an action was asked for.
    pub fn count(&self, action: &str) -> usize {
        self.state.lock().unwrap().counts.get(action).copied().unwrap_or_default()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The reply was lost: hyper closes the connection on an error of the service.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the reply is lost")
    }
}

impl std::error::Error for Lost {}

impl From<Infallible> for Lost {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    client: Upstream,
    upstream: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Lost> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    let action = text.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap_or_default();
    let manner = {
        let mut state = state.lock().unwrap();
        *state.counts.entry(action.to_owned()).or_default() += 1;
        let manner = state.manners.get(action).copied();
        if let Some(Manner::LosesReply(times)) = manner {
            let rest = times.saturating_sub(1);
            state.manners.insert(action.to_owned(), Manner::LosesReply(rest));
        }
        manner
    };
    if let Some(Manner::Refuses(status, code)) = manner {
        let body = format!(
            "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{code} from the front</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        );
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        return Ok(response);
    }
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    parts.uri = format!("{upstream}{target}").parse().unwrap();
    let answer = client.request(Request::from_parts(parts, Full::from(body.clone()))).await;
    let (parts, body) = answer.map_err(|_| Lost)?.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    if matches!(manner, Some(Manner::LosesReply(times)) if times > 0) {
        return Err(Lost);
    }
    Ok(Response::from_parts(parts, Full::from(body)))
}
