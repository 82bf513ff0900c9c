//! Builds the Kubernetes client, with a layer that counts and times calls and asks the hooks before writes.

use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use fleetmesh_cluster::{ConnectError, config};
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use tower::{BoxError, Layer, Service};

use crate::metrics::Metrics;
use crate::outbound::Connect;
use crate::write_hook::{Write, WriteHooks, WriteTarget};

/// A client for the cluster of the kubeconfig file, or for the one that the environment names. Nothing is called
/// yet. `hooks` are asked before each write.
///
/// # Errors
/// The configuration is missing or malformed.
pub async fn connect(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
    metrics: Metrics,
    hooks: WriteHooks,
) -> Result<Client, ConnectError> {
    let builder = ClientBuilder::try_from(config(kubeconfig, context).await?).map_err(Box::new)?;
    Ok(builder.with_layer(&CallLayer { metrics, hooks }).build())
}

/// The names by which the API server of that cluster is known: in the configuration, and within a cluster.
///
/// # Errors
/// As [`connect`].
pub async fn hosts(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Vec<String>, ConnectError> {
    let configured = config(kubeconfig, context).await?.cluster_url.host().map(ToOwned::to_owned);
    let inside = std::env::var("KUBERNETES_SERVICE_HOST").ok();
    let well_known = ["kubernetes.default", "kubernetes.default.svc"].map(ToOwned::to_owned);
    Ok(configured.into_iter().chain(inside).chain(well_known).collect())
}

/// Makes clients for that cluster, each with connections of its own: nothing is called yet, and nothing of it is counted.
///
/// # Errors
/// As [`connect`].
pub async fn connector(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Connect, ConnectError> {
    let config = config(kubeconfig, context).await?;
    Ok(Arc::new(move || Client::try_from(config.clone()).ok()))
}

#[derive(Clone, Debug)]
struct CallLayer {
    metrics: Metrics,
    hooks: WriteHooks,
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallService { inner, layer: self.clone() }
    }
}

#[derive(Clone, Debug)]
struct CallService<S> {
    inner: S,
    layer: CallLayer,
}

impl<S, B> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let CallLayer { metrics, hooks } = self.layer.clone();
        let begun = Instant::now();
        if request.method() == Method::GET {
            let exchange = self.inner.call(request);
            return Box::pin(async move {
                let answer = exchange.await.map_err(Into::into);
                metrics.answered("GET", begun.elapsed());
                answer
            });
        }
        let write = Write {
            target: WriteTarget::Kubernetes,
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
        };
        // Building the future sends nothing; it is first polled after the hook.
        let exchange = self.inner.call(request);
        Box::pin(async move {
            hooks.before(&write).await;
            let answer = exchange.await.map_err(Into::into);
            metrics.answered(&write.method, begun.elapsed());
            metrics.wrote(&write.method, answer.as_ref().ok().map(|answer| answer.status().as_u16()));
            hooks.after(&write).await?;
            answer
        })
    }
}
