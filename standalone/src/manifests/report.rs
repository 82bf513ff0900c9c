//! What a person is shown: lines in the log, and Events about the objects, each problem once.

use std::collections::{BTreeMap, BTreeSet};

use fleetmesh_standalone_core::manifests::{MANAGER, Manifest, ObjectName, Problem, PutBack};
use fleetmesh_standalone_core::route::collection_path;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::ManifestClient;

/// The reason of a problem's Event.
const REJECTED: &str = "ManifestRejected";
/// The reason of an Event about an object that is put back again and again.
const CONTESTED: &str = "ManifestContested";
/// After how often in succession.
const FIGHT: u32 = 2;
/// The longest note of an Event, in characters.
const LONGEST: usize = 1024;
/// The namespace of Events about what is in none.
const DEFAULT: &str = "default";

/// Remembers what was reported.
pub(super) struct Reporter {
    client: ManifestClient,
    known: BTreeSet<Problem>,
}

impl Reporter {
    /// Reports by Events through `client`.
    pub(super) fn new(client: ManifestClient) -> Self {
        Self { client, known: BTreeSet::new() }
    }

    /// Reports what was done, and the problems that were not known. `uids` are of the objects, where they are known.
    pub(super) async fn report(
        &mut self,
        applied: usize,
        pruned: &[ObjectName],
        problems: BTreeSet<Problem>,
        uids: &BTreeMap<ObjectName, String>,
    ) {
        if applied > 0 {
            tracing::info!(applied, "the manifests that changed are applied");
        }
        for name in pruned {
            tracing::info!(object = %name, "pruned: no manifest has it any more");
        }
        for problem in problems.difference(&self.known) {
            let uid = problem.about.as_deref().and_then(|name| uids.get(name));
            self.rejected(problem, uid.map(String::as_str)).await;
        }
        for problem in self.known.difference(&problems) {
            tracing::info!(place = %problem.place, "a problem of a manifest is gone");
        }
        self.known = problems;
    }

    /// Reports a problem of an object that could not be put back, if it is not known.
    pub(super) async fn failed(&mut self, problem: Problem, uid: Option<&str>) {
        if !self.known.contains(&problem) {
            self.rejected(&problem, uid).await;
            self.known.insert(problem);
        }
    }

    async fn rejected(&self, problem: &Problem, uid: Option<&str>) {
        tracing::warn!(%problem, "a manifest cannot be applied");
        self.event(problem, uid, REJECTED).await;
    }

    /// Reports that the object of `manifest` was put back, and once that two parties fight over it.
    pub(super) async fn put_back(&self, manifest: &Manifest, done: &PutBack, uid: Option<&str>) {
        let what = if done.is_gone { "deleted" } else { "changed" };
        let by = done.by.as_deref().map(|by| format!(" (last by {by})")).unwrap_or_default();
        tracing::info!(object = %manifest.name, "put back as it is in the directory: somebody {what} it{by}");
        if done.before != FIGHT {
            return;
        }
        let message = format!(
            "it is {what} again each time that it is put back{by}, and is put back more and more seldom: stop who does that, or leave it out of the directory"
        );
        let problem = Problem::about(manifest, None, message);
        tracing::warn!(%problem, "two parties write the same object");
        self.event(&problem, uid, CONTESTED).await;
    }

    /// An Event about the object. Where its namespace takes none, being none or going away, and where no object is known, it is in
    /// `default`, as Events about what has no namespace are.
    async fn event(&self, problem: &Problem, uid: Option<&str>, reason: &str) {
        let namespace = problem.about.as_deref().map(|name| name.namespace.as_str()).unwrap_or_default();
        if !namespace.is_empty() {
            let involved = self.involved(problem, uid);
            match self.post(namespace, &involved, problem, reason).await {
                403 | 404 => {}
                _ => return,
            }
        }
        let of_namespace = || json!({ "apiVersion": "v1", "kind": "Namespace", "name": namespace });
        let involved = match problem.about.as_deref() {
            None => json!({ "apiVersion": "v1", "kind": "Namespace", "name": DEFAULT }),
            // An Event is where its object is; the message names the one in the namespace.
            Some(_) if !namespace.is_empty() => of_namespace(),
            Some(_) => self.involved(problem, uid),
        };
        self.post(DEFAULT, &involved, problem, reason).await;
    }

    fn involved(&self, problem: &Problem, uid: Option<&str>) -> Value {
        let Some(name) = problem.about.as_deref() else { return Value::Null };
        json!({
            "apiVersion": self.version(name), "kind": name.kind, "namespace": name.namespace, "name": name.name,
            "uid": uid.unwrap_or_default(),
        })
    }

    /// The code that the API answers.
    async fn post(&self, namespace: &str, involved: &Value, problem: &Problem, reason: &str) -> u16 {
        let message: String = problem.to_string().chars().take(LONGEST).collect();
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let event = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": { "name": format!("{MANAGER}.{}", Uuid::new_v4().simple()), "namespace": namespace },
            "involvedObject": involved, "type": "Warning", "reason": reason, "message": message, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now, "source": { "component": MANAGER },
            "reportingComponent": MANAGER, "reportingInstance": "",
        });
        let path = collection_path("", "v1", "events", Some(namespace));
        let (code, answer) = self.client.ask(Method::POST, &path, "application/json", &event).await;
        if code != 201 {
            tracing::debug!(code, message = answer["message"].as_str(), "no Event about a manifest");
        }
        code
    }

    fn version(&self, name: &ObjectName) -> String {
        let mut all = self.client.resources().iter();
        all.find(|one| one.group == name.group && one.kind == name.kind)
            .map_or_else(String::new, |one| one.api_version())
    }
}
