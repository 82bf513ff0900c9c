//! Writes to the Kubernetes API: the finalizer, the status, events. Each is one request that names the uid it is meant
//! for, so news about an earlier resource of the same name never reaches a later one.

use fleetmesh_core::canary::ActionVerdict;
use fleetmesh_core::{Event, Object, ObjectKey, Severity};
use fleetmesh_crds::{
    FINALIZER, GROUP, MeshResource, RouteAction, RouteActionStatus, Status, VERSION, with_kind,
};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions, Request};
use kube::runtime::events::{Event as KubeEvent, EventType, Reporter};
use kube::{Client, Resource as _};
use serde_json::{Value, json};

use super::recorders::Recorders;

/// The name under which the operator writes.
const MANAGER: &str = "fleetmesh-operator";
/// The longest note of an Event, in bytes.
const MAX_NOTE: usize = 1000;

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The resource changed or is another one by now; the watch will bring it.
    #[error("the resource changed meanwhile")]
    Changed,
    /// The resource is gone.
    #[error("the resource is gone")]
    Gone,
    /// The API server refused it or did not answer.
    #[error("the Kubernetes API failed: {0}")]
    Failed(Box<kube::Error>),
    /// The request could not be built.
    #[error("the request cannot be built: {0}")]
    Request(String),
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 409 => Self::Changed,
            kube::Error::Api(status) if status.code == 404 => Self::Gone,
            _ => Self::Failed(Box::new(error)),
        }
    }
}

/// The cluster, to be written to.
pub struct ClusterWriter {
    client: Client,
    recorders: Recorders,
}

impl std::fmt::Debug for ClusterWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cluster")
    }
}

impl ClusterWriter {
    /// Writes through `client`; `instance` names this operator in Events.
    pub fn new(client: Client, instance: Option<String>) -> Self {
        let reporter = Reporter { controller: format!("{GROUP}/operator"), instance };
        Self { recorders: Recorders::new(client.clone(), reporter), client }
    }

    /// Puts our finalizer on the resource; gives the resource as it is then.
    ///
    /// # Errors
    /// `Changed` when the resource is not the one that was observed any more.
    pub async fn add_finalizer(&self, object: &Object) -> Result<Object, WriteError> {
        let mut finalizers = object.finalizers.clone();
        finalizers.push(FINALIZER.to_owned());
        self.set_finalizers(object, finalizers).await
    }

    /// Takes our finalizer away; gives the resource as it is then, which may be its last state.
    ///
    /// # Errors
    /// `Changed` when the resource is not the one that was observed any more, `Gone` when it is gone.
    pub async fn remove_finalizer(&self, object: &Object) -> Result<Object, WriteError> {
        let finalizers =
            object.finalizers.iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
        self.set_finalizers(object, finalizers).await
    }

    /// Other controllers have finalizers too: the list is replaced only as it was observed.
    async fn set_finalizers(&self, object: &Object, finalizers: Vec<String>) -> Result<Object, WriteError> {
        let patch = json!({"metadata": {
            "uid": object.uid,
            "resourceVersion": object.resource_version,
            "finalizers": finalizers,
        }});
        self.patch(&object.key, None, Patch::Merge(patch)).await
    }

    /// Replaces the status; gives the resource as it is then. The status of a Route with `canary` is replaced only as it was
    /// observed: the next decision starts from what it says, so one that was made from an older state must not undo it.
    ///
    /// # Errors
    /// `Changed` when the name belongs to another resource by now, or the state of the rollout may be another than the one
    /// observed; `Gone` when it is gone.
    pub async fn set_status(&self, object: &Object, status: &Status) -> Result<Object, WriteError> {
        // A merge patch would leave members in place that a former status had and this one has not, at any depth. The uid
        // is not changed: the API server answers Conflict when the name belongs to another resource by now.
        let mut patch = vec![
            json!({"op": "add", "path": "/metadata/uid", "value": object.uid}),
            json!({"op": "add", "path": "/status", "value": status}),
        ];
        if object.canary().is_some() {
            let version = &object.resource_version;
            patch.push(json!({"op": "add", "path": "/metadata/resourceVersion", "value": version}));
        }
        let patch = serde_json::from_value(Value::Array(patch))
            .map_err(|error| WriteError::Request(error.to_string()))?;
        self.patch(&object.key, Some("status"), Patch::Json(patch)).await
    }

