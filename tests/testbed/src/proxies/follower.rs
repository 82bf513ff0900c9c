//! One simulated proxy that shows what it was sent, and that can come back with what it runs, as an Envoy does whose control
//! plane went away and is there again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::ads::{AGENT, CLUSTER, LISTENER, ROUTE, route_names};

/// What a proxy runs, by type URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Running(pub BTreeMap<String, FollowerSubscription>);

/// What a proxy has of one type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowerSubscription {
    /// The version that it acknowledged last; empty before the first.
    pub version: String,
    /// What it asks for by name; empty for all.
    pub names: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct FollowerState {
    running: Running,
    pushed: Vec<String>,
    ended: Option<String>,
}

/// A proxy on one stream, which ends when dropped.
#[derive(Debug)]
pub struct Follower {
    state: Arc<Mutex<FollowerState>>,
    task: JoinHandle<()>,
}

impl Follower {
    /// Connects a proxy of `resource` (`mesh/apps/virtualNode/serviceA`) that runs `running` already.
    ///
    /// # Errors
    /// It cannot connect.
    pub async fn connect(ads: SocketAddr, resource: &str, running: Running) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{ads}"))?.connect().await;
        let mut client = AggregatedDiscoveryServiceClient::new(channel.context("connect a proxy")?);
        let (requests, outgoing) = mpsc::unbounded_channel();
        let mut node = Some(Node { id: resource.into(), user_agent_name: AGENT.into(), ..Node::default() });
        for kind in [CLUSTER, LISTENER, ROUTE] {
            let known = running.0.get(kind).cloned();
            if kind == ROUTE && known.is_none() {
                continue;
            }
            let first = known.unwrap_or_default().request(kind, "");
            requests.send(DiscoveryRequest { node: node.take(), ..first })?;
        }
        let responses = client.stream_aggregated_resources(UnboundedReceiverStream::new(outgoing)).await?;
        let state = Arc::new(Mutex::new(FollowerState { running, ..FollowerState::default() }));
        let task = tokio::spawn({
            let state = Arc::clone(&state);
            async move {
                let ended = follow(responses.into_inner(), &requests, &state).await;
                let why = ended.map_or_else(|error| format!("{error:#}"), |()| "the stream ended".to_owned());
                lock(&state).ended = Some(why);
            }
        });
        Ok(Self { state, task })
    }

    /// The types of what it was sent, in order.
    ///
    /// # Errors
    /// Its stream has ended.
    pub fn pushed(&self) -> Result<Vec<String>> {
        let state = lock(&self.state);
        match &state.ended {
            Some(why) => anyhow::bail!("the proxy's stream is no more: {why}"),
            None => Ok(state.pushed.clone()),
        }
    }

    /// What it runs now.
    #[must_use]
    pub fn running(&self) -> Running {
        lock(&self.state).running.clone()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FollowerSubscription {
    fn request(&self, kind: &str, nonce: &str) -> DiscoveryRequest {
        DiscoveryRequest {
            version_info: self.version.clone(),
            response_nonce: nonce.into(),
            type_url: kind.into(),
            resource_names: self.names.iter().cloned().collect(),
            ..DiscoveryRequest::default()
        }
    }
}

async fn follow(
    mut responses: Streaming<DiscoveryResponse>,
    requests: &mpsc::UnboundedSender<DiscoveryRequest>,
    state: &Mutex<FollowerState>,
) -> Result<()> {
    while let Some(response) = responses.message().await? {
        for request in lock(state).take(&response)? {
            requests.send(request)?;
        }
    }
    Ok(())
}

impl FollowerState {
    /// Takes what was sent; gives the acknowledgement, and the subscription to routes when listeners name others.
    fn take(&mut self, response: &DiscoveryResponse) -> Result<Vec<DiscoveryRequest>> {
        let kind = response.type_url.as_str();
        self.pushed.push(kind.to_owned());
        let running = &mut self.running.0;
        let taken = running.entry(kind.to_owned()).or_default();
        taken.version.clone_from(&response.version_info);
        let mut requests = vec![taken.request(kind, &response.nonce)];
        if kind == LISTENER {
            let names = route_names(response)?;
            let routes = running.entry(ROUTE.to_owned()).or_default();
            if routes.names != names {
                routes.names = names;
                requests.push(routes.request(ROUTE, ""));
            }
        }
        Ok(requests)
    }
}

/// Nothing is left half done by a panic here.
fn lock(state: &Mutex<FollowerState>) -> MutexGuard<'_, FollowerState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
