//! Objects of a Kubernetes API, applied and read without kubectl: what a person does with `kubectl apply -R -f` and `kubectl get`.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, TypeMeta};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{GroupVersion, GroupVersionKind};
use kube::discovery::{self, Scope};
use kube::{Client, Config};
use serde_json::Value;

/// Who applied, in the objects' `managedFields`.
const MANAGER: &str = "fleetmesh-testbed";
/// Group and version of Fleetmesh's kinds.
const OURS: (&str, &str) = ("fleetmesh.dev", "v1alpha1");

/// The objects of one API, with the rights of a kubeconfig.
pub struct Objects {
    client: Client,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Objects")
    }
}

impl Objects {
    /// Of the API that the file names.
    ///
    /// # Errors
    /// The file cannot be used.
    pub async fn new(kubeconfig: &Path) -> Result<Self> {
        let file = Kubeconfig::read_from(kubeconfig)?;
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(Self { client: Client::try_from(config)? })
    }

    /// Applies a file, or what is in a folder and its folders, in the order of their names.
    ///
    /// # Errors
    /// A file cannot be read, or the API refuses an object; those before it are applied.
    pub async fn apply(&self, path: &Path) -> Result<()> {
        for file in files(path)? {
            let at = || format!("cannot apply {}", file.display());
            let text = std::fs::read_to_string(&file).with_context(at)?;
            let objects: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(at)?;
            for object in objects {
                self.apply_one(&object).await.with_context(at)?;
            }
        }
        Ok(())
    }

    async fn apply_one(&self, object: &Value) -> Result<()> {
        let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
        let types = text(&object["apiVersion"]).zip(text(&object["kind"]));
        let (api_version, kind) = types.context("an object without apiVersion and kind")?;
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().context("an object without a name")?;
        let kind = GroupVersionKind::try_from(&TypeMeta { api_version, kind })?;
        let api = self.api(&kind, metadata["namespace"].as_str()).await?;
        api.patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(object)).await?;
        Ok(())
    }

    /// The object of this kind of ours (`VirtualNode`); `namespace` counts for kinds that have one.
    ///
    /// # Errors
    /// It is not there, or the API does not answer.
    pub async fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.api(&ours(kind), Some(namespace)).await?.get(name).await?)?)
    }

    /// Changes that object by a merge patch.
    ///
    /// # Errors
    /// As [`Self::get`], or the API refuses the change.
    pub async fn merge(&self, kind: &str, namespace: &str, name: &str, patch: &Value) -> Result<()> {
        let api = self.api(&ours(kind), Some(namespace)).await?;
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// Whether every object of these kinds of ours in `namespace` is Ready as it is now written; the error names one that is not.
    ///
    /// # Errors
    /// One is not, or the API does not answer.
    pub async fn all_ready(&self, kinds: &[&str], namespace: &str) -> Result<()> {
        for kind in kinds {
            let list = self.api(&ours(kind), Some(namespace)).await?.list(&ListParams::default()).await?;
            for object in list {
                ready(kind, &serde_json::to_value(object)?)?;
            }
        }
        Ok(())
    }

    async fn api(&self, kind: &GroupVersionKind, namespace: Option<&str>) -> Result<Api<DynamicObject>> {
        let (resource, capabilities) = discovery::pinned_kind(&self.client, kind).await?;
        let client = self.client.clone();
        Ok(match (capabilities.scope, namespace) {
            (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client, namespace, &resource),
            (Scope::Namespaced, None) => Api::default_namespaced_with(client, &resource),
            (Scope::Cluster, _) => Api::all_with(client, &resource),
        })
    }
}

/// A kind of ours.
fn ours(kind: &str) -> GroupVersionKind {
    let (group, version) = OURS;
    GroupVersion::gv(group, version).with_kind(kind)
}

/// Whether `object` is Ready as it is now written.
///
/// # Errors
/// It is not.
pub fn ready(kind: &str, object: &Value) -> Result<()> {
    let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready");
    let name = &object["metadata"]["name"];
    let ready = ready.with_context(|| format!("{kind} {name} has no condition Ready"))?;
    let current = ready["observedGeneration"] == object["metadata"]["generation"];
    ensure!(current && ready["status"] == "True", "{kind} {name}: {ready}");
    Ok(())
}

/// The files of `path`, which is one or a folder with more.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let read = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut entries = read.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        let is_manifest =
            entry.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|one| end == *one));
        if entry.is_dir() {
            found.extend(files(&entry)?);
        } else if is_manifest {
            found.push(entry);
        }
    }
    Ok(found)
}
