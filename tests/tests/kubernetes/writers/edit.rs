//! One edit after the other, each the number of the last one plus 1.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

/// How an edit is sent to Kubernetes.
#[derive(Clone, Copy)]
pub enum Edit {
    /// Server-side apply, under the writer's name.
    Apply,
    /// A merge patch of whatever is there.
    Merge,
    /// Read, add 1, replace what was read; again when somebody was faster.
    Update,
    /// The same by a merge patch that names the version that was read.
    MergeIfUnchanged,
}

/// An object of the namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EditedThing {
    pub kind: &'static str,
    pub name: &'static str,
}

/// Where the number is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `spec.priority`.
    Priority,
    /// `spec.listeners[0].portMapping.port`.
    Port,
    /// The label `example.com/edit`.
    Label,
    /// The annotation `example.com/edit`.
    Annotation,
}

impl Field {
    /// A patch that sets it to `number`.
    pub fn patch(self, number: u64) -> Value {
        let text = json!({ "example.com/edit": number.to_string() });
        match self {
            Self::Priority => json!({ "spec": { "priority": number } }),
            Self::Port => {
                json!({ "spec": { "listeners": [{ "portMapping": { "port": number, "protocol": "http2" } }] } })
            }
            Self::Label => json!({ "metadata": { "labels": text } }),
            Self::Annotation => json!({ "metadata": { "annotations": text } }),
        }
    }

    /// The number in `object`; 0 before the first edit.
    pub fn read(self, object: &Value) -> u64 {
        let found = match self {
            Self::Priority => &object["spec"]["priority"],
            Self::Port => &object["spec"]["listeners"][0]["portMapping"]["port"],
            Self::Label => &object["metadata"]["labels"]["example.com/edit"],
            Self::Annotation => &object["metadata"]["annotations"]["example.com/edit"],
        };
        let text = found.as_str().and_then(|text| text.parse().ok());
        text.or(found.as_u64()).unwrap_or_default()
    }
}

/// Who edits one field of one object.
pub struct EditWriter {
    pub name: &'static str,
    pub object: EditedThing,
    pub edit: Edit,
    pub field: Field,
}

impl EditWriter {
    /// Makes `edits` edits; gives how often the API server refused one because somebody was faster.
    pub async fn run(&self, client: &Client, namespace: &str, edits: u64) -> u64 {
        let api = api(client, namespace, self.object.kind);
        let mut conflicts = 0;
        for number in 1..=edits {
            while let Err(error) = self.once(&api, namespace, number).await {
                let faster = matches!(&error, kube::Error::Api(status)
                    if status.code == 409 && status.message.contains("object has been modified"));
                assert!(faster, "{}: {error}", self.name);
                conflicts += 1;
            }
        }
        conflicts
    }

    async fn once(&self, api: &Api<DynamicObject>, namespace: &str, number: u64) -> kube::Result<()> {
        let name = self.object.name;
        let params = PatchParams { field_manager: Some(self.name.to_owned()), ..PatchParams::default() };
        match self.edit {
            Edit::Apply => {
                let applied = self.applied(namespace, number);
                api.patch(name, &params, &Patch::Apply(applied)).await?;
            }
            Edit::Merge => _ = api.patch(name, &params, &Patch::Merge(self.field.patch(number))).await?,
            Edit::Update => {
                let mut read = serde_json::to_value(api.get(name).await?).unwrap();
                let next = self.field.patch(self.field.read(&read) + 1);
                json_patch::merge(&mut read, &next);
                let read: DynamicObject = serde_json::from_value(read).unwrap();
                let params =
                    PostParams { field_manager: Some(self.name.to_owned()), ..PostParams::default() };
                api.replace(name, &params, &read).await?;
            }
            Edit::MergeIfUnchanged => {
                let read = api.get(name).await?;
                let version = read.resource_version();
                let mut next = self.field.patch(self.field.read(&serde_json::to_value(read).unwrap()) + 1);
                next["metadata"]["resourceVersion"] = json!(version);
                api.patch(name, &params, &Patch::Merge(next)).await?;
            }
        }
        Ok(())
    }

    /// All that this writer owns of its object.
    fn applied(&self, namespace: &str, number: u64) -> Value {
        let mut applied = json!({ "apiVersion": "fleetmesh.dev/v1alpha1", "kind": self.object.kind });
        if self.field == Field::Port {
            applied["spec"] = json!({ "meshName": namespace });
        }
        json_patch::merge(&mut applied, &self.field.patch(number));
        applied
    }
}

/// The objects of a kind.
pub fn api(client: &Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    let group = GroupVersionKind::gvk("fleetmesh.dev", "v1alpha1", kind);
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&group))
}

/// Applies `object` as `manager`.
pub async fn create(client: &Client, object: &Value, manager: &str) {
    let text = |pointer: &str| object.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    let api = api(client, &text("/metadata/namespace"), &text("/kind"));
    api.patch(&text("/metadata/name"), &PatchParams::apply(manager), &Patch::Apply(object)).await.unwrap();
}

/// Fails when the operator owns more of an object than its finalizer and its status.
pub async fn only_the_status_is_the_operators(client: &Client, namespace: &str, object: EditedThing) {
    let EditedThing { kind, name } = object;
    let found = api(client, namespace, kind).get(name).await.unwrap();
    let managers = found.metadata.managed_fields.unwrap_or_default().into_iter();
    let operators = managers.filter(|entry| entry.manager.as_deref() == Some("fleetmesh-operator"));
    let fields: Vec<Value> = operators.map(|entry| entry.fields_v1.unwrap().0).collect();
    assert!(fields.iter().any(|fields| fields.get("f:status").is_some()), "{kind}: {fields:?}");
    for fields in fields {
        let metadata = fields["f:metadata"].as_object().into_iter().flat_map(|members| members.keys());
        let members = fields.as_object().unwrap().keys().filter(|key| *key != "f:metadata");
        let all: Vec<&String> = metadata.chain(members).collect();
        assert!(
            all.iter().all(|key| ["f:finalizers", "f:status"].contains(&key.as_str())),
            "{kind}: {fields}"
        );
    }
}
