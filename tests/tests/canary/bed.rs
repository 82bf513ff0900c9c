//! The scenario under load, and what a rollout of its route comes to.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleetmesh_operator::loads::LoadsClient;
use fleetmesh_testbed::app::{Load, LoadOptions};
use fleetmesh_testbed::run_dir::RunDir;
use fleetmesh_testbed::scenario::canary::{INTERVAL, short_route};
use fleetmesh_testbed::scenario::{MESH, MIN_REQUESTS, Observer, Options, URL, Verdict, World};
use fleetmesh_testbed::{tools, wait};
use serde_json::{Value, json};

/// How long a state of a rollout may take to come.
pub const SOON: Duration = Duration::from_secs(60);

/// Says nothing.
struct Silent;

impl Observer for Silent {
    fn step(&mut self, _: &str) {}
    fn count(&mut self, _: &fleetmesh_testbed::app::tally::Phase, _: Option<u64>) {}
    fn verdict(&mut self, _: &Verdict) {}
}

/// The scenario, its route at serviceB = 100, and a file to edit the route in.
pub struct Bed {
    pub world: World,
    pub run: RunDir,
}

impl Bed {
    pub async fn start(name: &str) -> Self {
        let run = RunDir::new(name).unwrap();
        let samples = tools::workspace_dir().unwrap().join("samples");
        let options = Options { samples, requests: MIN_REQUESTS, rate: 400, canaries: false };
        let world = World::start(&options, &run, &mut Silent).await.unwrap();
        Self { world, run }
    }

    /// 400 requests a second from serviceA, counted into `phase`.
    pub async fn load(&self, phase: &str) -> Load {
        let options = LoadOptions { rate: 400, ..LoadOptions::new(URL) };
        Load::start(&options, phase, &self.world.hosts[0].instance, &self.run).await.unwrap()
    }

    /// Writes the route of `samples/canary` with short times into a file, changed by `edit`, and applies it.
    pub async fn apply(&self, edit: impl FnOnce(&mut Value)) -> std::path::PathBuf {
        let samples = tools::workspace_dir().unwrap().join("samples");
        let mut route = short_route(&samples, "serviceBv2").unwrap();
        edit(&mut route);
        let file = self.run.join("route.json");
        std::fs::write(&file, route.to_string()).unwrap();
        self.world.stack.kubectl.apply(&file).await.unwrap();
        file
    }

    /// The Route.
    pub async fn route(&self) -> Result<Value> {
        self.get("route", "service-b").await
    }

    /// A resource of the scenario.
    pub async fn get(&self, kind: &str, name: &str) -> Result<Value> {
        self.world.stack.kubectl.json(&["get", kind, name, "--namespace", MESH]).await
    }

    /// Awaits that the Route's status satisfies `enough`; gives the status.
    pub async fn until(&self, what: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let told = wait::until(what, SOON, async || {
            let status = self.route().await?["status"].clone();
            ensure!(enough(&status), "the status: {status:#}");
            Ok(Some(status))
        });
        told.await.unwrap()
    }

    /// Awaits that the proxies' reports tell of no request to serviceB any more: they come up to a second late.
    pub async fn quiet(&self) {
        let loads = LoadsClient::new(self.world.stack.control_plane.endpoint());
        let none = wait::until("the last request is out of the window", SOON, async || {
            let loads = loads.fetch(MESH, INTERVAL).await?;
            let load = loads.targets.get("serviceB").copied().unwrap_or_default();
            Ok((load.succeeded + load.failed == 0).then_some(()))
        });
        none.await.unwrap();
    }

    /// Tells the rollout something as kubectl would; gives the reason that the operator answered with.
    pub async fn tell(&self, name: &str, verb: &str) -> Result<String> {
        let status = self.route().await?["status"].clone();
        let action = json!({
            "apiVersion": "fleetmesh.dev/v1alpha1",
            "kind": "RouteAction",
            "metadata": { "namespace": MESH, "name": name },
            "spec": {
                "routeName": "service-b",
                "verb": verb,
                "rolloutId": status["rollout"]["id"],
                "stepIndex": status["rollout"]["stepIndex"],
            },
        });
        let file = self.run.join("action.json");
        std::fs::write(&file, action.to_string())?;
        self.world.stack.kubectl.apply(&file).await?;
        wait::until("the action is answered", SOON, async || {
            let action = self.get("routeaction", name).await?;
            Ok(action["status"]["reason"].as_str().map(ToOwned::to_owned))
        })
        .await
        .context("a RouteAction")
    }
}

/// Whether the status says that `target` has everything.
pub fn all_to(status: &Value, target: &str) -> bool {
    status["weights"]
        .as_str()
        .is_some_and(|weights| weights.split(' ').any(|one| one == format!("{target}=100")))
}
