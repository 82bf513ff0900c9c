//! A proxy without a will of its own, for tests of the service: it sends what a test has it send, in either
//! variant of the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use fleetmesh_mesh::ads::stream::Variant;
use fleetmesh_mesh::snapshot::ResourceType;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::tests::LONG;

/// The proxy.
pub(super) struct AdsProxy(Wire);

/// Its stream. In delta, tests speak with it in the words of the other variant.
enum Wire {
    Whole(mpsc::UnboundedSender<DiscoveryRequest>, Streaming<DiscoveryResponse>),
    Delta(DeltaProxy),
}

impl AdsProxy {
    pub(super) async fn open(
        variant: Variant,
        channel: Channel,
        id: &str,
        version: &str,
    ) -> Result<Self, Status> {
        let node = Node { id: id.into(), ..Node::default() };
        let kind = ResourceType::Cluster;
        if variant == Variant::Delta {
            let proxy = DeltaProxy::open(channel, node).await?;
            proxy.ask(kind, &[], BTreeMap::new());
            return Ok(Self(Wire::Delta(proxy)));
        }
        let (requests, stream) = mpsc::unbounded_channel();
        let opening = DiscoveryRequest {
            node: Some(node),
            type_url: kind.url().into(),
            version_info: version.to_owned(),
            ..DiscoveryRequest::default()
        };
        requests.send(opening).expect("open");
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let stream = UnboundedReceiverStream::new(stream);
        let answers = client.stream_aggregated_resources(stream).await?.into_inner();
        Ok(Self(Wire::Whole(requests, answers)))
    }

    pub(super) async fn answer(&mut self) -> Result<Option<DiscoveryResponse>, Status> {
        match &mut self.0 {
            Wire::Whole(_, answers) => timeout(LONG, answers.message()).await.expect("an answer in time"),
            Wire::Delta(proxy) => Ok(proxy.answer().await?.map(|answer| DiscoveryResponse {
                version_info: answer.system_version_info,
                resources: answer.resources.into_iter().filter_map(|one| one.resource).collect(),
                type_url: answer.type_url,
                nonce: answer.nonce,
                ..DiscoveryResponse::default()
            })),
        }
    }

    /// Awaits that the stream is refused.
    pub(super) async fn refused(&mut self) -> Status {
        self.answer().await.expect_err("a refusal")
    }

    pub(super) async fn take(&mut self, kind: ResourceType) -> DiscoveryResponse {
        let answer = self.answer().await.expect("an answer").expect("the stream goes on");
        assert_eq!(answer.type_url, kind.url());
        answer
    }

    pub(super) fn send(&self, request: DiscoveryRequest) {
        match &self.0 {
            Wire::Whole(requests, _) => requests.send(request).expect("the stream is open"),
            Wire::Delta(proxy) => proxy.send(request),
        }
    }

    pub(super) fn acknowledge(&self, answer: &DiscoveryResponse, names: &[&str]) {
        self.send(DiscoveryRequest {
            version_info: answer.version_info.clone(),
            resource_names: names.iter().map(ToString::to_string).collect(),
            type_url: answer.type_url.clone(),
            response_nonce: answer.nonce.clone(),
            ..DiscoveryRequest::default()
        });
    }

    pub(super) fn subscribe(&self, kind: ResourceType, names: &[&str]) {
        self.acknowledge(&DiscoveryResponse { type_url: kind.url().into(), ..Default::default() }, names);
    }

    /// Takes everything, as Envoy does when it starts; gives the routes.
    pub(super) async fn settle(&mut self) -> DiscoveryResponse {
        let clusters = self.take(ResourceType::Cluster).await;
        self.acknowledge(&clusters, &[]);
        self.subscribe(ResourceType::Listener, &[]);
        let listeners = self.take(ResourceType::Listener).await;
        self.acknowledge(&listeners, &[]);
        self.subscribe(ResourceType::Route, &["rds_egress_http2_80"]);
        let routes = self.take(ResourceType::Route).await;
        self.acknowledge(&routes, &["rds_egress_http2_80"]);
        routes
    }
}

/// A proxy's stream in delta.
pub(super) struct DeltaProxy {
    requests: mpsc::UnboundedSender<DeltaDiscoveryRequest>,
    answers: Streaming<DeltaDiscoveryResponse>,
    /// The names that it subscribed to, by the type's URL.
    names: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl DeltaProxy {
    /// Opens a stream and says who it is, about a type that is not served.
    pub(super) async fn open(channel: Channel, node: Node) -> Result<Self, Status> {
        let (requests, stream) = mpsc::unbounded_channel();
        let (type_url, node) = ("none".to_owned(), Some(node));
        requests.send(DeltaDiscoveryRequest { node, type_url, ..Default::default() }).expect("open");
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let stream = UnboundedReceiverStream::new(stream);
        let answers = client.delta_aggregated_resources(stream).await?.into_inner();
        Ok(Self { requests, answers, names: Mutex::default() })
    }

    /// Asks for these names, or all, with what it has in these versions.
    pub(super) fn ask(&self, kind: ResourceType, names: &[&str], had: BTreeMap<String, String>) {
        let subscribe: Vec<String> = names.iter().map(ToString::to_string).collect();
        self.names().insert(kind.url().to_owned(), subscribe.iter().cloned().collect());
        self.say(DeltaDiscoveryRequest {
            type_url: kind.url().into(),
            resource_names_subscribe: subscribe,
            initial_resource_versions: had.into_iter().collect(),
            ..DeltaDiscoveryRequest::default()
        });
    }

    pub(super) fn say(&self, request: DeltaDiscoveryRequest) {
        // Where the stream has ended, it is read why.
        let _ = self.requests.send(request);
    }

    pub(super) fn acknowledge(&self, answer: &DeltaDiscoveryResponse) {
        let (type_url, response_nonce) = (answer.type_url.clone(), answer.nonce.clone());
        self.say(DeltaDiscoveryRequest { type_url, response_nonce, ..Default::default() });
    }

    pub(super) async fn answer(&mut self) -> Result<Option<DeltaDiscoveryResponse>, Status> {
        timeout(LONG, self.answers.message()).await.expect("an answer in time")
    }

    pub(super) async fn take(&mut self, kind: ResourceType) -> DeltaDiscoveryResponse {
        let answer = self.answer().await.expect("an answer").expect("the stream goes on");
        assert_eq!(answer.type_url, kind.url());
        answer
    }

    /// The same of a request that names everything.
    fn send(&self, request: DiscoveryRequest) {
        let mut names = self.names();
        let old = names.entry(request.type_url.clone()).or_default();
        let new: BTreeSet<String> = request.resource_names.into_iter().collect();
        let delta = DeltaDiscoveryRequest {
            type_url: request.type_url,
            resource_names_subscribe: new.difference(old).cloned().collect(),
            resource_names_unsubscribe: old.difference(&new).cloned().collect(),
            response_nonce: request.response_nonce,
            error_detail: request.error_detail,
            ..DeltaDiscoveryRequest::default()
        };
        *old = new;
        self.say(delta);
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, BTreeSet<String>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
