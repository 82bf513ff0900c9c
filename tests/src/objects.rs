//! Custom resources and Events as the API server has them. Tests look again and again at what they await, and a kubectl for each look
//! takes CPU time that what is awaited needs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use fleetmesh_crds::{MeshResource, with_kind};
use fleetmesh_model::Kind;
use fleetmesh_testbed::kubectl::Kubectl;
use http::Request;
use kube::Client;
use serde_json::Value;
use tokio::sync::OnceCell;

/// A client of a cluster's API. It belongs to the runtime, and so to the test, that asks it first.
pub struct Objects {
    kubeconfig: PathBuf,
    client: OnceCell<Client>,
}

impl Objects {
    /// Of the cluster and with the rights of `kubectl`.
    pub fn of(kubectl: &Kubectl) -> Self {
        Self { kubeconfig: kubectl.kubeconfig().to_owned(), client: OnceCell::new() }
    }

    /// The custom resource `object`, which is `KIND/NAME` with the kind in lower case; `namespace` counts for kinds that have one.
    ///
    /// # Errors
    /// It is of no kind that stands for an App Mesh object, is not there, or the API server does not answer.
    pub async fn get(&self, namespace: &str, object: &str) -> Result<Value> {
        let (kind, name) = object.split_once('/').with_context(|| format!("{object} is no KIND/NAME"))?;
        let kind = Kind::ALL.into_iter().find(|known| known.as_str().to_lowercase() == kind);
        let kind = kind.with_context(|| format!("{object} is of no kind of App Mesh"))?;
        let namespace = kind.info().parent.map(|_| namespace);
        let collection = with_kind!(kind, K => collection::<K>(namespace));
        self.ask(&format!("{collection}/{name}")).await
    }

    /// A condition of the custom resource `object`.
    ///
    /// # Errors
    /// As [`Self::get`], or the resource has no such condition yet that is about its newest generation.
    pub async fn condition(&self, namespace: &str, object: &str, type_: &str) -> Result<Value> {
        let found = self.get(namespace, object).await?;
        let conditions = found["status"]["conditions"].as_array().into_iter().flatten();
        let condition = conditions.into_iter().find(|condition| condition["type"] == type_);
        let condition = condition.with_context(|| format!("{object} has no condition {type_}"))?;
        ensure!(condition["observedGeneration"] == found["metadata"]["generation"], "{condition}");
        Ok(condition.clone())
    }

    /// The messages of the Events about the object `name` that give this reason, of one namespace or of all.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn events(&self, namespace: Option<&str>, name: &str, reason: &str) -> Result<Vec<String>> {
        let within = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
        let selector = format!("involvedObject.name%3D{name},reason%3D{reason}");
        let events = self.ask(&format!("/api/v1{within}/events?fieldSelector={selector}")).await?;
        let items = events["items"].as_array().context("a list of Events")?.iter();
        Ok(items.filter_map(|event| event["message"].as_str()).map(str::to_owned).collect())
    }

    async fn ask(&self, path: &str) -> Result<Value> {
        let client = self.client.get_or_try_init(|| client(&self.kubeconfig)).await?;
        Ok(client.request(Request::get(path).body(Vec::new())?).await?)
    }
}

/// A client of the cluster that the file names.
///
/// # Errors
/// The file is missing or malformed.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    Ok(Client::try_from(fleetmesh_cluster::config(Some(kubeconfig), None).await?)?)
}

fn collection<K: MeshResource>(namespace: Option<&str>) -> String {
    K::url_path(&(), namespace)
}
