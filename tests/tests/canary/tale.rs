//! What becomes of a route: it is applied and acted on as by a person, and what its status says is awaited in the order in
//! which it was said.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use fleetmesh_testbed::kubectl::Kubectl;
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::scenario::MESH;
use fleetmesh_testbed::wait;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::bed::SOON;
use crate::journal::Journal;
use crate::service::{ServiceTarget, in_words};

/// One route.
pub struct Tale {
    route: String,
    journal: Arc<Journal>,
    kubectl: Kubectl,
    file: PathBuf,
    /// The file's content.
    applied: Value,
    generation: i64,
    /// The journal's length when the route was applied.
    begun: usize,
    /// The number of the version that was awaited last.
    at: usize,
}

impl Tale {
    pub fn new(route: &str, journal: Arc<Journal>, kubectl: Kubectl, run: &RunDir) -> Self {
        let file = run.join(format!("route-{route}.json"));
        let begun = journal.len();
        Self {
            route: route.to_owned(),
            journal,
            kubectl,
            file,
            applied: Value::Null,
            generation: 0,
            begun,
            at: begun,
        }
    }

    /// `kubectl apply` of a file with `route`. What is awaited next comes after it.
    pub async fn apply(&mut self, route: &Value) {
        let mut route = route.clone();
        // What the API server adds to a spec, written out: the file is then all that there is to compare with.
        route["spec"]["adoptionPolicy"] = json!("Refuse");
        route["spec"]["deletionPolicy"] = json!("Delete");
        std::fs::write(&self.file, route.to_string()).unwrap();
        self.begun = self.journal.len();
        let file = self.file.display().to_string();
        let live = self.kubectl.json(&["apply", "-f", &file]).await.unwrap();
        self.generation = live["metadata"]["generation"].as_i64().unwrap();
        self.applied = route;
        self.at = self.begun;
    }

    /// `kubectl apply` of whom rollouts may ask.
    pub async fn provide(&self, providers: &Value) {
        let file = self.file.with_extension("providers.json");
        std::fs::write(&file, providers.to_string()).unwrap();
        self.kubectl.apply(&file).await.unwrap();
    }

    /// `kubectl delete` of an object of the cluster.
    pub async fn withdraw(&self, object: &str) {
        self.kubectl.run(&["delete", object]).await.unwrap();
    }

    /// Awaits a status about what was applied that satisfies `enough`, not older than the one awaited last, and gives it.
    pub async fn until(&mut self, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{}: {what}", self.route);
        let found = wait::until(&what, SOON, async || {
            let versions = self.journal.of(&self.route, self.at).into_iter();
            let mut versions = versions.filter(|(_, version)| {
                version["status"]["observedGeneration"].as_i64() >= Some(self.generation)
            });
            let mut last = Value::Null;
            let found = versions.find_map(|(number, version)| {
                last = version["status"].clone();
                enough(&last).then(|| (number, last.clone()))
            });
            ensure!(found.is_some(), "the status: {last:#}");
            Ok(found)
        });
        let (number, status) = found.await.unwrap();
        self.at = number;
        status
    }

    /// Awaits that every proxy has the weights of a step.
    pub async fn entered(&mut self, step: i64) -> Value {
        let entered = |status: &Value| {
            let rollout = &status["rollout"];
            rollout["stepIndex"] == step && rollout["stepEnteredAt"].is_string()
        };
        self.until(&format!("step {step} is in force"), entered).await
    }

    /// Awaits a phase.
    pub async fn phase(&mut self, phase: &str) -> Value {
        self.until(&format!("it is {phase}"), |status| status["phase"] == phase).await
    }

    /// Awaits that the rollout waits for this reason, as a hold that goes on by itself.
    pub async fn held(&mut self, reason: &str) -> Value {
        let held =
            |status: &Value| status["phase"] == "Held" && status["rollout"]["hold"]["reason"] == reason;
        self.until(&format!("it holds for {reason}"), held).await
    }

