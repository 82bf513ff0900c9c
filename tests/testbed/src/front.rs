//! A proxy of ours in front of a real server on loopback, which does what the server cannot be made to: refuse, lose a
//! reply, go away. What it does is its owner's to say, and so is what it stands for.

use std::fmt;
use std::io;

use anyhow::{Context as _, Result};
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

/// A request with all of its body.
pub type Asked = Request<Bytes>;
/// An answer with all of its body.
pub type FrontAnswer = Response<Bytes>;

/// A proxy on a free port, which ends when dropped.
#[derive(Debug)]
pub struct Front {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    task: JoinHandle<()>,
}

impl Front {
    /// Starts a proxy whose requests get what `answer` says; on `None` the connection is cut, as if the reply were lost.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn start<F, A>(answer: F) -> Result<Self>
    where
        F: Fn(Asked, Upstream) -> A + Clone + Send + 'static,
        A: Future<Output = Option<FrontAnswer>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free TCP port")?;
        let url = format!("http://{}", listener.local_addr()?);
        let upstream = Upstream(Client::builder(TokioExecutor::new()).build_http());
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (answer, upstream) = (answer.clone(), upstream.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (answer, upstream) = (answer.clone(), upstream.clone());
                    async move {
                        let (parts, body) = request.into_parts();
                        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
                        let answered = answer(Request::from_parts(parts, body), upstream).await;
                        // hyper closes the connection on an error of the service.
                        answered.map(|answer| answer.map(Full::new)).ok_or_else(|| io::Error::other(Cut))
                    }
                });
                // A client that goes away is its own affair, and so is a connection that was cut.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { url, task })
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

/// The way to the server behind the proxy.
#[derive(Clone, Debug)]
pub struct Upstream(Client<HttpConnector, Full<Bytes>>);

impl Upstream {
    /// The answer of the server at `base` (`http://127.0.0.1:PORT`); 502 with the reason when it gives none.
    pub async fn forward(&self, base: &str, asked: Asked) -> FrontAnswer {
        match self.try_forward(base, asked).await {
            Ok(answer) => answer,
            Err(error) => refusal(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
        }
    }

    async fn try_forward(&self, base: &str, asked: Asked) -> Result<FrontAnswer> {
        let (mut parts, body) = asked.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        parts.uri = format!("{base}{target}").parse()?;
        let (parts, body) = self.0.request(Request::from_parts(parts, Full::from(body))).await?.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }
}

/// An answer that refuses.
#[must_use]
pub fn refusal(status: StatusCode, body: &str) -> FrontAnswer {
    let mut answer = Response::new(Bytes::copy_from_slice(body.as_bytes()));
    *answer.status_mut() = status;
    answer
}
