//! The API for a `kube::Client` in the same process: no socket, no TLS, no token.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use tower::Service;

use crate::api::{Api, Caller};

/// The API as a `tower` service for one caller.
#[derive(Clone)]
pub struct ApiService {
    api: Api,
    caller: Caller,
}

impl ApiService {
    /// For requests of `caller`, whom nobody asks for a proof.
    pub fn new(api: Api, caller: Caller) -> Self {
        Self { api, caller }
    }

    /// A client whose requests go to the API without leaving the process, with `default` as its namespace. It has to be made within a
    /// runtime.
    pub fn client(self) -> kube::Client {
        kube::Client::new(self, "default")
    }
}

impl<B> Service<Request<B>> for ApiService
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { api, caller } = self.clone();
        Box::pin(async move { Ok(api.answer(&caller, request.map(Body::new)).await) })
    }
}
