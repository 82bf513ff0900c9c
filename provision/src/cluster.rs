//! The Secrets in the API server: get, create and update of named ones, and nothing else.

use std::path::Path;

use fleetmesh_cluster::ConnectError;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::Error;

/// The Secrets of a namespace.
pub struct KubernetesCluster {
    secrets: Api<Secret>,
    namespace: String,
}

impl KubernetesCluster {
    /// Connects to the cluster of the kubeconfig file, or the one that the environment names. Nothing is called yet.
    ///
    /// # Errors
    /// The configuration is missing or malformed.
    pub async fn connect(kubeconfig: Option<&Path>, namespace: &str) -> Result<Self, Error> {
        let config = fleetmesh_cluster::config(kubeconfig, None).await?;
        let client = Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))?;
        Ok(Self { secrets: Api::namespaced(client, namespace), namespace: namespace.to_owned() })
    }

    /// The Secret `name`, if there is one.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn get(&self, name: &str) -> Result<Option<Secret>, Error> {
        self.secrets.get_opt(name).await.map_err(|error| self.failed("get", name, error))
    }

    /// Creates it; false when there is one by now.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn create(&self, name: &str, secret: &Secret) -> Result<bool, Error> {
        let created = self.secrets.create(&PostParams::default(), secret).await;
        self.unless_contended("create", name, created)
    }

    /// Replaces the one that was looked at; false when it is another one by now.
    ///
    /// # Errors
    /// [`Error::Api`].
    pub async fn replace(&self, name: &str, secret: &Secret) -> Result<bool, Error> {
        let replaced = self.secrets.replace(name, &PostParams::default(), secret).await;
        self.unless_contended("update", name, replaced)
    }

    fn unless_contended(
        &self,
        verb: &'static str,
        name: &str,
        written: Result<Secret, kube::Error>,
    ) -> Result<bool, Error> {
        match written {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(self.failed(verb, name, error)),
        }
    }

    fn failed(&self, verb: &'static str, name: &str, source: kube::Error) -> Error {
        let (name, namespace) = (name.to_owned(), self.namespace.clone());
        Error::Api { verb, name, namespace, source: Box::new(source) }
    }
}
