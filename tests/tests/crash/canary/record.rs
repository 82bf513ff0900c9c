//! What happens to a route, as it happens: the weights that the App Mesh endpoint is given, and every state of the rollout
//! that the API server keeps.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use fleetmesh_crds::{CanaryStatus, Route};
use fleetmesh_testbed::front::Front;
use futures::StreamExt as _;
use http::Method;
use jiff::Timestamp;
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::objects::ROUTE;

/// What was seen since the last look.
#[derive(Clone, Debug, Default)]
pub struct SeenWrites {
    /// When the endpoint was given a route, and its weighted targets.
    pub given: Vec<(Timestamp, Vec<(String, i32)>)>,
    /// The states of the rollout, in order.
    pub states: Vec<CanaryStatus>,
}

/// The record of one lane.
#[derive(Debug)]
pub struct StepRecord {
    seen: Arc<Mutex<SeenWrites>>,
    front: Front,
    watch: Option<JoinHandle<()>>,
}

impl StepRecord {
    /// Stands in front of the endpoint `upstream`.
    pub async fn start(upstream: String) -> Result<Self> {
        let seen: Arc<Mutex<SeenWrites>> = Arc::default();
        let noted = Arc::clone(&seen);
        let front = Front::start(move |asked, way| {
            if asked.method() == Method::PUT
                && asked.uri().path().contains("/routes")
                && let Some(targets) = targets(asked.body())
            {
                lock(&noted).given.push((Timestamp::now(), targets));
            }
            let upstream = upstream.clone();
            async move { Some(way.forward(&upstream, asked).await) }
        })
        .await?;
        Ok(Self { seen, front, watch: None })
    }

    /// Where operators find the endpoint.
    pub fn endpoint(&self) -> &str {
        &self.front.url
    }

    /// Watches the route of `namespace` from now on.
    pub fn watch(&mut self, client: &Client, namespace: &str) {
        let routes = Api::<Route>::namespaced(client.clone(), namespace);
        let seen = Arc::clone(&self.seen);
        self.watch = Some(tokio::spawn(async move {
            let only = watcher::Config::default().fields(&format!("metadata.name={ROUTE}"));
            let mut events = pin!(watcher(routes, only));
            while let Some(event) = events.next().await {
                let route = match event.expect("the API server stays") {
                    watcher::Event::Apply(route) | watcher::Event::InitApply(route) => route,
                    _ => continue,
                };
                lock(&seen).states.extend(route.status.map(|status| status.of_kind.canary));
            }
        }));
    }

    /// What was seen since the last time.
    pub fn take(&self) -> SeenWrites {
        std::mem::take(&mut lock(&self.seen))
    }

    /// What was seen since the last [`Self::take`], to be looked at.
    pub fn look<T>(&self, at: impl FnOnce(&SeenWrites) -> T) -> T {
        at(&lock(&self.seen))
    }
}

impl Drop for StepRecord {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

fn lock(seen: &Mutex<SeenWrites>) -> std::sync::MutexGuard<'_, SeenWrites> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The weighted targets of a request that creates or updates a route.
fn targets(body: &[u8]) -> Option<Vec<(String, i32)>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let targets = body["spec"]["http2Route"]["action"]["weightedTargets"].as_array()?;
    targets
        .iter()
        .map(|target| {
            let weight = i32::try_from(target["weight"].as_i64()?).ok()?;
            Some((target["virtualNode"].as_str()?.to_owned(), weight))
        })
        .collect()
}
