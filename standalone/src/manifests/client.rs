//! The requests about manifests.

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use fleetmesh_api::urls::escape;
use fleetmesh_standalone_core::manifests::{
    Change, LABEL, MANAGER, Manifest, ObjectName, Plan, Problem, is_owned, labelled, prunable, stored,
};
use fleetmesh_standalone_core::resource::{Resource, Resources, Verb};
use fleetmesh_standalone_core::route::collection_path;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::api::{Api, Caller};

/// Server-side apply; what another manager set goes by the directory, which is what the mesh is to be.
const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

/// A client of the API, as the user of the manifests.
#[derive(Clone)]
pub(super) struct ManifestClient {
    api: Api,
    caller: Caller,
}

/// What came of a manifest.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The object's uid, where there is one.
    pub(super) uid: Option<String>,
    /// How the object was left.
    pub(super) left: Option<Change>,
    /// Why it is not applied.
    pub(super) problem: Option<Problem>,
}

impl Applied {
    fn failed(uid: Option<String>, problem: Problem) -> Self {
        Self { uid, left: None, problem: Some(problem) }
    }
}

impl ManifestClient {
    /// Asks `api` as `caller`.
    pub(super) fn new(api: Api, caller: Caller) -> Self {
        Self { api, caller }
    }

    /// What is served.
    pub(super) fn resources(&self) -> &Resources {
        self.api.resources()
    }

