//! Simulated proxies: clients of the control plane's discovery and load reporting that say what Envoy would, for tests
//! and benchmarks that need more proxies than a machine can run. They carry no request: what they report is made up
//! ([`Traffic`]). What real Envoys do is shown by `tests/tests/envoy` and `tests/tests/canary`.

mod ads;
mod follower;
mod loads;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

pub use follower::{Follower, FollowerSubscription, Running};
pub use loads::Traffic;

/// How long the first routes may take.
const START: Duration = Duration::from_secs(60);
/// Between the end of a stream and the next, as long as Envoy waits at first.
const RECONNECT: Duration = Duration::from_millis(500);

/// A fleet of simulated proxies, which ends when dropped.
#[derive(Debug)]
pub struct ProxyFleet {
    acknowledged: Arc<Mutex<Vec<Option<Instant>>>>,
    changed: watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

/// One of them: who it is, and what it reports, if anything.
#[derive(Clone, Debug)]
struct FollowingProxy {
    id: String,
    channel: Channel,
    traffic: Option<Arc<Traffic>>,
    known: Arc<Mutex<KnownResources>>,
}

/// What a proxy was sent to run.
#[derive(Debug, Default)]
struct KnownResources {
    clusters: BTreeSet<String>,
    /// By route configuration, the weights of the clusters that it leads to.
    weights: BTreeMap<String, BTreeMap<String, u64>>,
}

impl ProxyFleet {
    /// Connects one proxy for each of `nodes` of `mesh`, which may name a node more than once, and waits until each
    /// acknowledged its first routes.
    ///
    /// # Errors
    /// One cannot connect, or has no routes within a minute.
    pub async fn connect(ads: SocketAddr, mesh: &str, nodes: &[String]) -> Result<Self> {
        Self::connect_all(ads, mesh, nodes, None).await
    }

    /// The same for proxies that report `traffic`, as often as the control plane wants it.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_reporting(
        ads: SocketAddr,
        mesh: &str,
        nodes: &[String],
        traffic: &Arc<Traffic>,
    ) -> Result<Self> {
        Self::connect_all(ads, mesh, nodes, Some(traffic)).await
    }

    async fn connect_all(
        ads: SocketAddr,
        mesh: &str,
        nodes: &[String],
        traffic: Option<&Arc<Traffic>>,
    ) -> Result<Self> {
        let acknowledged = Arc::new(Mutex::new(vec![None; nodes.len()]));
        let (notify, changed) = watch::channel(0);
        let notify = Arc::new(notify);
        let mut tasks = JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let channel = Endpoint::from_shared(format!("http://{ads}"))?.connect().await;
            let channel = channel.with_context(|| format!("connect the proxy of {node}"))?;
            let id = format!("mesh/{mesh}/virtualNode/{node}");
            let proxy = FollowingProxy { id, channel, traffic: traffic.cloned(), known: Arc::default() };
            let (acknowledged, notify) = (Arc::clone(&acknowledged), Arc::clone(&notify));
            tasks.spawn(async move {
                let on_routes = || {
                    acknowledged.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(Instant::now());
                    notify.send_modify(|count| *count += 1);
                };
                loop {
                    // As Envoy does it: a stream that ended on a busy machine is opened again.
                    if let Err(error) = proxy.run(&on_routes).await {
                        eprintln!("simulated proxy {index}: {error:#}");
                    }
                    tokio::time::sleep(RECONNECT).await;
                }
            });
        }
        let mut proxies = Self { acknowledged, changed, _tasks: tasks };
        proxies.all_since(None, START).await?;
        Ok(proxies)
    }

    /// Waits until every proxy acknowledged routes after `start` (or at all); gives the time of the last of them.
    ///
    /// # Errors
    /// That is not so within `deadline`.
    pub async fn all_since(&mut self, start: Option<Instant>, deadline: Duration) -> Result<Instant> {
        let until = tokio::time::Instant::now() + deadline;
        loop {
            let times = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let done = times
                .iter()
                .filter(|time| time.is_some_and(|at| start.is_none_or(|start| at > start)))
                .count();
            if done == times.len() {
                return times.into_iter().flatten().max().context("no proxies");
            }
            if tokio::time::timeout_at(until, self.changed.changed()).await.is_err() {
                bail!("{done} of {} proxies acknowledged within {deadline:?}", times.len());
            }
        }
    }
}

impl FollowingProxy {
    /// Lives until the control plane ends a stream.
    async fn run(&self, on_routes: impl Fn()) -> Result<()> {
        let Some(traffic) = self.traffic.clone() else { return self.subscribe(on_routes).await };
        tokio::select! {
            ended = self.subscribe(on_routes) => ended,
            ended = self.report(&traffic) => ended,
        }
    }

    fn know(&self, learn: impl FnOnce(&mut KnownResources)) {
        learn(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
