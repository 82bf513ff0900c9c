//! The subscription of a simulated proxy (aggregated discovery, state of the world): clusters, listeners, then the routes
//! that the listeners name, as Envoy does it. It acknowledges everything.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::FollowingProxy;

/// How these proxies call themselves.
pub(super) const AGENT: &str = "fleetmesh-testbed";

pub(super) const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
pub(super) const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
pub(super) const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

impl FollowingProxy {
    /// Runs what it is given until the stream ends; `on_routes` follows each acknowledgement of routes.
    pub(super) async fn subscribe(&self, on_routes: impl Fn()) -> Result<()> {
        let mut client = AggregatedDiscoveryServiceClient::new(self.channel.clone());
        let (requests, outgoing) = mpsc::unbounded_channel();
        let node = Node { id: self.id.clone(), user_agent_name: AGENT.into(), ..Node::default() };
        requests.send(DiscoveryRequest {
            node: Some(node),
            type_url: CLUSTER.into(),
            ..DiscoveryRequest::default()
        })?;
        requests.send(DiscoveryRequest { type_url: LISTENER.into(), ..DiscoveryRequest::default() })?;
        let mut responses =
            client.stream_aggregated_resources(UnboundedReceiverStream::new(outgoing)).await?.into_inner();
        let mut routes = Routes::default();
        while let Some(response) = responses.message().await? {
            // What is reported must be about what is acknowledged.
            self.learn(&response)?;
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

    /// Only who reports needs to know what it runs.
    fn learn(&self, response: &DiscoveryResponse) -> Result<()> {
        if self.traffic.is_none() {
            return Ok(());
        }
        match response.type_url.as_str() {
            CLUSTER => {
                let clusters = response.resources.iter().map(|resource| {
                    let cluster = Cluster::decode(resource.value.as_slice()).context("decode a cluster")?;
                    Ok(cluster.name)
                });
                let clusters: BTreeSet<String> = clusters.collect::<Result<_>>()?;
                self.know(|known| known.clusters = clusters);
            }
            ROUTE => {
                for resource in &response.resources {
                    let routes = RouteConfiguration::decode(resource.value.as_slice());
                    let routes = routes.context("decode routes")?;
                    let weights = weights(&routes);
                    self.know(|known| _ = known.weights.insert(routes.name, weights));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// The weight of each cluster that routes lead to; the only one of a route has 100.
fn weights(routes: &RouteConfiguration) -> BTreeMap<String, u64> {
    let mut weights = BTreeMap::new();
    for route in routes.virtual_hosts.iter().flat_map(|host| &host.routes) {
        let Some(Action::Route(action)) = &route.action else { continue };
        match &action.cluster_specifier {
            Some(ClusterSpecifier::Cluster(cluster)) => {
                *weights.entry(cluster.clone()).or_default() += 100;
            }
            Some(ClusterSpecifier::WeightedClusters(all)) => {
                for cluster in &all.clusters {
                    let weight = cluster.weight.map_or(0, |weight| u64::from(weight.value));
                    *weights.entry(cluster.name.clone()).or_default() += weight;
                }
            }
            _ => {}
        }
    }
    weights
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

/// The route configurations that listeners name.
pub(super) fn route_names(response: &DiscoveryResponse) -> Result<BTreeSet<String>> {
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
