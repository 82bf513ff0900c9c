//! The connection to the cluster, as kubectl finds it.

use fleetmesh_cluster::{ConnectError, config};
use kube::core::response::Status;
use kube::{Api, Client};

use fleetmesh_crds::{Route, RouteAction};

use crate::args::RouteArgs;
use crate::error::Error;

/// A Route, and how to reach it.
pub struct ObjectPlace {
    /// The Route's namespace.
    pub namespace: String,
    /// The Route's name.
    pub name: String,
    /// The Routes of the namespace.
    pub routes: Api<Route>,
    /// Its RouteActions.
    pub actions: Api<RouteAction>,
}

impl std::fmt::Debug for ObjectPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Place").field(&self.to_string()).finish()
    }
}

impl std::fmt::Display for ObjectPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl ObjectPlace {
    /// Where `args` point. Nothing is called yet.
    ///
    /// # Errors
    /// The configuration is missing or malformed.
    pub async fn of(args: &RouteArgs) -> Result<Self, ConnectError> {
        let cluster = &args.cluster;
        let config = config(cluster.kubeconfig().as_deref(), cluster.context.as_deref()).await?;
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