    /// The status code and the object of an answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: &Value,
    ) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("content-type", media_type);
        let request = match request.body(Body::from(body)) {
            Ok(request) => request,
            Err(error) => return (400, json!({ "message": error.to_string() })),
        };
        let response = self.api.answer(&self.caller, request).await;
        let code = response.status().as_u16();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
        (code, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// The resource version that the objects of `resource` are at now; `None` when the API does not say.
    pub(super) async fn revision(&self, resource: &Resource) -> Option<u64> {
        let path = format!("{}?limit=1", collection(resource, ""));
        let (_, list) = self.ask(Method::GET, &path, JSON, &Value::Null).await;
        list["metadata"]["resourceVersion"].as_str()?.parse().ok()
    }

    /// What changes of the objects of `resource` after `revision`, a line each; `None` when the API does not give it.
    pub(super) async fn watch(&self, resource: &Resource, revision: u64) -> Option<Body> {
        let path = collection(resource, "");
        let path = format!("{path}?watch=true&allowWatchBookmarks=true&resourceVersion={revision}");
        let request = Request::builder().uri(path).body(Body::empty()).ok()?;
        let response = self.api.answer(&self.caller, request).await;
        response.status().is_success().then(|| response.into_body())
    }

    /// Applies a manifest. An object that this makes carries the label; one that was there keeps or lacks it, but for the one whose uid
    /// is `ours`, which gets it back.
    pub(super) async fn apply(&self, manifest: &Manifest, ours: Option<&str>) -> Applied {
        let path = item(&manifest.resource, &manifest.name);
        let (code, found) = self.ask(Method::GET, &path, JSON, &Value::Null).await;
        let uid = text(&found["metadata"]["uid"]);
        let is_new = code == 404;
        if !is_new && found["metadata"]["deletionTimestamp"].is_string() {
            let message = "the object is being deleted; it is applied again when it is gone";
            return Applied::failed(uid, Problem::about(manifest, None, message));
        }
        let is_ours = is_new || is_owned(&found) || ours.is_some() && ours == uid.as_deref();
        let (code, answer) = self.patch(&path, manifest, is_ours).await;
        // Somebody else made it between the two requests: it is theirs.
        let (code, answer) = match (is_new, code) {
            (true, 200) => self.patch(&path, manifest, false).await,
            _ => (code, answer),
        };
        match code {
            200 | 201 => {
                Applied { uid: text(&answer["metadata"]["uid"]), left: Change::of(&answer), problem: None }
            }
            _ => Applied::failed(uid, Problem::refused(manifest, &answer)),
        }
    }

    async fn patch(&self, path: &str, manifest: &Manifest, owned: bool) -> (u16, Value) {
        let path = format!("{path}?fieldManager={MANAGER}&force=true&fieldValidation=Strict");
        self.ask(Method::PATCH, &path, APPLY, &labelled(stored(manifest), owned)).await
    }

    /// Deletes what was made for the directory and is wanted no more, while the plan is whole: what went, and what could not.
    pub(super) async fn prune(&self, plan: &Plan<'_>) -> Vec<Result<ObjectName, Problem>> {
        let is_empty = plan.wanted.is_empty() && plan.problems.is_empty();
        if !plan.is_whole() && !is_empty {
            return Vec::new();
        }
        let owned = self.owned().await;
        if is_empty && !owned.is_empty() {
            let message = format!(
                "no manifest is in it, and {} objects were made for it: nothing is pruned while it is empty. Put the manifests back, or delete the objects by their label {LABEL}",
                owned.len()
            );
            return vec![Err(Problem { hides: false, ..Problem::of_file("the directory", message) })];
        }
        let names: BTreeSet<ObjectName> = owned.iter().map(|(name, _, _)| name.clone()).collect();
        let mut outcomes = Vec::new();
        for name in prunable(names, plan) {
            let Some((_, resource, object)) = owned.iter().find(|(known, _, _)| *known == name) else {
                continue;
            };
            if object["metadata"]["deletionTimestamp"].is_string() {
                continue;
            }
            outcomes.push(self.delete(&name, resource, object).await.map(|()| name));
        }
        outcomes
    }

    async fn delete(&self, name: &ObjectName, resource: &Resource, object: &Value) -> Result<(), Problem> {
        let problem = |message: String| Problem {
            about: Some(Box::new(name.clone())),
            hides: false,
            ..Problem::of_file("the directory", message)
        };
        let others = if name.is_namespace() { self.of_others(&name.name).await } else { Ok(None) };
        let other = others.map_err(|plural| {
            problem(format!(
                "no file has it any more, and the {plural} in it cannot be listed: the namespace stays"
            ))
        })?;
        if let Some(other) = other {
            return Err(problem(format!(
                "no file has it any more, and {other} is in it, which was not made for the directory: the namespace stays. Delete it yourself (kubectl delete namespace {}), or move what is in it",
                name.name
            )));
        }
        // Not the version as well: the operator writes statuses at any time.
        let preconditions = json!({ "uid": object["metadata"]["uid"] });
        let options = json!({ "propagationPolicy": "Background", "preconditions": preconditions });
        let (code, answer) = self.ask(Method::DELETE, &item(resource, name), JSON, &options).await;
        match code {
            200 | 202 | 404 => Ok(()),
            _ => Err(problem(format!(
                "no file has it any more, and it cannot be deleted: {}",
                answer["message"].as_str().unwrap_or("the API refuses it")
            ))),
        }
    }

    /// Every object that was made for the directory.
    async fn owned(&self) -> Vec<(ObjectName, &Resource, Value)> {
        let mut owned = Vec::new();
        for resource in self.kept() {
            let path = format!("{}?labelSelector={}", collection(resource, ""), escape(LABEL));
            // What cannot be listed is not pruned now.
            for object in self.list(&path).await.unwrap_or_default().into_iter().filter(is_owned) {
                let name = ObjectName::of(resource, &object);
                owned.extend(name.map(|name| (name, resource, object)));
            }
        }
        owned
    }

    /// An object in the namespace that was not made for the directory, if there is one. Events are of those that they are about.
    ///
    /// # Errors
    /// The name of a resource whose objects cannot be listed: somebody else's may be among them.
    async fn of_others(&self, namespace: &str) -> Result<Option<ObjectName>, String> {
        for resource in self.kept().filter(|one| one.namespaced && one.kind != "Event") {
            let unlisted = || resource.plural.clone();
            let objects = self.list(&collection(resource, namespace)).await.ok_or_else(unlisted)?;
            if let Some(other) = objects.iter().find(|object| !is_owned(object)) {
                return Ok(ObjectName::of(resource, other));
            }
        }
        Ok(None)
    }

    /// The objects at `path`; `None` when the API does not give them.
    async fn list(&self, path: &str) -> Option<Vec<Value>> {
        match self.ask(Method::GET, path, JSON, &Value::Null).await {
            (200, mut list) => match list["items"].take() {
                Value::Array(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The resources whose objects may have been made for the directory, each store once.
    fn kept(&self) -> impl Iterator<Item = &Resource> {
        let mut stores = BTreeSet::new();
        let all = self.resources().iter().map(AsRef::as_ref);
        all.filter(move |one| {
            one.has(Verb::Patch) && one.has(Verb::Delete) && stores.insert(one.store.as_str())
        })
    }
}

/// Where objects of `resource` are: of one namespace, or of all where that is empty.
pub(super) fn collection(resource: &Resource, namespace: &str) -> String {
    let Resource { group, version, plural, .. } = resource;
    collection_path(group, version, plural, Some(namespace).filter(|name| !name.is_empty()))
}

/// Where an object is.
fn item(resource: &Resource, name: &ObjectName) -> String {
    format!("{}/{}", collection(resource, &name.namespace), escape(&name.name))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
