//! What clients do to one of the servers: they make, change, read and watch ConfigMaps.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Client;
use kube::api::{Api, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::sync::mpsc;

use super::side::Side;
use super::{ApiSizes, DEADLINE};
use crate::kubernetes;

/// Parallel clients, each with a connection of its own.
pub const CLIENTS: usize = 16;
const NAMESPACE: &str = "bench";
/// The characters that an object has beside its metadata.
const SIZE: usize = 512;

/// Clients of a server.
pub struct Load {
    clients: Vec<Api<ConfigMap>>,
    sizes: ApiSizes,
}

#[derive(Clone, Copy)]
enum Verb {
    Create,
    Update,
    Read,
}

const VERBS: [Verb; 3] = [Verb::Create, Verb::Update, Verb::Read];

impl Load {
    /// Connects the clients, and makes the namespace.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn prepare(side: &Side, sizes: ApiSizes) -> Result<Self> {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(kubernetes::client(&side.kubeconfig()).await?);
        }
        let client: &Client = clients.first().context("a client")?;
        let namespace = serde_json::from_value(json!({ "metadata": { "name": NAMESPACE } }))?;
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
        let clients = clients.into_iter().map(|client| Api::namespaced(client, NAMESPACE)).collect();
        Ok(Self { clients, sizes })
    }

    /// Creates, updates and reads a second of one client.
    ///
    /// # Errors
    /// The first one that fails.
    pub async fn alone(&self) -> Result<[f64; 3]> {
        self.rates(1, 0, self.sizes.alone).await
    }

    /// The same of all clients.
    ///
    /// # Errors
    /// As [`Self::alone`].
    pub async fn together(&self) -> Result<[f64; 3]> {
        self.rates(CLIENTS, self.sizes.alone, self.sizes.few).await
    }

    async fn rates(&self, clients: usize, from: usize, to: usize) -> Result<[f64; 3]> {
        let mut rates = [0.0; 3];
        for (rate, verb) in rates.iter_mut().zip(VERBS) {
            let start = Instant::now();
            self.each(verb, clients, from, to).await?;
            *rate = to.saturating_sub(from) as f64 / start.elapsed().as_secs_f64();
        }
        Ok(rates)
    }

    /// Makes as many objects as there are to be in the end.
    ///
    /// # Errors
    /// As [`Self::alone`].
    pub async fn fill(&self) -> Result<()> {
        self.each(Verb::Create, CLIENTS, self.sizes.few, self.sizes.many).await
    }

    /// Does `verb` to the objects of these numbers, shared among clients.
    async fn each(&self, verb: Verb, clients: usize, from: usize, to: usize) -> Result<()> {
        let shares = self.clients.iter().take(clients).enumerate().map(async |(share, api)| {
            for number in (from..to).skip(share).step_by(clients) {
                once(api, verb, number).await?;
            }
            anyhow::Ok(())
        });
        futures::future::try_join_all(shares).await.map(drop)
    }

    /// From the answer to each of some changes until each of the watchers has it.
    ///
    /// # Errors
    /// A watch ends, or a change does not arrive in time.
    pub async fn watched(&self) -> Result<Vec<Duration>> {
        let api = self.clients.first().context("a client")?;
        let version = api.list(&kube::api::ListParams::default().limit(1)).await?.metadata.resource_version;
        let version = version.context("a version")?;
        let (seen, mut arrivals) = mpsc::unbounded_channel();
        let mut watchers = tokio::task::JoinSet::new();
        for at in 0..self.sizes.watchers {
            let api = self.clients.get(at % CLIENTS).context("a client")?.clone();
            let (seen, version) = (seen.clone(), version.clone());
            watchers.spawn(async move {
                let events = api.watch(&WatchParams::default(), &version).await?;
                let mut events = pin!(events);
                while let Some(event) = events.try_next().await? {
                    if let WatchEvent::Modified(_) = event {
                        seen.send(Instant::now())?;
                    }
                }
                anyhow::Ok(())
            });
        }
        let mut delays = Vec::new();
        for number in 0..self.sizes.changes {
            once(api, Verb::Update, number).await?;
            let answered = Instant::now();
            for _ in 0..self.sizes.watchers {
                let arrival = tokio::time::timeout(DEADLINE, arrivals.recv()).await.context("a watcher")?;
                let arrival = arrival.context("all watchers have ended")?;
                delays.push(arrival.saturating_duration_since(answered));
            }
        }
        watchers.shutdown().await;
        Ok(delays)
    }
}

async fn once(api: &Api<ConfigMap>, verb: Verb, number: usize) -> Result<()> {
    let name = format!("map-{number:05}");
    match verb {
        Verb::Create => {
            let map = json!({ "metadata": { "name": name }, "data": { "text": "x".repeat(SIZE) } });
            api.create(&PostParams::default(), &serde_json::from_value(map)?).await.map(drop)?;
        }
        Verb::Update => {
            // Another one each time: a write that changes nothing is none.
            let text = jiff::Timestamp::now().to_string();
            let patch = Patch::Merge(json!({ "data": { "changed": text } }));
            api.patch(&name, &PatchParams::default(), &patch).await.map(drop)?;
        }
        Verb::Read => api.get(&name).await.map(drop)?,
    }
    Ok(())
}
