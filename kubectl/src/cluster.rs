//! The connection to the cluster, as kubectl finds it.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::response::Status;
use kube::{Api, Client, Config};

use fleetmesh_crds::{Route, RouteAction};

use crate::args::RouteArgs;
use crate::error::Error;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig cannot be used.
    #[error(
        "the kubeconfig{path} cannot be used: {source}. Give another one with --kubeconfig, or another --context"
    )]
    Kubeconfig {
        /// The file with a blank before it; empty when the environment names it.
        path: String,
        /// Why.
        source: Box<kube::config::KubeconfigError>,
    },
    /// Neither a kubeconfig nor a service account was found.
    #[error("no Kubernetes cluster is configured: {0}. Give a kubeconfig with --kubeconfig")]
    Infer(#[from] Box<kube::config::InferConfigError>),
    /// The client could not be built.
    #[error("the Kubernetes client cannot be built: {0}")]
    Client(#[from] Box<kube::Error>),
}

/// A Route, and how to reach it.
pub struct Place {
    /// The Route's namespace.
    pub namespace: String,
    /// The Route's name.
    pub name: String,
    /// The Routes of the namespace.
    pub routes: Api<Route>,
    /// Its RouteActions.
    pub actions: Api<RouteAction>,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Place").field(&self.to_string()).finish()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Place {
    /// Where `args` point. Nothing is called yet.
    ///
    /// # Errors
    /// The configuration is missing or malformed.
    pub async fn of(args: &RouteArgs) -> Result<Self, ConnectError> {
        let config = config(args).await?;
        let namespace = args.cluster.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = Client::try_from(config).map_err(Box::new)?;
        Ok(Self {
            name: args.route.clone(),
            routes: Api::namespaced(client.clone(), &namespace),
            actions: Api::namespaced(client, &namespace),
            namespace,
        })
    }

    /// The Route as it is now.
    ///
    /// # Errors
    /// It does not exist, or cannot be read.
    pub async fn route(&self) -> Result<Route, Error> {
        self.routes.get(&self.name).await.map_err(|error| self.unreadable(error))
    }

    /// Why the Route could not be read.
    pub fn unreadable(&self, error: kube::Error) -> Error {
        match &error {
            kube::Error::Api(status) if self.is_missing(status) => Error::NoRoute(self.to_string()),
            _ => Error::kubernetes(format!("read the Route {self}"), error),
        }
    }

    /// The Route itself is missing; the kind would be without a name.
    fn is_missing(&self, status: &Status) -> bool {
        status.is_not_found() && status.details.as_ref().is_some_and(|details| details.name == self.name)
    }
}

async fn config(args: &RouteArgs) -> Result<Config, ConnectError> {
    let context = &args.cluster.context;
    let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
    if let Some(path) = &args.cluster.kubeconfig {
        let failed = |source| ConnectError::Kubeconfig {
            path: format!(" {}", path.display()),
            source: Box::new(source),
        };
        let file = Kubeconfig::read_from(path).map_err(failed)?;
        return Config::from_custom_kubeconfig(file, &options).await.map_err(failed);
    }
    if context.is_some() {
        let failed = |source| ConnectError::Kubeconfig { path: String::new(), source: Box::new(source) };
        return Config::from_kubeconfig(&options).await.map_err(failed);
    }
    Ok(Config::infer().await.map_err(Box::new)?)
}
