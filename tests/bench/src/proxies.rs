//! Simulated proxies: clients of the aggregated discovery service (state of the world) that subscribe as Envoy does
//! (clusters, listeners, then the routes that the listeners name), acknowledge everything and note when.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use prost::Message;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

/// A fleet of simulated proxies.
pub struct Proxies {
    acknowledged: Arc<Mutex<Vec<Option<Instant>>>>,
    changed: watch::Receiver<u64>,
    /// Ends the proxies when it is dropped.
    _tasks: JoinSet<()>,
}

impl Proxies {
    /// Connects one proxy for each of `nodes` of `mesh` and waits until each acknowledged its first routes.
    ///
    /// # Errors
    /// When one cannot connect, or has no routes within a minute.
    pub async fn connect(ads: SocketAddr, mesh: &str, nodes: &[String]) -> Result<Self> {
        let acknowledged = Arc::new(Mutex::new(vec![None; nodes.len()]));
        let (notify, changed) = watch::channel(0);
        let notify = Arc::new(notify);
        let mut tasks = JoinSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let client = AggregatedDiscoveryServiceClient::connect(format!("http://{ads}"))
                .await
                .with_context(|| format!("connect the proxy of {node}"))?;
            let id = format!("mesh/{mesh}/virtualNode/{node}");
            let (acknowledged, notify) = (Arc::clone(&acknowledged), Arc::clone(&notify));
            tasks.spawn(async move {
                let on_routes = || {
                    acknowledged.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(Instant::now());
                    notify.send_modify(|count| *count += 1);
                };
                if let Err(error) = run(client, id, on_routes).await {
                    eprintln!("simulated proxy {index}: {error:#}");
                }
            });
        }
        let mut proxies = Self { acknowledged, changed, _tasks: tasks };
        proxies.all_since(None, Duration::from_secs(60)).await?;
        Ok(proxies)
    }

    /// Waits until every proxy acknowledged routes after `start` (or at all); gives the time of the last of them.
    ///
    /// # Errors
    /// When that is not so within `deadline`.
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

async fn run(
    mut client: AggregatedDiscoveryServiceClient<tonic::transport::Channel>,
    id: String,
    on_routes: impl Fn(),
) -> Result<()> {
    let (requests, outgoing) = mpsc::unbounded_channel();
    let node = Node { id, user_agent_name: "fleetmesh-bench".into(), ..Node::default() };
    requests.send(DiscoveryRequest {
        node: Some(node),
        type_url: CLUSTER.into(),
        ..DiscoveryRequest::default()
    })?;
    requests.send(DiscoveryRequest { type_url: LISTENER.into(), ..DiscoveryRequest::default() })?;
    let mut responses =
        client.stream_aggregated_resources(UnboundedReceiverStream::new(outgoing)).await?.into_inner();
    let mut routes = Routes::default();
    while let Some(response) = responses.next().await {
        let response = response?;
        let is_routes = response.type_url == ROUTE;
        let named = if response.type_url == LISTENER { Some(route_names(&response)?) } else { None };
        routes.acknowledge(&requests, response)?;
        if let Some(named) = named {
            routes.subscribe(&requests, named)?;
        }
        if is_routes {
            on_routes();
        }
    }
    Ok(())
}

/// What the proxy is subscribed to, and what it last acknowledged of it.
#[derive(Default)]
struct Routes {
    names: BTreeSet<String>,
    version: String,
    nonce: String,
}

impl Routes {
    fn acknowledge(
        &mut self,
        to: &mpsc::UnboundedSender<DiscoveryRequest>,
        response: DiscoveryResponse,
    ) -> Result<()> {
        let names = if response.type_url == ROUTE {
            (self.version, self.nonce) = (response.version_info.clone(), response.nonce.clone());
            self.names.iter().cloned().collect()
        } else {
            Vec::new()
        };
        to.send(DiscoveryRequest {
            version_info: response.version_info,
            response_nonce: response.nonce,
            type_url: response.type_url,
            resource_names: names,
            ..DiscoveryRequest::default()
        })?;
        Ok(())
    }

    fn subscribe(
        &mut self,
        to: &mpsc::UnboundedSender<DiscoveryRequest>,
        named: BTreeSet<String>,
    ) -> Result<()> {
        if named == self.names {
            return Ok(());
        }
        self.names = named;
        to.send(DiscoveryRequest {
            version_info: self.version.clone(),
            response_nonce: self.nonce.clone(),
            type_url: ROUTE.into(),
            resource_names: self.names.iter().cloned().collect(),
            ..DiscoveryRequest::default()
        })?;
        Ok(())
    }
}

fn route_names(response: &DiscoveryResponse) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for resource in &response.resources {
        let listener = Listener::decode(resource.value.as_slice()).context("decode a listener")?;
        let chains = listener.filter_chains.iter().chain(listener.default_filter_chain.iter());
        for filter in chains.flat_map(|chain| &chain.filters) {
            let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { continue };
            if !config.type_url.ends_with("HttpConnectionManager") {
                continue;
            }
            let manager =
                HttpConnectionManager::decode(config.value.as_slice()).context("decode a manager")?;
            if let Some(RouteSpecifier::Rds(rds)) = manager.route_specifier {
                names.insert(rds.route_config_name);
            }
        }
    }
    Ok(names)
}
