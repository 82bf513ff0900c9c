//! Envoy's aggregated discovery service (ADS), for the proxies of virtual nodes, in the state of the world and in delta; beside it, for the same proxies, the load
//! reporting service ([`load_reports`]).
//!
//! `commit, discovery → debounce → snapshot per node (feed) → stream (pure) → answers → ACK/NACK → distribution`
//!
//! [`fleetmesh_mesh::ads`] decides what is sent and when. The guarantees about order and NACKs are in
//! [`stream`](fleetmesh_mesh::ads::stream), who may stream is in [`authority`], which node a proxy is in
//! [`identity`](fleetmesh_mesh::ads::identity), and what happens to a deleted node's proxies in [`feed`]. Streams end with these
//! gRPC codes, App Mesh's own: 0 when the server stops, 3 for a resource that is unknown or not served, 7 for one that the proxy may
//! not stream, 8 over the limit of proxies of a node, of streams of a certificate or of names, 11 for a request that is too long, 16
//! for a missing, bad or expired certificate.

pub mod authority;
#[cfg(test)]
mod delta_tests;
pub mod feed;
mod follow;
mod grpc;
#[cfg(test)]
mod handover_tests;
pub mod load_reports;
mod node_feed;
#[cfg(test)]
mod replay_tests;
mod seats;
mod service;
mod session;
mod stages;
#[cfg(test)]
mod test_proxy;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
mod variants;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fleetmesh_mesh::cloud_map::Discovered;
use fleetmesh_tasks::Tasks;
use futures::Stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::accounts::Accounts;
use crate::distribution::Distribution;
use crate::join::Denied;
use crate::listen::{BoundListener, Connection};
use crate::loads::ReportedLoads;
use crate::metrics::ServerMetrics;
use crate::serving::STREAMS;
use crate::tasks::Task;
use crate::views::Views;
use feed::{Debounce, Feeds};
use grpc::{Served, ServedPair};
use load_reports::LoadReporting;
use service::AggregatedDiscovery;
use session::SessionContext;
use variants::{Delta, StateOfTheWorld};

/// How often an idle connection is asked whether it still lives.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long it has to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// What one stream may have received and not read, in bytes: requests are small, and thousands of streams add up.
const WINDOW: u32 = 256 * 1024;

/// The largest head of a request, in bytes: gRPC's own.
const HEAD: u32 = 16 * 1024;

/// How long a proxy may take to say in a first request who it is. Envoy says it as it opens the stream.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// What can be set about the service.
#[derive(Clone, Debug)]
pub struct AdsSettings {
    /// The most proxies that one virtual node may have connected; no limit when absent.
    pub max_proxies_per_node: Option<usize>,
    /// The most streams of each service that may be open with one certificate; no limit when absent.
    pub max_streams_per_certificate: Option<usize>,
    /// The most resources that a proxy with a certificate may name in a request; no limit when absent.
    pub max_names_per_request: Option<usize>,
    /// How long a stream of either service may be open before its first request is read; then it ends with status 4.
    pub first_request: Duration,
    /// How bursts of commits are taken together.
    pub debounce: Debounce,
    /// The instances that are let in no more.
    pub denied: Denied,
    /// Whose virtual nodes there are.
    pub accounts: Accounts,
}

impl Default for AdsSettings {
    /// No limits but 10 s for a first request, and nobody denied.
    fn default() -> Self {
        Self {
            max_proxies_per_node: None,
            max_streams_per_certificate: None,
            max_names_per_request: None,
            first_request: FIRST_REQUEST,
            debounce: Debounce::default(),
            denied: Denied::default(),
            accounts: Accounts::default(),
        }
    }
}

/// The books of what the proxies report.
#[derive(Clone)]
pub struct ProxyBooks {
    /// How far each object has come.
    pub distribution: Arc<Distribution>,
    /// What they send to each virtual node.
    pub loads: Arc<ReportedLoads>,
    /// What is counted.
    pub metrics: ServerMetrics,
}

/// Proxies cannot be served on a listener any more.
#[derive(Debug, thiserror::Error)]
#[error("serving on {address} failed: {reason}")]
struct ServeError {
    /// The listener's address.
    address: String,
    /// What happened.
    reason: String,
}

/// Serves proxies on `listeners` until `shutdown`, by `tasks`, which then close every stream with status 0 and end. One falls
/// when its listener fails, with its address.
pub fn serve(
    views: Arc<dyn Views>,
    discovered: watch::Receiver<Discovered>,
    settings: AdsSettings,
    listeners: Vec<BoundListener>,
    books: ProxyBooks,
    tasks: &Tasks<Task>,
    shutdown: &CancellationToken,
) {
    let AdsSettings { max_proxies_per_node: limit, max_streams_per_certificate: streams, .. } = settings;
    let ProxyBooks { distribution, loads, metrics } = books;
    let feeds = Feeds::new(views, discovered, Arc::clone(&distribution), limit).denying(settings.denied);
    let feeds = Arc::new(feeds.of(settings.accounts));
    let first_request = settings.first_request;
    let load_reporting =
        LoadReporting { feeds: Arc::clone(&feeds), loads, first_request, shutdown: shutdown.clone() };
    let context = SessionContext {
        feeds: Arc::clone(&feeds),
        distribution,
        metrics,
        max_names: settings.max_names_per_request,
        first_request,
        shutdown: shutdown.clone(),
    };
    // Shared by all listeners.
    let discovery = Served::new(AggregatedDiscovery::<StateOfTheWorld>::new(context.clone()), streams);
    let delta = discovery.beside(AggregatedDiscovery::<Delta>::new(context));
    let discovery = ServedPair(discovery, delta);
    let load_reporting = Served::new(load_reporting, streams);
    for listener in listeners {
        let router = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_concurrent_streams(Some(STREAMS))
            .http2_max_header_list_size(Some(HEAD))
            .add_service(discovery.clone())
            .add_service(load_reporting.clone());
        let (address, stop) = (listener.address(), shutdown.clone());
        let served = async move {
            let served = router.serve_with_incoming_shutdown(connections(listener), stop.cancelled());
            served.await.map_err(|error| ServeError { address, reason: error.to_string() })
        };
        tasks.try_spawn(Task::Ads, shutdown, served);
    }
    let (debounce, stop) = (settings.debounce, shutdown.clone());
    tasks.spawn(Task::Snapshots, shutdown, async move {
        let ended = CancellationToken::new();
        let following = async {
            feeds.follow(debounce, stop).await;
            ended.cancel();
        };
        tokio::join!(following, feeds.remember(ended.clone()));
    });
}

/// The connections of a listener, without end.
fn connections(listener: BoundListener) -> impl Stream<Item = io::Result<Connection>> {
    futures::stream::unfold(listener, |mut listener| async move {
        Some((Ok(listener.connection().await), listener))
    })
}
