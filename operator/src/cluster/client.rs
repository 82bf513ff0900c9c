//! The Kubernetes API that an operator uses, and its client: with a layer that counts and times calls and asks the hooks before
//! writes.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use fleetmesh_cluster::{ConnectError, config};
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tower::{BoxError, Layer, Service, service_fn};

use crate::metrics::Metrics;
use crate::outbound::{ApiServers, Connect};
use crate::write_hook::{Write, WriteHooks, WriteTarget};

/// Names by which every cluster's API server is known within it.
const WELL_KNOWN: [&str; 2] = ["kubernetes.default", "kubernetes.default.svc"];

/// The Kubernetes API. Nothing is called yet.
#[derive(Clone)]
pub struct KubernetesApi {
    from: Origin,
    hosts: Vec<String>,
}

#[derive(Clone)]
enum Origin {
    /// Each client that is made of it has connections of its own.
    Config(Box<Config>),
    Client(Client),
}

impl KubernetesApi {
    /// That of the kubeconfig file, or the one that the environment names.
    ///
    /// # Errors
    /// The configuration is missing or malformed.
    pub async fn of(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, ConnectError> {
        let config = config(kubeconfig, context).await?;
        let hosts = config.cluster_url.host().map(ToOwned::to_owned).into_iter().collect();
        Ok(Self { from: Origin::Config(Box::new(config)), hosts })
    }

    /// The one that `client` reaches, which somebody else made: over the network, or a service within this process.
    pub fn new(client: Client) -> Self {
        Self { from: Origin::Client(client), hosts: Vec::new() }
    }

    /// The same, which is known by this name or address, too: no address in a Route may lead to it.
    #[must_use]
    pub fn known_as(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// A client whose calls are counted in `metrics`, and whose writes ask `hooks`.
    ///
    /// # Errors
    /// [`ConnectError::Client`].
    pub fn client(&self, metrics: Metrics, hooks: WriteHooks) -> Result<Client, ConnectError> {
        let layer = CallLayer { metrics, hooks };
        match &self.from {
            Origin::Config(config) => {
                let builder = ClientBuilder::try_from(Config::clone(config)).map_err(Box::new)?;
                Ok(builder.with_layer(&layer).build())
            }
            Origin::Client(client) => {
                let namespace = client.default_namespace().to_owned();
                let client = client.clone();
                let send = service_fn(move |request: Request<Body>| {
                    let client = client.clone();
                    async move { client.send(request).await }
                });
                Ok(Client::new(layer.layer(send), namespace))
            }
        }
    }

    /// Where its servers are: the names that are configured and well known, and what each of them says.
    pub fn api_servers(&self) -> ApiServers {
        let inside = std::env::var("KUBERNETES_SERVICE_HOST").ok();
        let well_known = WELL_KNOWN.map(ToOwned::to_owned);
        let hosts = self.hosts.iter().cloned().chain(inside).chain(well_known).collect();
        let from = self.from.clone();
        let connect: Connect = Arc::new(move || match &from {
            Origin::Config(config) => Client::try_from(Config::clone(config)).ok(),
            Origin::Client(client) => Some(client.clone()),
        });
        ApiServers::new(hosts, connect)
    }
}

/// kube's client has no `Debug`, and a configuration holds credentials.
impl fmt::Debug for KubernetesApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubernetesApi").field("hosts", &self.hosts).finish_non_exhaustive()
    }
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
