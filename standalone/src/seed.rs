//! What is there from the beginning: four namespaces, and the definitions of this program.

use fleetmesh_standalone_core::resource::{Resource, Resources};
use fleetmesh_standalone_core::status::Status;
use fleetmesh_standalone_core::store::definitions::{self, DEFINITIONS};
use fleetmesh_standalone_core::store::update::{self, Part};
use fleetmesh_standalone_core::store::{Decision, Key, create, state};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::api::Api;
use crate::store::{CommitError, Store};

/// Those of every cluster.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// What is there from the beginning could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The disk did not take it.
    #[error("cannot store what every cluster has: {0}")]
    Commit(#[from] CommitError),
    /// A fault of this program.
    #[error("cannot make what every cluster has: {0}")]
    Refused(#[from] Status),
    /// A fault of this program.
    #[error("cannot write a definition as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Makes what is missing, and replaces definitions of another version of this program.
///
/// # Errors
/// The disk did not take it.
pub(crate) async fn seed(
    store: &Store,
    resources: &Resources,
    definitions: &[CustomResourceDefinition],
) -> Result<(), SeedError> {
    let mut objects = Vec::new();
    for name in NAMESPACES {
        let metadata = json!({ "name": name, "managedFields": [managed_namespace()] });
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
        objects.push((state::NAMESPACES, object));
    }
    for definition in definitions {
        objects.push((DEFINITIONS, object(definition)?));
    }
    // Together, so that they wait for the disk once.
    let puts = objects.into_iter().map(|(name, object)| put(store, resources, name, object));
    futures::future::try_join_all(puts).await.map(drop)
}

/// Who set what of a namespace that is there from the beginning, as kube-apiserver says of its own.
fn managed_namespace() -> Value {
    json!({
        "manager": "kube-apiserver",
        "operation": "Update",
        "apiVersion": "v1",
        "time": Api::fresh().time(),
        "fieldsType": "FieldsV1",
        "fieldsV1": { "f:metadata": { "f:labels": { ".": {}, "f:kubernetes.io/metadata.name": {} } } },
    })
}

/// A definition, with the members that an API server adds.
fn object(definition: &CustomResourceDefinition) -> Result<Value, serde_json::Error> {
    let mut object = definitions::whole(Some(&serde_json::to_value(definition)?));
    let names = object["spec"]["names"].clone();
    let served = definition.spec.versions.iter().filter(|version| version.storage);
    let versions: Vec<&str> = served.map(|version| version.name.as_str()).collect();
    object["spec"]["conversion"] = json!({ "strategy": "None" });
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": "1970-01-01T00:00:00Z",
        })
    };
    object["status"] = json!({
        "acceptedNames": names,
        "storedVersions": versions,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    });
    Ok(object)
}

async fn put(store: &Store, resources: &Resources, name: &str, object: Value) -> Result<(), SeedError> {
    let Some(resource) = resources.iter().find(|one| one.store == name) else { return Ok(()) };
    match decide(store, resource, object)? {
        Decision::Unchanged(_) => {}
        Decision::Write(write, guards) => _ = store.commit(write, guards).await?,
    }
    Ok(())
}

fn decide(store: &Store, resource: &Resource, mut object: Value) -> Result<Decision, Status> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let key = Key::new(&resource.store, "", &name);
    let Some(stored) = store.read(|ledger| ledger.state.get(&key).cloned()) else {
        let status = object.get("status").cloned();
        create::prepare(resource, &mut object, &Api::fresh());
        if let Some(status) = status {
            object["status"] = status;
        }
        return store.read(|ledger| create::decide(resource, &ledger.state, object));
    };
    let old = stored.value();
    let is_same = resource.store != DEFINITIONS || old["spec"] == object["spec"];
    if is_same {
        return Ok(Decision::Unchanged(stored));
    }
    let mut new = old.clone();
    new["spec"] = object["spec"].take();
    update::prepare(resource, &old, &mut new, Part::Main);
    update::decide(resource, &stored, &old, new)
}
