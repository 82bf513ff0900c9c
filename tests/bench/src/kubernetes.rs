//! The benchmark's side of the Kubernetes API: makes objects with parallel clients, waits until all are Ready.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::runtime::watcher;
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::objects::MESH;

/// The kinds, and the plurals of their resources.
const KINDS: [(&str, &str); 5] = [
    ("Mesh", "meshes"),
    ("VirtualNode", "virtualnodes"),
    ("VirtualRouter", "virtualrouters"),
    ("Route", "routes"),
    ("VirtualService", "virtualservices"),
];

/// A client of its own connection for `kubeconfig`.
///
/// # Errors
/// When the file cannot be read.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn resource(kind: &str) -> ApiResource {
    let beside = ("RouteAction", "routeactions");
    let plural =
        KINDS.iter().chain([&beside]).find(|(name, _)| *name == kind).map_or("", |(_, plural)| plural);
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("fleetmesh.dev", "v1alpha1", kind), plural)
}

/// The objects of `kind` in the benchmark's namespace, or in none for a Mesh.
pub fn api(client: &Client, kind: &str) -> Api<DynamicObject> {
    api_in(client, MESH, kind)
}

fn api_in(client: &Client, namespace: &str, kind: &str) -> Api<DynamicObject> {
    if kind == "Mesh" {
        Api::all_with(client.clone(), &resource(kind))
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource(kind))
    }
}

/// Creates `objects`, split among `clients` parallel clients.
///
/// # Errors
/// The first refusal.
pub async fn create_all(kubeconfig: &Path, objects: Vec<Value>, clients: usize) -> Result<()> {
    each(kubeconfig, objects, clients, async |client, object| create(client, &object).await).await
}

/// What the operator writes to an object of each kind and name: its finalizers, and its status.
pub type Written = HashMap<(String, String), (Value, Value)>;

/// What the operator has written to all objects.
///
/// # Errors
/// The API server's refusal.
pub async fn written(client: &Client) -> Result<Written> {
    let mut written = Written::new();
    for (kind, _) in KINDS {
        for object in api(client, kind).list(&ListParams::default()).await? {
            let name = object.metadata.name.clone().unwrap_or_default();
            let finalizers = json!(object.metadata.finalizers);
            written.insert((kind.to_owned(), name), (finalizers, object.data["status"].clone()));
        }
    }
    Ok(written)
}

/// Makes the writes that an object takes until it is Ready, split among `clients` parallel clients: it is created, gets its
/// finalizers, and then its status, in the operator's own forms.
///
/// # Errors
/// The first refusal, or nothing was `written` to an object.
pub async fn write_all(
    kubeconfig: &Path,
    objects: Vec<Value>,
    clients: usize,
    written: &Written,
) -> Result<()> {
    each(kubeconfig, objects, clients, async |client, object| {
        let [kind, name] = [&object["kind"], &object["metadata"]["name"]];
        let key = [kind, name].map(|text| text.as_str().unwrap_or_default().to_owned());
        let [kind, name] = &key;
        let known = written.get(&(kind.clone(), name.clone()));
        let (finalizers, status) = known.context("nothing was written to it")?;
        create(client, &object).await?;
        let (api, params) = (api(client, kind), PatchParams::default());
        let finalizers = Patch::Merge(json!({ "metadata": { "finalizers": finalizers } }));
        api.patch(name, &params, &finalizers).await?;
        let status = json!([{ "op": "add", "path": "/status", "value": status }]);
        let status = Patch::<Value>::Json(serde_json::from_value(status)?);
        api.patch_status(name, &params, &status).await?;
        Ok(())
    })
    .await
}

/// Does `work` for each of `objects`, with one of `clients` clients that have a connection of their own.
async fn each(
    kubeconfig: &Path,
    objects: Vec<Value>,
    clients: usize,
    work: impl AsyncFn(&Client, Value) -> Result<()>,
) -> Result<()> {
    let queue = futures::stream::iter(objects.into_iter().map(Ok::<Value, anyhow::Error>));
    let mut pool = Vec::new();
    for _ in 0..clients {
        pool.push(client(kubeconfig).await?);
    }
    let pool = std::sync::Mutex::new(pool);
    queue
        .try_for_each_concurrent(clients, |object| {
            let taken = pool.lock().ok().and_then(|mut pool| pool.pop());
            let (pool, work) = (&pool, &work);
            async move {
                let client = taken.context("a client for each task")?;
                let result = work(&client, object).await;
                if let Ok(mut pool) = pool.lock() {
                    pool.push(client);
                }
                result
            }
        })
        .await
}

/// Creates one object.
///
/// # Errors
/// The API server's refusal.
pub async fn create(client: &Client, object: &Value) -> Result<()> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    api(client, kind).create(&PostParams::default(), &object).await?;
    Ok(())
}

/// Merges `patch` into an object; gives the moment at which the API server had answered.
///
/// # Errors
/// The API server's refusal.
pub async fn merge(client: &Client, kind: &str, name: &str, patch: &Value) -> Result<Instant> {
    api(client, kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(Instant::now())
}

/// Makes the namespace of the benchmark.
///
/// # Errors
/// The API server's refusal.
pub async fn create_namespace(client: &Client) -> Result<()> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace"));
    let namespace = serde_json::from_value(
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": MESH } }),
    )?;
    Api::<DynamicObject>::all_with(client.clone(), &resource)
        .create(&PostParams::default(), &namespace)
        .await?;
    Ok(())
}

/// Waits until `count` objects of all kinds together, the mesh among them, are Ready at their own generation.
///
/// # Errors
/// When that is not so within `deadline`; the error names some of the laggards.
pub async fn all_ready(client: &Client, count: usize, deadline: Duration) -> Result<Instant> {
    all_ready_in(client, MESH, count, deadline).await
}

/// The same of objects in a namespace.
///
/// # Errors
/// As [`all_ready`].
pub async fn all_ready_in(
    client: &Client,
    namespace: &str,
    count: usize,
    deadline: Duration,
) -> Result<Instant> {
    let streams = KINDS.map(|(kind, _)| {
        watcher(api_in(client, namespace, kind), watcher::Config::default())
            .map(move |event| (kind, event))
            .boxed()
    });
    let mut events = futures::stream::select_all(streams);
    let (mut ready, mut waiting) = (HashSet::new(), HashSet::new());
    let until = tokio::time::Instant::now() + deadline;
    while ready.len() < count {
        let Ok(Some((kind, event))) = tokio::time::timeout_at(until, events.next()).await else {
            let some: Vec<&String> = waiting.iter().take(5).collect();
            bail!("{} of {count} objects are Ready after {deadline:?}; not yet: {some:?}", ready.len());
        };
        let (watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event? else { continue };
        let key = format!("{kind}/{}", object.metadata.name.clone().unwrap_or_default());
        if is_ready(&object) {
            waiting.remove(&key);
            ready.insert(key);
        } else {
            ready.remove(&key);
            waiting.insert(key);
        }
    }
    Ok(Instant::now())
}

fn is_ready(object: &DynamicObject) -> bool {
    let status = &object.data["status"];
    let current = status["observedGeneration"].as_i64() == object.metadata.generation;
    let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    current
        && conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