    /// Sends the rollout a verb as kubectl would; returns the reason that the operator answered with. What is awaited next
    /// comes after it.
    pub async fn send(&mut self, verb: &str) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{}-{}", self.route, COUNT.fetch_add(1, Ordering::Relaxed));
        let versions = self.journal.of(&self.route, 0);
        let rollout = &versions.last().unwrap().1["status"]["rollout"];
        let action = json!({
            "apiVersion": "fleetmesh.dev/v1alpha1",
            "kind": "RouteAction",
            "metadata": { "namespace": MESH, "name": name },
            "spec": {
                "routeName": self.route,
                "verb": verb,
                "rolloutId": rollout["id"],
                "stepIndex": rollout["stepIndex"],
            },
        });
        let file = self.file.with_file_name(format!("action-{name}.json"));
        std::fs::write(&file, action.to_string()).unwrap();
        self.kubectl.apply(&file).await.unwrap();
        let known = |status: &Value| status["actions"].as_array().is_some_and(|all| all[0]["name"] == name);
        self.until(&format!("{verb} is decided about"), known).await;
        let answered = wait::until("the action is answered", SOON, async || {
            let action = self.kubectl.json(&["get", "routeaction", &name, "--namespace", MESH]).await?;
            Ok(action["status"]["reason"].as_str().map(ToOwned::to_owned))
        });
        answered.await.unwrap()
    }

    /// What the API server keeps is what was applied, byte for byte, and `kubectl diff` finds nothing to do: the view of
    /// Argo CD and Flux.
    pub async fn is_as_applied(&self) {
        let live = self.kubectl.json(&["get", "route", &self.route, "--namespace", MESH]).await.unwrap();
        assert_eq!(live["spec"].to_string(), self.applied["spec"].to_string());
        let diff = self.kubectl.capture(&["diff", "-f", self.file.to_str().unwrap()]).await.unwrap();
        assert!(diff.status.success() && diff.stdout.is_empty(), "{diff:?}");
    }

    /// The statuses since the route was applied.
    pub fn statuses(&self) -> Vec<Value> {
        let versions = self.journal.of(&self.route, self.begun).into_iter();
        versions.map(|(_, version)| version["status"].clone()).collect()
    }

    /// The targets that were in force one after another since the route was applied were exactly these.
    pub fn went_through(&self, all: &[&[ServiceTarget<'_>]]) {
        let statuses = self.statuses();
        // The first decision about a route says what is in force; before it nothing does.
        let decided = statuses.iter().filter(|status| status["effectiveTargets"].is_array());
        let mut weights: Vec<String> = decided.map(in_force).collect();
        weights.dedup();
        assert_eq!(weights, all.iter().map(|targets| in_words(targets)).collect::<Vec<_>>());
    }

    /// The steps that the rollouts since the route was applied took, in order, until they ended: each of them once. The
    /// first weights are none of them: there is nothing to see of them where every proxy knows the targets already.
    pub fn took_steps(&self, steps: &[i64]) {
        let statuses = self.statuses();
        let under_way = statuses.iter().filter(|status| status["phase"] != "Aborted");
        let rollouts = under_way.map(|status| (&status["rollout"]["id"], &status["rollout"]["stepIndex"]));
        let mut taken: Vec<(&Value, i64)> =
            rollouts.filter_map(|(id, step)| Some((id, step.as_i64().filter(|step| *step > 0)?))).collect();
        taken.dedup();
        assert_eq!(taken.into_iter().map(|(_, step)| step).collect::<Vec<_>>(), steps);
    }

    /// When a step was decided on.
    pub fn stepped(&self, step: i64) -> Timestamp {
        let statuses = self.statuses();
        let first = statuses.iter().find(|status| status["rollout"]["stepIndex"] == step);
        time(&first.unwrap()["rollout"]["lastProgressAt"])
    }
}

/// What a status says is in force, targets without requests left out.
pub fn in_force(status: &Value) -> String {
    let targets = status["effectiveTargets"].as_array().into_iter().flatten();
    let targets: Vec<ServiceTarget<'_>> = targets
        .map(|target| {
            let weight = target["weight"].as_u64().unwrap();
            (target["virtualNode"].as_str().unwrap(), u32::try_from(weight).unwrap())
        })
        .collect();
    in_words(&targets)
}

/// The version of the App Mesh route that has what is in force.
pub fn version(status: &Value) -> i64 {
    status["dataplane"]["version"].as_i64().unwrap()
}

/// A time of a status.
pub fn time(value: &Value) -> Timestamp {
    value.as_str().expect("a time").parse().expect("RFC 3339")
}