    /// Sets the instances of a virtual node's fleet to 0.
    ///
    /// # Errors
    /// `Changed` when the name belongs to another resource by now, `Gone` when it is gone.
    pub async fn scale_to_zero(&self, node: &Object) -> Result<(), WriteError> {
        let patch = json!({"metadata": {"uid": node.uid}, "spec": {"fleet": {"replicas": 0}}});
        self.patch(&node.key, None, Patch::Merge(patch)).await.map(drop)
    }

    /// Asks for the deletion of a resource.
    ///
    /// # Errors
    /// `Changed` when the name belongs to another resource by now, `Gone` when it is gone.
    pub async fn delete(&self, object: &Object) -> Result<(), WriteError> {
        let uid = Some(object.uid.clone());
        let preconditions = Some(Preconditions { uid, resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let key = &object.key;
        let path = with_kind!(key.kind, K => K::url_path(&(), key.namespace.as_deref()));
        let request = Request::new(path).delete(&key.name, &params);
        let request = request.map_err(|error| WriteError::Request(error.to_string()))?;
        self.client.request::<Value>(request).await?;
        Ok(())
    }

    /// Writes what became of a RouteAction.
    ///
    /// # Errors
    /// `Changed` when the name belongs to another resource by now, `Gone` when it is gone.
    pub async fn answer_action(&self, namespace: &str, verdict: &ActionVerdict) -> Result<(), WriteError> {
        let ActionVerdict { name, uid, phase, reason, message, at } = verdict;
        let (phase, reason, message, at) = (*phase, *reason, message.clone(), MicroTime(*at));
        let status = RouteActionStatus { at, message, phase, reason };
        let patch = json!({"metadata": {"uid": uid}, "status": status});
        let path = RouteAction::url_path(&(), Some(namespace));
        self.send_patch(path, name, Some("status"), &Patch::Merge(patch)).await.map(drop)
    }

    async fn patch(
        &self,
        key: &ObjectKey,
        subresource: Option<&str>,
        patch: Patch<Value>,
    ) -> Result<Object, WriteError> {
        let path = with_kind!(key.kind, K => K::url_path(&(), key.namespace.as_deref()));
        let resource = self.send_patch(path, &key.name, subresource, &patch).await?;
        Object::parse(key.kind, resource).map_err(|error| kube::Error::SerdeError(error).into())
    }

    /// One PATCH of the resource `name` below `path`, written as [`MANAGER`].
    async fn send_patch(
        &self,
        path: String,
        name: &str,
        subresource: Option<&str>,
        patch: &Patch<Value>,
    ) -> Result<Value, WriteError> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let request = Request::new(path);
        let built = match subresource {
            None => request.patch(name, &params, patch),
            Some(subresource) => request.patch_subresource(subresource, name, &params, patch),
        };
        let built = built.map_err(|error| WriteError::Request(error.to_string()))?;
        Ok(self.client.request(built).await?)
    }

    /// Writes an Event about the resource; the same one again within minutes becomes a series.
    ///
    /// # Errors
    /// The API server refused it or did not answer.
    pub async fn publish(&self, object: &Object, event: &Event) -> Result<(), WriteError> {
        let reference = with_kind!(object.key.kind, K => reference::<K>(object));
        let event = KubeEvent {
            type_: match event.severity {
                Severity::Normal => EventType::Normal,
                Severity::Warning => EventType::Warning,
            },
            reason: event.reason.clone(),
            note: Some(shortened(&event.message)),
            action: event.action.to_owned(),
            secondary: None,
        };
        let note = event.note.clone().unwrap_or_default();
        let recorder = self.recorders.recorder(&object.uid, &event.reason, &note);
        Ok(recorder.publish(&event, &reference).await?)
    }
}

fn reference<K: MeshResource>(object: &Object) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/{VERSION}")),
        kind: Some(K::kind(&()).into_owned()),
        name: Some(object.key.name.clone()),
        namespace: object.key.namespace.clone(),
        uid: Some(object.uid.clone()),
        ..ObjectReference::default()
    }
}

fn shortened(message: &str) -> String {
    if message.len() <= MAX_NOTE {
        return message.to_owned();
    }
    let end = (0..=MAX_NOTE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", message.get(..end).unwrap_or_default())
}
